import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { beforeEach, test } from 'node:test'
import { format } from '../src/core/format.ts'
import { age, duration, fromWall, fullInstant, left, rfc3339, setZone, shortInstant, startOfDay, urgency } from '../src/core/time.ts'

const words = JSON.parse(readFileSync(new URL('../../words/zh-CN.json', import.meta.url), 'utf8')) as Record<string, string>
const t = (key: string, args?: Record<string, string | number>) => format(words[key] ?? key, args)
const MIN = 60_000
const noon = Date.parse('2026-11-21T06:05:09Z')

beforeEach(() => setZone('Asia/Shanghai'))

test('this year without the year', () => assert.equal(shortInstant(noon, noon), '11-21 14:05'))
test('another year with it', () => assert.equal(shortInstant(noon, Date.parse('2027-02-01T00:00:00Z')), '2026-11-21 14:05'))
test('the whole instant', () => assert.equal(fullInstant(noon), '2026-11-21 14:05:09 +08:00 Asia/Shanghai'))
test('RFC 3339 in the zone', () => assert.equal(rfc3339(noon), '2026-11-21T14:05:09+08:00'))
test('wall clock and back', () => assert.equal(fromWall('2026-11-21 14:05:09'), noon))
test('wall clock of a zone with summer time', () => {
  setZone('Europe/Berlin')
  assert.equal(rfc3339(fromWall('2026-07-01 12:00')!), '2026-07-01T12:00:00+02:00')
  assert.equal(rfc3339(fromWall('2026-12-01 12:00')!), '2026-12-01T12:00:00+01:00')
})
test('not a wall clock', () => assert.equal(fromWall('tomorrow'), null))
test('midnight of the zone, not of UTC', () => assert.equal(startOfDay(noon), Date.parse('2026-11-20T16:00:00Z')))

const spans = [[4_000, '4 秒'], [16 * MIN, '16 分钟'], [60 * MIN, '1 小时'], [80 * MIN, '1 时 20 分'], [27 * 60 * MIN, '1 天 3 时'], [40 * 1440 * MIN, '40 天']] as const
for (const [ms, want] of spans) test(`duration ${want}`, () => assert.equal(duration(ms, t), want))
test('age', () => {
  assert.equal(age(noon - 3 * MIN, t, noon), '3 分钟前')
  assert.equal(age(noon - 1000, t, noon), '刚刚')
  assert.equal(age(noon + 5 * MIN, t, noon), '5 分钟后')
})
test('left and overdue', () => {
  assert.equal(left(noon + 16 * MIN, t, noon), '还剩 16 分钟')
  assert.equal(left(noon - 5 * MIN, t, noon), '超时 5 分钟')
})
test('the same fractions everywhere', () => {
  const at = (share: number) => urgency(noon, noon + 100 * MIN, noon + share * 100 * MIN)
  assert.deepEqual([0.5, 0.74, 0.76, 0.89, 0.91, 1, 1.5].map(at), ['calm', 'calm', 'soon', 'soon', 'late', 'over', 'over'])
})
