/* One stretch of duty as core/rota/calendar tells it, and what the views draw it into. */
import type { Named } from '@/core/shapes'
import { clockText, shortInstant, toMs } from '@/core/time'
import { t } from '@/core/words'

export interface Span {
  rota: string
  from: number
  to: number
  person: Named | null
  shift: string /* '' for the rota's fallback */
  insteadOf: Named | null
}
export interface RotaRow {
  id: string
  name: string
  spans: Span[]
}
export interface Day {
  start: number
  end: number
  text: string
  number: string
  weekday: number /* 1 Monday to 7 */
  today: boolean
  outside: boolean
}

export function spanFrom(raw: Record<string, unknown>): Span {
  return {
    rota: String(raw.rota),
    from: toMs(raw.from) ?? 0,
    to: toMs(raw.to) ?? 0,
    person: (raw.person as Named | null) ?? null,
    shift: String(raw.shift ?? ''),
    insteadOf: (raw.instead_of as Named | null) ?? null,
  }
}

export const kindOf = (span: Span): string => (!span.person ? 'gap' : span.insteadOf ? 'swap' : span.shift ? 'usual' : 'fallback')
export const nameOf = (span: Span): string => span.person?.name || span.person?.id || t('ui.rota.nobody')
/* the hours of it within a day; an end at midnight is 24:00 */
export function hours(span: Span, day?: Day): string {
  const from = day ? Math.max(span.from, day.start) : span.from
  const to = day ? Math.min(span.to, day.end) : span.to
  const end = clockText(to)
  return `${clockText(from)}–${end === '00:00' ? '24:00' : end}`
}
/* `08–20` where there are no minutes; with the days when it lasts longer than one */
export function shortHours(span: Span): string {
  if (span.to - span.from > 86_400_000) return `${shortInstant(span.from)} – ${shortInstant(span.to)}`
  return hours(span).replace(/:00/g, '')
}
export const full = (span: Span): string => `${span.to - span.from > 86_400_000 ? shortHours(span) : hours(span)} ${nameOf(span)}${span.insteadOf ? ` ${t('ui.rota.instead', { name: span.insteadOf.name })}` : ''}`
export const within = (spans: Span[], day: Day): Span[] => spans.filter((span) => span.from < day.end && span.to > day.start)
