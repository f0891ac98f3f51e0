// A small stand-in for the server, for building pages before the real one has everything.  Development
// only: it is never built into the product.  Record types and data come from packs/; all else is made up.
//   node mock/server.mjs [PORT]     then `npm run dev` and open http://127.0.0.1:5173 (demo / demo)
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as world from './world.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const port = Number(process.argv[2] ?? process.env.PORT ?? 5180)
const types = new Map()
const rows = new Map()
let lastId = 100000

function csv(text) {
  const out = [[]]
  let cell = ''
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    if (quoted) {
      if (c === '"' && text[i + 1] === '"') cell += text[++i]
      else if (c === '"') quoted = false
      else cell += c
    } else if (c === '"') quoted = true
    else if (c === ',' || c === '\n') {
      out.at(-1).push(cell.replace(/\r$/, ''))
      cell = ''
      if (c === '\n') out.push([])
    } else cell += c
  }
  return out.filter((row) => row.length > 1)
}

for (const pack of readdirSync(join(root, 'packs'))) {
  const dir = join(root, 'packs', pack, 'types')
  if (existsSync(dir))
    for (const file of readdirSync(dir)) types.set(`${pack}.${file.slice(0, -5)}`, JSON.parse(readFileSync(join(dir, file), 'utf8')))
}
for (const [name, schema] of Object.entries(world.types)) if (!types.has(name)) types.set(name, schema)
for (const name of types.keys()) rows.set(name, [])

const stamp = (row) => ({ version: 1, created_at: '2026-11-02T09:12:00+08:00', created_by: '1', updated_at: '2026-11-18T16:40:00+08:00', updated_by: '1', ...row })
for (const pack of readdirSync(join(root, 'packs'))) {
  const dir = join(root, 'packs', pack, 'data')
  if (!existsSync(dir)) continue
  for (const file of readdirSync(dir).filter((f) => f.endsWith('.csv')).sort()) {
    const name = file.replace(/^\d+-/, '').slice(0, -4)
    const schema = types.get(name)
    if (!schema) continue
    const [head, ...lines] = csv(readFileSync(join(dir, file), 'utf8'))
    for (const line of lines) {
      const row = { id: String(++lastId) }
      head.forEach((column, i) => {
        const property = schema.properties[column]
        if (!line[i]) return
        const ref = property?.['x-ref']
        row[column] = ref ? (rows.get(ref)?.find((r) => r.code === line[i])?.id ?? line[i]) : property?.type === 'integer' ? Number(line[i]) : line[i]
      })
      rows.get(name).push(stamp(row))
    }
  }
}
for (const [name, list] of Object.entries(world.records(rows))) {
  if (!rows.has(name)) rows.set(name, [])
  rows.get(name).push(...list.map((row) => stamp({ id: String(++lastId), ...row })))
}

const sessions = new Set()
const problem = (status, title, more = {}) => ({ status, body: { type: 'about:blank', title, status, instance: 'r-' + Math.random().toString(36).slice(2, 10), ...more } })
const ok = (body, headers) => ({ status: 200, body, headers })

function matches(row, filter) {
  /* Just enough of FEEL for the chips. */
  return filter.split(' and ').every((part) => {
    let m
    if ((m = /^contains\((\w+), "(.*)"\)$/.exec(part))) return String(row[m[1]] ?? '').includes(m[2])
    if ((m = /^(not\()?(\w+) in \((.*?)\)\)?$/.exec(part))) return m[3].split(', ').map((v) => v.replaceAll('"', '')).includes(String(row[m[2]])) !== !!m[1]
    if ((m = /^(\w+) (=|!=|>=|<=) (?:date and time\(|date\()?"?([^")]*)"?\)?$/.exec(part))) {
      const [, name, op, value] = m
      if (value === 'null') return (row[name] == null) === (op === '=')
      const own = row[name]
      if (op === '=') return String(own) === value
      if (op === '!=') return String(own) !== value
      const [a, b] = /^\d{4}-/.test(value) ? [Date.parse(own), Date.parse(value)] : [Number(own), Number(value)]
      return op === '>=' ? a >= b : a <= b
    }
    return true
  })
}

function labels(name, row) {
  const out = {}
  for (const [field, p] of Object.entries(types.get(name)?.properties ?? {})) {
    if (row[field] == null || !p['x-ref']) continue
    const target = rows.get(p['x-ref'])?.find((r) => r.id === row[field]) ?? world.engine[p['x-ref']]?.find((r) => r.id === row[field])
    if (target) out[field] = target.name ?? target.title ?? target.code
  }
  return { ...row, _labels: out }
}

