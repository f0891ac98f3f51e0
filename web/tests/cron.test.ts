import assert from 'node:assert/strict'
import { test } from 'node:test'
import { specOf, whenOf, whenText } from '../src/core/cron.ts'

test('what people say and what is stored are the same', () => {
  for (const spec of ['30 2 * * *', '7 * * * *', '40 3 * * 7', '0 8 15 * *', '*/10 8-18 * * 1-5', '0 8 1 1 *', '0 8 1 * 1']) assert.equal(specOf(whenOf(spec)), spec)
})

test('Sunday has two numbers', () => {
  const when = whenOf('40 3 * * 0')
  assert.deepEqual([when.how, when.weekday, when.time], ['weekly', '7', '03:40'])
})

test('what has no short name is shown as it is', () => {
  const t = (key: string, args?: Record<string, string | number>) => `${key} ${args?.time ?? ''}`
  assert.equal(whenText('*/10 8-18 * * 1-5', t), '*/10 8-18 * * 1-5')
  assert.equal(whenText('5 2 * * *', t), 'ui.cron.daily 02:05')
  assert.equal(whenOf('99').how, 'own')
})
