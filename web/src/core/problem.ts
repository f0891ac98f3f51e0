/* An error as a person needs it: what happened, and what to do.  The server's own sentence comes first;
 * these words are for what the server cannot say, such as that it does not answer. */
import type { Problem } from './api'
import { t } from './words'

const KNOWN: Record<number, string> = {
  [-1]: 'page',
  0: 'offline',
  401: 'signed_out',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  412: 'stale',
  413: 'too_large',
  428: 'stale',
  429: 'too_often',
  502: 'server',
  503: 'busy',
  504: 'slow',
}

export function problemText(problem: Problem): { what: string; todo: string } {
  const known = KNOWN[problem.status] ?? (problem.status >= 500 ? 'server' : '')
  const said = problem.detail || problem.errors[0]?.message || problem.title
  return {
    what: said || t(`ui.problem.${known || 'refused'}`),
    todo: known ? t(`ui.problem.${known}.todo`) : '',
  }
}

/* Faults by field name, from JSON pointers such as `/name` or `/lines/0/count`. */
export function problemFields(problem: Problem): Record<string, string> {
  const out: Record<string, string> = {}
  for (const item of problem.errors) {
    const name = (item.pointer ?? '').split('/')[1]?.replaceAll('~1', '/').replaceAll('~0', '~') ?? ''
    if (!(name in out)) out[name] = item.message ?? problem.detail
  }
  return out
}
