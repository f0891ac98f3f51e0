// What the browser tests share: the real binary on a free port, Debian's Chromium, claims.
//
// BIHUAN_BIN names the binary (default build/bihuan).  Prints a line a claim, ends with `N passed, N failed`.
import { spawn } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from '../../../web/node_modules/playwright-core/index.mjs'

export const root = fileURLToPath(new URL('../../..', import.meta.url))
const BIN = process.env.BIHUAN_BIN ?? join(root, 'build/bihuan')
export const PASSWORD = 'Correct-Horse-9'
let passed = 0
let failed = 0

export function check(claim, holds, shown) {
  if (holds) passed++
  else failed++
  console.log((holds ? 'ok      ' : 'FAILED  ') + claim + (holds || shown === undefined ? '' : `\n        ${typeof shown === 'string' ? shown : JSON.stringify(shown)}`))
  return !!holds
}

export function done() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed || !passed ? 1 : 0
}

/* Polls until fn() is true; answers the last value. */
export async function until(fn, ms = 10_000) {
  const end = Date.now() + ms
  for (;;) {
    const value = await fn()
    if (value || Date.now() > end) return value
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

export class Server {
  /* Further packs (folders below the root) may lead: Server.start(['tests/packs/hotline'], '--demo'). */
  static async start(...more) {
    const self = new Server()
    const others = Array.isArray(more[0]) ? more.shift() : []
    self.dir = mkdtempSync(join(tmpdir(), 'bihuan-browser-'))
    /* the catalogue without the demo's own checks, whose alarms are not the test's */
    const packs = join(self.dir, 'packs')
    cpSync(join(root, 'packs'), packs, { recursive: true })
    rmSync(join(packs, 'catalogue', 'demo'), { recursive: true, force: true })
    for (const one of others) cpSync(join(root, one), join(packs, basename(one)), { recursive: true })
    self.child = spawn(BIN, ['serve', '--data', join(self.dir, 'data'), '--port', '0', '--packs', packs, ...more], { stdio: ['ignore', 'pipe', 'pipe'] })
    self.log = ''
    process.on('exit', () => self.child.kill('SIGKILL')) /* a test that breaks off leaves nothing behind */
    self.child.stderr.on('data', (chunk) => (self.log += chunk))
    let out = ''
    await new Promise((resolve, reject) => {
      self.child.stdout.on('data', (chunk) => {
        out += chunk
        if (/^ready$/m.test(out)) resolve()
      })
      self.child.on('exit', (code) => reject(new Error(`serve ended with ${code}: ${out} ${self.log.slice(-2000)}`)))
      setTimeout(() => reject(new Error('serve is not ready after 60 s: ' + out)), 60_000).unref()
    })
    self.url = /^address (\S+)$/m.exec(out)[1].replace(/\/$/, '')
    const first = /^first password (\S+) (\S+)$/m.exec(out)
    self.firstPassword = first && existsSync(first[2]) ? readFileSync(first[2], 'utf8').trim() : first?.[2]
    return self
  }

  async stop() {
    const gone = new Promise((resolve) => this.child.on('exit', resolve))
    this.child.kill('SIGTERM')
    const code = await Promise.race([gone, new Promise((resolve) => setTimeout(() => resolve('still there'), 15_000))])
    if (code === 'still there') this.child.kill('SIGKILL')
    rmSync(this.dir, { recursive: true, force: true })
    return code
  }
}

/* The HTTP interface beside the browser, for what the other person does. */
export class Client {
  constructor(url) {
    this.base = url + '/api/v1/'
  }

  async call(method, path, body, headers = {}) {
    const response = await fetch(this.base + path, {
      method,
      headers: { 'Accept-Language': 'zh-CN', ...(this.cookie ? { Cookie: this.cookie, 'X-CSRF-Token': this.csrf } : {}), ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    const text = await response.text()
    return { status: response.status, json: text ? JSON.parse(text) : null, headers: response.headers }
  }

  async login(user, password) {
    const answer = await this.call('POST', 'core/session', { user, password })
    this.cookie = answer.headers.get('set-cookie')?.split(';')[0]
    this.csrf = answer.json?.csrf
    return answer
  }
}

export const CHROMIUM = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']

export async function launch() {
  return chromium.launch({ executablePath: '/usr/bin/chromium', args: CHROMIUM })
}

/* A page that notes what must not happen: errors, and requests to anybody but our server. */
export async function open(browser, server, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN', timezoneId: 'UTC', ...options })
  const page = await context.newPage()
  const seen = { errors: [], strangers: [] }
  page.on('pageerror', (error) => seen.errors.push(error.message))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) seen.errors.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !/^(data|blob):/.test(request.url())) seen.strangers.push(request.url())
  })
  page.setDefaultTimeout(20_000)
  return { context, page, seen }
}

export async function login(page, server, user = 'admin', password = PASSWORD) {
  await page.goto(server.url + '/login')
  await page.fill('#user', user)
  await page.fill('#password', password)
  await page.press('#password', 'Enter')
  await page.waitForSelector('.shell h1')
}

/* Changes the one-time password by the interface, for tests that are about something else. */
export async function settle(server) {
  const client = new Client(server.url)
  await client.login('admin', server.firstPassword)
  await client.call('POST', 'core/session/password', { old: server.firstPassword, new: PASSWORD })
  await client.login('admin', PASSWORD)
  /* the first-start guide is a test's own affair */
  const settings = await client.call('GET', 'core/settings')
  await client.call('PATCH', 'core/settings', { 'start.guide_done': true }, { 'If-Match': `"${settings.json.version}"` })
  return client
}
