/* Every word that the page asks for is there in both languages, and every `ui.` word is used. */
import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('..', import.meta.url))
const read = (name: string) => JSON.parse(readFileSync(join(here, '..', 'words', name), 'utf8')) as Record<string, string>
const zh = read('zh-CN.json')
const en = read('en.json')
const own = Object.keys(zh).filter((key) => key.startsWith('ui.'))
const files = readdirSync(join(here, 'src'), { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(vue|ts)$/.test(entry.name))
  .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
const whole = new Set<string>()
const starts = new Set<string>() /* of `ui.alarm.state.${code}` */
for (const text of files)
  for (const m of text.matchAll(/['"`](ui\.[a-z0-9_.]*)(['"`]|\$\{)/g)) (m[2] === '${' ? starts : whole).add(m[1]!)

test('words that are asked for exist', () => assert.deepEqual([...whole].filter((key) => !(key in zh) && !own.some((one) => one.startsWith(key + '.log') || one.startsWith(key + '.'))), []))
test('words made of parts have their beginnings', () => assert.deepEqual([...starts].filter((start) => !own.some((key) => key.startsWith(start))), []))
test('both languages have the same keys and placeholders', () => {
  const holes = (text: string) => [...text.matchAll(/\{([a-z_]+)\}/g)].map((m) => m[1]).sort().join()
  assert.deepEqual(own.filter((key) => !(key in en) || holes(zh[key]!) !== holes(en[key]!)), [])
})
test('no word is left over', () => {
  const used = (key: string) => whole.has(key) || [...starts, ...[...whole].map((one) => one + '.')].some((start) => key.startsWith(start))
  assert.deepEqual(own.filter((key) => !used(key)), [])
})
test('no exclamation mark', () => assert.deepEqual(own.filter((key) => /[!！]/.test(zh[key]! + en[key]!)), []))
