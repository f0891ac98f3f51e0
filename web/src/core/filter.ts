/* Filters of a list: what the chips hold, how the address says it, and the FEEL that is asked for.
 *
 * In the address each field is one parameter `f.FIELD`:
 *   open,acked     one of            !closed     none of         ~text   contains
 *   3..10  ..10    from, to          -7d..       since 7 days    *  !*   is set, is empty
 * A comma or backslash within a value is written \, and \\ . */
import { rfc3339, fromWall, dayText } from './time.ts'

export type FieldKind = 'text' | 'integer' | 'number' | 'boolean' | 'date' | 'instant' | 'ref' | 'json'

export interface Filter {
  field: string
  op: 'in' | 'not' | 'contains' | 'range' | 'set' | 'empty'
  values: string[] /* range: [from, to], either may be '' */
}

function split(text: string): string[] {
  const out: string[] = []
  let one = ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i]!
    if (c === '\\' && i + 1 < text.length) one += text[++i]
    else if (c === ',') {
      out.push(one)
      one = ''
    } else one += c
  }
  out.push(one)
  return out.filter((value) => value !== '')
}

const join = (values: string[]) => values.map((v) => v.replace(/[\\,]/g, '\\$&')).join(',')

export function filterToParam(filter: Filter): string {
  switch (filter.op) {
    case 'in':
      return /^[!~*]/.test(filter.values[0] ?? '') || filter.values[0]?.includes('..')
        ? `=${join(filter.values)}`
        : join(filter.values)
    case 'not':
      return '!' + join(filter.values)
    case 'contains':
      return '~' + (filter.values[0] ?? '')
    case 'range':
      return `${filter.values[0] ?? ''}..${filter.values[1] ?? ''}`
    case 'set':
      return '*'
    case 'empty':
      return '!*'
  }
}

export function filterFromParam(field: string, text: string): Filter | null {
  if (text === '*') return { field, op: 'set', values: [] }
  if (text === '!*') return { field, op: 'empty', values: [] }
  if (text.startsWith('~')) return text.length > 1 ? { field, op: 'contains', values: [text.slice(1)] } : null
  const exact = text.startsWith('=')
  const range = exact ? null : /^([^,]*?)\.\.([^,]*)$/.exec(text)
  if (range) return range[1] || range[2] ? { field, op: 'range', values: [range[1]!, range[2]!] } : null
  const not = text.startsWith('!')
  const values = split(not || exact ? text.slice(1) : text)
  return values.length ? { field, op: not ? 'not' : 'in', values } : null
}

type Query = Record<string, string | null | undefined | (string | null)[]>

export function filtersFromQuery(query: Query): Filter[] {
  const out: Filter[] = []
  for (const [key, value] of Object.entries(query)) {
    if (!key.startsWith('f.') || typeof value !== 'string') continue
    const filter = filterFromParam(key.slice(2), value)
    if (filter) out.push(filter)
  }
  return out
}

export function filtersToQuery(filters: Filter[]): Record<string, string> {
  return Object.fromEntries(filters.map((filter) => ['f.' + filter.field, filterToParam(filter)]))
}

/* A text as a FEEL literal. */
export function feelText(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&').replace(/\n/g, '\\n').replace(/\t/g, '\\t').replace(/\r/g, '\\r')}"`
}

const UNIT = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

/* `-7d`, `2026-11-21`, `2026-11-21 14:05` or RFC 3339, to milliseconds. */
export function instantOf(text: string, now: number): number | null {
  const relative = /^([+-])(\d+)([mhdw])$/.exec(text)
  if (relative) {
    const span = Number(relative[2]) * UNIT[relative[3] as keyof typeof UNIT]
    return now + (relative[1] === '-' ? -span : span)
  }
  const wall = fromWall(text)
  if (wall !== null) return wall
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : ms
}

function literal(kind: FieldKind, value: string, now: number, end: boolean): string | null {
  switch (kind) {
    case 'integer':
    case 'number':
      return /^-?\d+(\.\d+)?$/.test(value) ? value : null
    case 'boolean':
      return value === 'true' || value === 'false' ? value : null
    case 'date': {
      const ms = instantOf(value, now)
      return ms === null ? null : `date("${dayText(ms)}")`
    }
    case 'instant': {
      let ms = instantOf(value, now)
      if (ms === null) return null
      /* A day as the upper end means the whole day. */
      if (end && /^\d{4}-\d{2}-\d{2}$/.test(value)) ms += UNIT.d - 1000
      return `date and time("${rfc3339(ms)}")`
    }
    default:
      return feelText(value)
  }
}

/* One filter as FEEL; null when it says nothing (a half-typed number). */
export function filterToFeel(filter: Filter, kind: FieldKind, now = Date.now()): string | null {
  const { field, op, values } = filter
  if (op === 'set') return `${field} != null`
  if (op === 'empty') return `${field} = null`
  if (op === 'contains') return values[0] ? `contains(${field}, ${feelText(values[0])})` : null
  if (op === 'range') {
    const from = values[0] ? literal(kind, values[0], now, false) : null
    const to = values[1] ? literal(kind, values[1], now, true) : null
    const both = [from && `${field} >= ${from}`, to && `${field} <= ${to}`].filter(Boolean)
    return both.length ? both.join(' and ') : null
  }
  const literals = values.map((v) => literal(kind, v, now, false)).filter((v): v is string => v !== null)
  if (!literals.length) return null
  if (literals.length === 1) return `${field} ${op === 'not' ? '!=' : '='} ${literals[0]}`
  const test = `${field} in (${literals.join(', ')})`
  return op === 'not' ? `not(${test})` : test
}

export function filtersToFeel(
  filters: Filter[],
  kindOf: (field: string) => FieldKind | undefined,
  extra?: string,
  now = Date.now(),
): string {
  const all = extra ? [filters.length ? `(${extra})` : extra] : []
  for (const filter of filters) {
    const kind = kindOf(filter.field)
    const text = kind && filterToFeel(filter, kind, now)
    if (text) all.push(text)
  }
  return all.join(' and ')
}