function records(req, name, id, rest, query, body) {
  const list = rows.get(name)
  if (!list) return problem(404, 'not found')
  if (rest === 'import') return ok({ rows: 12, created: 10, updated: 2, unchanged: 0 })
  if (id === 'export') return { status: 200, text: 'code,name\n', headers: { 'Content-Type': 'text/csv', 'Content-Disposition': `attachment; filename="${name}.csv"` } }
  if (!id) {
    if (req.method === 'POST') {
      const row = stamp({ id: String(++lastId), ...body })
      list.unshift(row)
      return { status: 201, body: row, headers: { ETag: '"1"' } }
    }
    let found = list
    if (query.get('filter')) found = found.filter((row) => matches(row, query.get('filter')))
    if (query.get('q')) found = found.filter((row) => JSON.stringify(row).includes(query.get('q')))
    if (query.get('count')) return ok({ count: found.length, exact: true })
    const sort = query.get('sort')
    if (sort) {
      const field = sort.replace(/^-/, '')
      found = [...found].sort((a, b) => (a[field] > b[field] ? 1 : -1) * (sort[0] === '-' ? -1 : 1))
    }
    const limit = Number(query.get('limit') ?? 50)
    const from = Number(query.get('after') ?? 0)
    return ok({ items: found.slice(from, from + limit).map((r) => labels(name, r)), next: from + limit < found.length ? String(from + limit) : null })
  }
  const row = list.find((r) => r.id === id)
  if (!row) return problem(404, '没有找到')
  if (rest === 'history') return ok({ items: world.history(row) })
  if (req.method === 'DELETE') return list.splice(list.indexOf(row), 1), { status: 204 }
  if (req.method === 'PATCH') {
    if (req.headers['if-match'] !== `"${row.version}"`) return problem(412, '保存前已有人修改')
    Object.assign(row, body, { version: row.version + 1 })
  }
  return { status: 200, body: labels(name, row), headers: { ETag: `"${row.version}"` } }
}

function api(req, path, query, body) {
  const [a, b, c, d] = path
  const name = `${a}.${b}`
  if (a === 'core') {
    if (b === 'session' && req.method === 'POST' && !c) {
      if (body.user !== 'demo' || body.password !== 'demo') return problem(401, '', { detail: '用户名或密码不对' })
      const key = Math.random().toString(36).slice(2)
      sessions.add(key)
      return { status: 200, body: world.session, headers: { 'Set-Cookie': `bihuan_session=${key}; HttpOnly; Path=/; SameSite=Lax` } }
    }
    const key = /bihuan_session=(\w+)/.exec(req.headers.cookie ?? '')?.[1]
    if (!key || !sessions.has(key)) return problem(401, '', { detail: '请先登录' })
    if (b === 'session' && req.method === 'DELETE') return sessions.delete(key), { status: 204 }
    if (b === 'session') return ok(world.session)
    if (b === 'types' && !c)
      return ok([...types].map(([full, s]) => ({ pack: full.split('.')[0], type: full.split('.')[1], kind: s['x-kind'], title: s['x-title'] ?? s.title, permissions: ['read', 'create', 'update', 'delete', 'import'] })))
    if (b === 'types') return types.has(`${c}.${d}`) ? ok(types.get(`${c}.${d}`)) : problem(404, '没有找到')
    if (b === 'words') return ok({})
    const made = world.answer(req.method, path.slice(1), query, body, rows)
    if (made !== undefined) return made === null ? { status: 204 } : ok(made)
    if (!rows.has(name)) return problem(404, '没有找到')
  }
  return records(req, name, c, d, query, body)
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' }
const dist = join(root, 'web/dist')

createServer((req, res) => {
  const url = new URL(req.url, 'http://mock')
  if (!url.pathname.startsWith('/api/v1/')) {
    let file = join(dist, url.pathname)
    if (!existsSync(file) || statSync(file).isDirectory()) file = join(dist, 'index.html')
    res.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(readFileSync(file))
    return
  }
  if (url.pathname === '/api/v1/core/events') {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).write(': hello\n\n')
    const timer = setInterval(() => res.write(': beat\n\n'), 15000)
    req.on('close', () => clearInterval(timer))
    return
  }
  const chunks = []
  req.on('data', (chunk) => chunks.push(chunk))
  req.on('end', () => {
    let body = {}
    try {
      body = JSON.parse(Buffer.concat(chunks).toString() || '{}')
    } catch {
      /* a table */
    }
    const answer = api(req, url.pathname.slice('/api/v1/'.length).split('/').map(decodeURIComponent), url.searchParams, body)
    const json = answer.status >= 400 ? 'application/problem+json' : 'application/json'
    res.writeHead(answer.status, { 'Content-Type': json, ...answer.headers })
    res.end(answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body)))
  })
}).listen(port, '127.0.0.1', () => console.log(`mock http://127.0.0.1:${port}`))
