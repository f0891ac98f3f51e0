/* Record types as the server describes them (JSON Schema with x- keywords), brought into the one form
 * that lists, forms and details are drawn from. */
import { reactive } from 'vue'
import { get } from './api'
import type { FieldKind } from './filter'
import { lang, titleText, wordsUnder, type Title } from './words'

export interface Code {
  code: string
  title: string
  colour?: string
}

export interface Field {
  name: string
  title: string
  help: string
  kind: FieldKind
  format: string /* email, uri, time, duration, multiline, money … or '' */
  unit: string
  required: boolean
  readOnly: boolean
  sensitive: boolean
  sortable: boolean
  filterable: boolean
  hidden: boolean
  widget: string
  codes: Code[] | null
  dictionary: string
  ref: string /* pack.type, or '' */
  maxLength: number
  min: number | null
  max: number | null
  pattern: string
  fallback: unknown
  items: Field[] | null /* columns of a list of objects */
  schema: Schema
  system: boolean
}

export interface RecordType {
  pack: string
  type: string
  full: string
  title: string
  kind: 'plain' | 'subject' | 'fact' | 'case'
  fields: Field[]
  byName: Record<string, Field>
  label: string
  code: string
  list: string[]
  search: boolean
  sort: string
  permissions: string[]
  importable: boolean
  form: FormGroup[]
  schema: Schema
}

/* A group of the form; with `when` it is there only while that field has one of these values. */
export interface FormGroup {
  title: string
  fields: string[]
  when: { field: string; in: string[] } | null
}

export type Schema = Record<string, unknown>

export interface TypeEntry {
  pack: string
  type: string
  kind: string
  title: Title
  permissions: string[]
}

export type Row = Record<string, unknown> & { id: string; version?: number }

const BEHIND = ['org', 'grid', 'valid_from', 'valid_to', 'known_at', 'source', 'batch', 'supersedes']
const SYSTEM = ['id', 'version', 'created_at', 'created_by', 'updated_at', 'updated_by']

function codesOf(schema: Schema): Code[] | null {
  const codes = typeof schema['x-codes'] === 'object' ? schema['x-codes'] : schema['x-labels']
  const one = (entry: unknown): Code | null => {
    if (typeof entry === 'string' || typeof entry === 'number') return { code: String(entry), title: String(entry) }
    if (entry && typeof entry === 'object') {
      const o = entry as Schema
      const code = String(o.code ?? o.value ?? o.const ?? '')
      return { code, title: titleText((o.title ?? o.label ?? o.name) as Title, code), colour: o.colour as string | undefined }
    }
    return null
  }
  if (Array.isArray(codes)) {
    const list = codes.map(one).filter((c): c is Code => c !== null)
    /* labels alone, beside an enum */
    if (Array.isArray(schema.enum) && codes.every((c) => typeof c === 'string') && codes.length === schema.enum.length)
      return schema.enum.map((code, i) => ({ code: String(code), title: String(codes[i]) }))
    return list
  }
  if (codes && typeof codes === 'object')
    return Object.entries(codes as Schema).map(([code, title]) => ({ code, title: titleText(title as Title, code) }))
  if (Array.isArray(schema.oneOf)) return (schema.oneOf as unknown[]).map(one).filter((c): c is Code => !!c?.code)
  if (Array.isArray(schema.enum)) return (schema.enum as unknown[]).filter((v) => v !== null).map((v) => ({ code: String(v), title: String(v) }))
  return null
}

function kindOf(schema: Schema): FieldKind {
  const type = Array.isArray(schema.type) ? (schema.type as string[]).find((one) => one !== 'null') : schema.type
  if (schema['x-ref']) return type === 'array' ? 'json' : 'ref'
  if (type === 'boolean') return 'boolean'
  if (type === 'integer') return 'integer'
  if (type === 'number') return 'number'
  if (type === 'array' || type === 'object') return 'json'
  if (schema.format === 'date') return 'date'
  if (schema.format === 'date-time') return 'instant'
  return 'text'
}

export function fieldFrom(name: string, schema: Schema, required: boolean): Field {
  const kind = kindOf(schema)
  const items = schema.items as Schema | undefined
  const columns = items?.properties as Record<string, Schema> | undefined
  const maxLength = Number(schema.maxLength ?? 0)
  return {
    name,
    title: titleText((schema.title ?? schema['x-title']) as Title, name),
    help: titleText((schema.description ?? schema['x-help']) as Title),
    kind,
    format: schema['x-money']
      ? 'money'
      : String(schema['x-widget'] ?? schema['x-format'] ?? schema.format ?? (kind === 'text' && (schema['x-multiline'] || maxLength >= 1000) ? 'multiline' : '')),
    unit: titleText(schema['x-unit'] as Title),
    required,
    readOnly: schema.readOnly === true || SYSTEM.includes(name),
    sensitive: !!schema['x-sensitive'] || !!schema['x-mask'],
    sortable: kind !== 'json' && !schema['x-sensitive'],
    filterable: kind !== 'json' && (!schema['x-sensitive'] || !!schema['x-operators']),
    hidden: schema['x-hidden'] === true,
    widget: String(schema['x-widget'] ?? ''),
    codes: codesOf(schema) ?? (items ? codesOf(items) : null),
    dictionary: typeof schema['x-codes'] === 'string' ? schema['x-codes'] : '',
    ref: String(schema['x-ref'] ?? (items?.['x-ref'] as string) ?? ''),
    maxLength,
    min: typeof schema.minimum === 'number' ? schema.minimum : null,
    max: typeof schema.maximum === 'number' ? schema.maximum : null,
    pattern: String(schema.pattern ?? ''),
    fallback: schema.default,
    items: columns
      ? Object.entries(columns).map(([n, s]) => fieldFrom(n, s, ((items?.required as string[]) ?? []).includes(n)))
      : null,
    schema,
    system: SYSTEM.includes(name),
  }
}

