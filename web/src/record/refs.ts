/* Names of the records that references point to, asked for once each and remembered. */
import { reactive } from 'vue'
import { get } from '@/core/api'
import type { Row } from '@/core/types'

export interface Choice {
  value: string
  label: string
  hint: string
}

/* Engine relations have addresses of their own. */
const ENGINE: Record<string, string> = {
  'core.org': 'core/orgs',
  'core.user': 'core/users',
  'core.role': 'core/roles',
  'core.probe': 'core/probes',
}

export function refPath(ref: string): string {
  return ENGINE[ref] ?? ref.replace('.', '/')
}

export function refLink(ref: string, id: string): string | null {
  if (ref === 'core.org') return '/people/orgs'
  if (ref === 'core.user') return `/people/users?open=${id}`
  if (ref === 'core.role') return '/people/roles'
  if (ref === 'core.probe') return '/probes'
  return ref ? `/r/${ref.replace('.', '/')}/${id}` : null
}

export function nameOf(row: Row): string {
  return String(row.name ?? row.title ?? row.number ?? row.code ?? row.login ?? row.id)
}

const names = reactive<Record<string, string>>({})

export function refName(ref: string, id: string): string {
  const key = `${ref}/${id}`
  if (!(key in names)) {
    names[key] = ''
    void get<Row>(`${refPath(ref)}/${id}`)
      .then((row) => (names[key] = nameOf(row)))
      .catch(() => (names[key] = id))
  }
  return names[key] || '…'
}

export function rememberRef(ref: string, id: string, name: string): void {
  names[`${ref}/${id}`] = name
}

export async function refChoices(ref: string, q: string, signal?: AbortSignal): Promise<Choice[]> {
  const answer = await get<{ items: Row[] } | Row[]>(refPath(ref), { q, limit: 30 }, signal)
  const rows = Array.isArray(answer) ? answer : answer.items
  const sought = q.trim().toLowerCase()
  return rows
    .map((row) => ({ value: String(row.id), label: nameOf(row), hint: String(row.code ?? row.login ?? row.number ?? '') }))
    .filter((one) => !ENGINE[ref] || !sought || `${one.label} ${one.hint}`.toLowerCase().includes(sought))
}
