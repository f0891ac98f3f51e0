/* The times of a schedule (`minute hour day month weekday`) as people say them, and back. */
import type { Words } from './time'

export interface When {
  how: 'daily' | 'weekly' | 'monthly' | 'hourly' | 'own'
  time: string /* 02:30 */
  weekday: string /* 1 to 7 */
  day: string /* 1 to 31 */
  spec: string /* of `own` */
}

const two = (n: string) => n.padStart(2, '0')

export function whenOf(spec: string): When {
  const base: When = { how: 'own', time: '02:30', weekday: '1', day: '1', spec }
  const m = /^(\d{1,2}) (\d{1,2}|\*) (\d{1,2}|\*) \* ([0-7]|\*)$/.exec(spec.trim())
  if (!m) return base
  const [, minute, hour, day, weekday] = m as unknown as [string, string, string, string, string]
  if (hour === '*') return day === '*' && weekday === '*' ? { ...base, how: 'hourly', time: `00:${two(minute)}` } : base
  const time = `${two(hour)}:${two(minute)}`
  if (day === '*' && weekday === '*') return { ...base, how: 'daily', time }
  if (day === '*') return { ...base, how: 'weekly', time, weekday: weekday === '0' ? '7' : weekday }
  if (weekday === '*') return { ...base, how: 'monthly', time, day }
  return base
}

export function specOf(when: When): string {
  const [hour, minute] = when.time.split(':').map(Number)
  if (when.how === 'hourly') return `${minute} * * * *`
  if (when.how === 'daily') return `${minute} ${hour} * * *`
  if (when.how === 'weekly') return `${minute} ${hour} * * ${when.weekday}`
  if (when.how === 'monthly') return `${minute} ${hour} ${when.day} * *`
  return when.spec.trim()
}

export function whenText(spec: string, t: Words): string {
  const when = whenOf(spec)
  if (when.how === 'own') return spec
  return t(`ui.cron.${when.how}`, { time: when.time, minute: Number(when.time.slice(3)), day: when.day, weekday: t(`ui.weekday.${when.weekday}`) })
}
