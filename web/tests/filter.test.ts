import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  feelText, filterFromParam, filterToFeel, filterToParam, filtersFromQuery, filtersToFeel, filtersToQuery, type FieldKind, type Filter,
} from '../src/core/filter.ts'
import { setZone } from '../src/core/time.ts'

setZone('Asia/Shanghai')
const now = Date.parse('2026-11-21T06:00:00Z')

const cases: [string, FieldKind, Filter, string | null][] = [
  ['one code', 'text', { field: 'state', op: 'in', values: ['open'] }, 'state = "open"'],
  ['several codes', 'text', { field: 'state', op: 'in', values: ['open', 'acked'] }, 'state in ("open", "acked")'],
  ['not one', 'text', { field: 'state', op: 'not', values: ['open'] }, 'state != "open"'],
  ['not several', 'text', { field: 'state', op: 'not', values: ['a', 'b'] }, 'not(state in ("a", "b"))'],
  ['contains, with quotes', 'text', { field: 'name', op: 'contains', values: ['a"b\\c'] }, 'contains(name, "a\\"b\\\\c")'],
  ['integers are bare', 'integer', { field: 'grade', op: 'in', values: ['1', '2'] }, 'grade in (1, 2)'],
  ['a half-typed number says nothing', 'integer', { field: 'grade', op: 'in', values: ['1x'] }, null],
  ['no way out of a number', 'integer', { field: 'grade', op: 'in', values: ['1) or (true'] }, null],
  ['range', 'number', { field: 'n', op: 'range', values: ['3', '10.5'] }, 'n >= 3 and n <= 10.5'],
  ['open range', 'number', { field: 'n', op: 'range', values: ['', '10'] }, 'n <= 10'],
  ['since', 'instant', { field: 'at', op: 'range', values: ['-24h', ''] }, 'at >= date and time("2026-11-20T14:00:00+08:00")'],
  ['a day as the end is the whole day', 'instant', { field: 'at', op: 'range', values: ['', '2026-11-02'] }, 'at <= date and time("2026-11-02T23:59:59+08:00")'],
  ['days', 'date', { field: 'd', op: 'range', values: ['2026-11-01', ''] }, 'd >= date("2026-11-01")'],
  ['a word is no day', 'date', { field: 'd', op: 'range', values: ['soon', ''] }, null],
  ['boolean', 'boolean', { field: 'enabled', op: 'in', values: ['true'] }, 'enabled = true'],
  ['reference ids are texts', 'ref', { field: 'service', op: 'in', values: ['911'] }, 'service = "911"'],
  ['empty', 'text', { field: 'note', op: 'empty', values: [] }, 'note = null'],
  ['set', 'text', { field: 'note', op: 'set', values: [] }, 'note != null'],
]
for (const [name, kind, filter, want] of cases) test(`feel: ${name}`, () => assert.equal(filterToFeel(filter, kind, now), want))

const filters: Filter[] = [
  { field: 'a', op: 'in', values: ['x', 'y,z', 'back\\slash'] },
  { field: 'b', op: 'not', values: ['x'] },
  { field: 'c', op: 'contains', values: ['~!*..'] },
  { field: 'd', op: 'range', values: ['-7d', ''] },
  { field: 'e', op: 'set', values: [] },
  { field: 'f', op: 'empty', values: [] },
  { field: 'g', op: 'in', values: ['!looks like not'] },
  { field: 'h', op: 'in', values: ['~tilde', '*'] },
  { field: 'i', op: 'in', values: ['1..2'] },
]
for (const filter of filters)
  test(`address and back: ${filterToParam(filter)}`, () => assert.deepEqual(filterFromParam(filter.field, filterToParam(filter)), filter))

test('only f. parameters are filters', () =>
  assert.deepEqual(filtersFromQuery({ q: 'x', 'f.state': 'open', sort: '-a', 'f.bad': '' }), [{ field: 'state', op: 'in', values: ['open'] }]))
test('query and back', () => assert.deepEqual(filtersFromQuery(filtersToQuery(filters)), filters))
test('several filters and a given condition; a field that is gone is left out', () =>
  assert.equal(
    filtersToFeel(
      [{ field: 'state', op: 'in', values: ['open'] }, { field: 'gone', op: 'in', values: ['x'] }],
      (name) => (name === 'state' ? 'text' : undefined), 'a = 1 or b = 2', now),
    '(a = 1 or b = 2) and state = "open"'))
test('feel text keeps lines', () => assert.equal(feelText('a\nb\t"'), '"a\\nb\\t\\""'))
