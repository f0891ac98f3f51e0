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

function say(claim, holds, shown) {
  if (holds) passed++
  else failed++
  console.log((holds ? 'ok      ' : 'FAILED  ') + claim + (holds || shown === undefined ? '' : `\n        ${typeof shown === 'string' ? shown : JSON.stringify(shown)}`))
  return !!holds
}

/* A claim that holds, or a function that says so within a minute: pages fill in their own time. */
export function check(claim, holds, shown) {
  if (typeof holds !== 'function') return say(claim, holds, shown)
  return (async () => {
    let fault
    const held = await until(async () => {
      try {
        return await holds()
      } catch (error) {
        fault = String(error)
        return false
      }
    }, 60_000)
    return say(claim, held, held ? undefined : ((await Promise.resolve(typeof shown === 'function' ? shown() : shown).catch(String)) ?? fault))
  })()
}

export function done() {
  console.log(`${passed} passed, ${failed} failed`)
  process.exitCode = failed || !passed ? 1 : 0
}

/* Polls until fn() is true; answers the last value. */
export async function until(fn, ms = 60_000) {
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
      setTimeout(() => reject(new Error('serve is not ready after 180 s: ' + out)), 180_000).unref()
    })
    self.url = /^address (\S+)$/m.exec(out)[1].replace(/\/$/, '')
    const first = /^first password (\S+) (\S+)$/m.exec(out)
    self.firstPassword = first && existsSync(first[2]) ? readFileSync(first[2], 'utf8').trim() : first?.[2]
    return self
  }

  async stop() {
    const gone = new Promise((resolve) => this.child.on('exit', resolve))
    this.child.kill('SIGTERM')
    const code = await Promise.race([gone, new Promise((resolve) => setTimeout(() => resolve('still there'), 60_000).unref())])
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
  page.setDefaultTimeout(60_000)
  return { context, page, seen }
}

/* Name and password at the login page; what comes then is the caller's affair. */
export async function enter(page, server, user, password) {
  await page.goto(server.url + '/login')
  await page.fill('#user', user)
  await page.fill('#password', password)
  await page.press('#password', 'Enter')
}

export async function login(page, server, user = 'admin', password = PASSWORD) {
  await enter(page, server, user, password)
  await page.waitForSelector('.shell h1')
}

/* What most tests do with a page. */
export function hands(page, server) {
  return {
    text: (selector) => page.textContent(selector),
    go: async (path) => {
      await page.goto(server.url + path)
      await page.waitForSelector('h1')
    },
    /* chooses from a list of choices by keyboard and mouse */
    pick: async (id, label) => {
      await page.focus(`#${id}`)
      await page.keyboard.press('Enter')
      const choice = page.locator('.el-select-dropdown__item:visible').filter({ hasText: label }).first()
      await choice.click()
      await choice.waitFor({ state: 'hidden' })
    },
  }
}

/* A step's box: claims the task when that is asked for, and waits until its form is whole. */
export async function take(box) {
  const claim = box.locator('.claim .btn')
  await claim.or(box.locator('form')).first().waitFor()
  if (await claim.count()) await claim.first().click()
  await box.locator('xpath=self::*[not(@aria-busy="true")]').locator('form .acts .btn.primary').waitFor()
}

/* Opens every path and notes those that are wider than the screen; `look` may add faults of its own. */
export async function tooWide(page, server, paths, look = async () => []) {
  const faults = []
  for (const path of paths) {
    await page.goto(server.url + path)
    await page.waitForSelector('h1')
    await page.waitForLoadState('networkidle', { timeout: 20_000 }).catch(() => {})
    const [has, may] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
    if (has > may) faults.push(`${path}: ${has} of ${may}`)
    faults.push(...(await look(path)))
  }
  return faults
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
