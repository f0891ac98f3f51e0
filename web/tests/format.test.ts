import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { format } from '../src/core/format.ts'

const cases = JSON.parse(readFileSync(new URL('../../tests/words-cases.json', import.meta.url), 'utf8')) as {
  text: string
  args: Record<string, string | number>
  want: string
}[]

for (const one of cases) test(`format: ${one.text || '(empty)'}`, () => assert.equal(format(one.text, one.args), one.want))

test('format: names of the prototype are no arguments', () =>
  assert.equal(format('{toString} {constructor}', {}), '{toString} {constructor}'))
