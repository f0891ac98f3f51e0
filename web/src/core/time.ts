/* How instants, ages, durations and deadlines are written.  Everything is shown in the office's zone,
 * not in the browser's: two people on the phone must read the same clock. */

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

export type Words = (key: string, args?: Record<string, string | number>) => string

let zone = 'Asia/Shanghai'
const formats = new Map<string, Intl.DateTimeFormat>()

export function setZone(next: string): void {
  zone = next
  formats.clear()
}

export function currentZone(): string {
  return zone
}

export interface Parts {
  year: string
  month: string
  day: string
  hour: string
  minute: string
  second: string
}

export function parts(ms: number): Parts {
  let f = formats.get('parts')
  if (!f) {
    f = new Intl.DateTimeFormat('en-CA', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    formats.set('parts', f)
  }
  const out: Record<string, string> = {}
  for (const part of f.formatToParts(ms)) out[part.type] = part.value
  return out as unknown as Parts
}

export function toMs(value: unknown): number | null {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (typeof value !== 'string' || value === '') return null
  const ms = Date.parse(value)
  return Number.isNaN(ms) ? null : ms
}

/* The zone's offset from UTC at an instant, in minutes. */
export function offsetMinutes(ms: number): number {
  const p = parts(ms)
  const asUtc = Date.UTC(+p.year, +p.month - 1, +p.day, +p.hour, +p.minute, +p.second)
  return Math.round((asUtc - Math.floor(ms / 1000) * 1000) / MINUTE)
}

function offsetText(ms: number): string {
  const minutes = offsetMinutes(ms)
  const abs = Math.abs(minutes)
  return `${minutes < 0 ? '-' : '+'}${String(Math.floor(abs / 60)).padStart(2, '0')}:${String(abs % 60).padStart(2, '0')}`
}

/* `11-21 14:05`; with the year when it is another one. */
export function shortInstant(ms: number, now = Date.now()): string {
  const p = parts(ms)
  const year = p.year === parts(now).year ? '' : `${p.year}-`
  return `${year}${p.month}-${p.day} ${p.hour}:${p.minute}`
}

/* `2026-11-21 14:05:09 +08:00 Asia/Shanghai`, for hovering. */
export function fullInstant(ms: number): string {
  const p = parts(ms)
  return `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second} ${offsetText(ms)} ${zone}`
}

export function clockText(ms: number, seconds = false): string {
  const p = parts(ms)
  return `${p.hour}:${p.minute}${seconds ? ':' + p.second : ''}`
}

export function dayText(ms: number): string {
  const p = parts(ms)
  return `${p.year}-${p.month}-${p.day}`
}

/* RFC 3339 with the zone's offset, for what is sent. */
export function rfc3339(ms: number): string {
  const p = parts(ms)
  return `${p.year}-${p.month}-${p.day}T${p.hour}:${p.minute}:${p.second}${offsetText(ms)}`
}

/* The instant of a wall clock reading in the zone (`2026-11-21 14:05`). */
export function fromWall(text: string): number | null {
  const m = /^(\d{4})-(\d{2})-(\d{2})(?:[ T](\d{2}):(\d{2})(?::(\d{2}))?)?$/.exec(text.trim())
  if (!m) return null
  const utc = Date.UTC(+m[1]!, +m[2]! - 1, +m[3]!, +(m[4] ?? 0), +(m[5] ?? 0), +(m[6] ?? 0))
  const first = utc - offsetMinutes(utc) * MINUTE
  return utc - offsetMinutes(first) * MINUTE
}

/* Midnight in the zone of the day in which `ms` lies. */
export function startOfDay(ms: number): number {
  return fromWall(dayText(ms)) ?? ms
}

/* A length in its two largest units: `1 天 3 时`, `12 分钟`. */
export function duration(ms: number, t: Words): string {
  const abs = Math.abs(ms)
  if (abs < MINUTE) return t('ui.time.seconds', { n: Math.max(0, Math.round(abs / 1000)) })
  if (abs < HOUR) return t('ui.time.minutes', { n: Math.floor(abs / MINUTE) })
  if (abs < DAY) {
    const minutes = Math.floor((abs % HOUR) / MINUTE)
    const hours = Math.floor(abs / HOUR)
    return minutes ? t('ui.time.hours_minutes', { h: hours, m: minutes }) : t('ui.time.hours', { n: hours })
  }
  const hours = Math.floor((abs % DAY) / HOUR)
  const days = Math.floor(abs / DAY)
  return hours && days < 10 ? t('ui.time.days_hours', { d: days, h: hours }) : t('ui.time.days', { n: days })
}

export function age(ms: number, t: Words, now = Date.now()): string {
  const gone = now - ms
  if (Math.abs(gone) < 5000) return t('ui.time.now')
  return gone >= 0
    ? t('ui.time.ago', { span: duration(gone, t) })
    : t('ui.time.ahead', { span: duration(-gone, t) })
}

/* The same fractions everywhere: the last quarter is amber, the last tenth and beyond red. */
export type Urgency = 'calm' | 'soon' | 'late' | 'over'

export function urgency(start: number | null, due: number, now = Date.now()): Urgency {
  const left = due - now
  if (left <= 0) return 'over'
  if (start === null || due <= start) return 'calm' /* the limit is not known here */
  const limit = due - start
  if (left <= limit / 10) return 'late'
  return left <= limit / 4 ? 'soon' : 'calm'
}

/* The same fractions of a share that is known: 0 at the start, 1 at the deadline. */
export function shareTone(share: number): Urgency {
  return share >= 1 ? 'over' : share >= 0.9 ? 'late' : share >= 0.75 ? 'soon' : 'calm'
}

export function left(due: number, t: Words, now = Date.now()): string {
  return due >= now
    ? t('ui.time.left', { span: duration(due - now, t) })
    : t('ui.time.overdue', { span: duration(now - due, t) })
}