function typeFrom(pack: string, name: string, schema: Schema, t: (key: string) => string): RecordType {
  const required = (schema.required as string[]) ?? []
  const properties = (schema.properties as Record<string, Schema>) ?? {}
  const fields = Object.entries(properties).map(([n, s]) => fieldFrom(n, s, required.includes(n)))
  const system: Record<string, Schema> = {
    created_at: { type: 'string', format: 'date-time', title: t('ui.record.created_at'), readOnly: true },
    created_by: { type: 'string', title: t('ui.record.created_by'), readOnly: true, },
    updated_at: { type: 'string', format: 'date-time', title: t('ui.record.updated_at'), readOnly: true },
    updated_by: { type: 'string', title: t('ui.record.updated_by'), readOnly: true },
  }
  for (const [n, s] of Object.entries(system)) if (!properties[n]) fields.push(fieldFrom(n, s, false))
  for (const field of fields) if (field.title === field.name && system[field.name]) field.title = String(system[field.name]!.title)
  const order = schema['x-sort'] as string[] | undefined
  const sortable = order?.map((n) => n.replace(/^-/, ''))
  for (const field of fields) {
    if (sortable) field.sortable = sortable.includes(field.name)
    field.filterable = field.filterable && (field.schema['x-filterable'] === true || field.system)
  }
  const byName = Object.fromEntries(fields.map((field) => [field.name, field]))
  const label = String(schema['x-label'] ?? schema['x-title-field'] ?? (byName.name ? 'name' : byName.title ? 'title' : (fields[0]?.name ?? 'id')))
  const code = String(schema['x-code'] ?? (byName.code ? 'code' : byName.number ? 'number' : ''))
  /* the states of a case come from its flow; the pack's words name them */
  if (schema['x-kind'] === 'case' && byName.state && !byName.state.codes) {
    const states = [...wordsUnder(`${pack}.state.`), ...wordsUnder('case.state.')]
    if (states.length) byName.state.codes = [...new Map(states.map((one) => [one.code, one])).values()]
  }
  const form = ((schema['x-form'] as Schema[]) ?? []).map((group) => ({
    title: titleText(group.title as Title),
    fields: ((group.fields as string[]) ?? []).filter((n) => byName[n]),
    when: (group.when as FormGroup['when']) ?? null,
  }))
  /* what comes with the kind stands behind what the type brings */
  const left = fields
    .filter((f) => !form.some((group) => group.fields.includes(f.name)))
    .sort((a, b) => Number(BEHIND.includes(a.name)) - Number(BEHIND.includes(b.name)))
  if (left.length) form.push({ title: '', fields: left.map((f) => f.name), when: null })
  const list = ((schema['x-list'] as string[]) ?? []).filter((n) => byName[n])
  return {
    pack,
    type: name,
    full: `${pack}.${name}`,
    title: titleText((schema.title ?? schema['x-title']) as Title, name),
    kind: (schema['x-kind'] as RecordType['kind']) ?? 'plain',
    fields,
    byName,
    label,
    code,
    list: list.length ? list : fields.filter((f) => !f.system && !f.hidden && f.kind !== 'json' && f.format !== 'multiline').slice(0, 6).map((f) => f.name),
    search: !!(schema['x-search'] as unknown[] | undefined)?.length,
    sort: order?.[0] ?? '',
    permissions: (schema['x-permissions'] as string[]) ?? (schema.permissions as string[]) ?? [],
    importable: schema['x-import'] !== false,
    form,
    schema,
  }
}

const cache = reactive<Record<string, Promise<RecordType>>>({})
let entries: Promise<TypeEntry[]> | null = null
let entriesLang = ''

export function typeEntries(): Promise<TypeEntry[]> {
  if (!entries || entriesLang !== lang.value) {
    entriesLang = lang.value
    entries = get<TypeEntry[] | { items: TypeEntry[] }>('core/types').then((all) => (Array.isArray(all) ? all : all.items))
    entries.catch(() => (entries = null))
  }
  return entries
}

export async function loadType(pack: string, name: string, t: (key: string) => string): Promise<RecordType> {
  const key = `${lang.value}/${pack}.${name}`
  if (!cache[key]) {
    const job = (async () => {
      const [schema, all] = await Promise.all([
        get<Schema>(`core/types/${pack}/${name}`),
        typeEntries().catch(() => [] as TypeEntry[]),
      ])
      const type = typeFrom(pack, name, schema, t)
      const entry = all.find((one) => one.pack === pack && one.type === name)
      if (!type.permissions.length && entry) type.permissions = entry.permissions ?? []
      return type
    })()
    job.catch(() => delete cache[key])
    cache[key] = job
  }
  return cache[key]
}

export function forgetTypes(): void {
  for (const key of Object.keys(cache)) delete cache[key]
  entries = null
}

/* The text that names a record: its label, or code and label. */
export function recordLabel(type: RecordType, row: Row): string {
  return String(row[type.label] ?? (type.code && row[type.code]) ?? row.id)
}

/* The label of a code or a reference, as the server sent it beside the record. */
export function labelOf(row: Row, name: string): string | undefined {
  const labels = row._labels as Record<string, unknown> | undefined
  const label = labels?.[name]
  return typeof label === 'string' ? label : undefined
}
