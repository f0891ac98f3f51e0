// The pages for whoever reads them: by keyboard alone, by a screen reader's names, in enough contrast, on paper, on a
// phone with a thousand rows, in the account's language, in the dark, and when something is wrong.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { check, Client, done, launch, login, open, PASSWORD, Server, settle, until } from './harness.mjs'

/* What has no name, more than one heading, an id twice: as axe would find it. */
const faults = (page) =>
  page.evaluate(() => {
    const out = []
    const seen = (one) => one.checkVisibility({ visibilityProperty: true }) && !one.closest('[aria-hidden=true]')
    const name = (one) =>
      [one.getAttribute('aria-label'), one.getAttribute('title'), one.getAttribute('alt'), one.textContent, ...(one.labels ? [...one.labels].map((label) => label.textContent) : []), ...(one.getAttribute('aria-labelledby') ?? '').split(' ').map((id) => (id ? document.getElementById(id)?.textContent : ''))].some((text) => text?.trim())
    for (const one of document.querySelectorAll('button, a[href], input:not([type=hidden]), select, textarea, img, [role=button], [role=link], [role=progressbar], [role=img]'))
      if (seen(one) && !name(one) && !one.hasAttribute('alt')) out.push(`no name: ${one.outerHTML.slice(0, 120)}`)
    const heads = [...document.querySelectorAll('h1')].filter(seen)
    if (heads.length !== 1) out.push(`${heads.length} h1: ${heads.map((one) => one.textContent)}`)
    const ids = [...document.querySelectorAll('[id]')].map((one) => one.id)
    for (const id of new Set(ids.filter((id, i) => ids.indexOf(id) !== i))) out.push(`id twice: ${id}`)
    if (!document.querySelector('main')) out.push('no main')
    return out
  })

/* The ratio of WCAG 2.1 between what is written and what it is written on, by the tokens. */
const contrast = (page) =>
  page.evaluate(() => {
    const style = getComputedStyle(document.documentElement)
    const light = (token) => {
      const probe = document.createElement('i')
      probe.style.color = style.getPropertyValue(token)
      document.body.append(probe)
      const [r, g, b] = getComputedStyle(probe).color.match(/[\d.]+/g).map((one) => Number(one) / 255).map((one) => (one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
      probe.remove()
      return 0.2126 * r + 0.7152 * g + 0.0722 * b
    }
    const pairs = []
    for (const ground of ['--bg', '--bg-shell', '--bg-hover', '--bg-sunken']) for (const ink of ['--text', '--text-2', '--text-3', '--accent', '--bad', '--good']) pairs.push([ink, ground])
    for (const n of [1, 2, 3, 4]) pairs.push([`--grade-${n}`, '--bg'], ['--text', `--grade-${n}-soft`], ['--bg', `--grade-${n}`])
    pairs.push(['--on-accent', '--accent'], ['--on-accent', '--accent-strong'], ['--text', '--accent-soft'], ['--text', '--mark'])
    return pairs
      .map(([ink, ground]) => {
        const [a, b] = [light(ink), light(ground)]
        return [ink, ground, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]
      })
      .filter(([, , ratio]) => ratio < 4.5)
      .map(([ink, ground, ratio]) => `${ink} on ${ground} ${ratio.toFixed(2)}`)
  })

const focused = (page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.tagName)
/* Walks on with Tab until a place is reached; whatever it passes must show that it has the focus. */
async function walk(page, selector, most = 60) {
  const hidden = []
  for (let i = 0; i < most; i++) {
    const at = await page.evaluate((selector) => {
      const one = document.activeElement
      if (!one || one === document.body) return { here: false, shown: true }
      const style = getComputedStyle(one)
      const around = one.closest('.el-input__wrapper, .el-select__wrapper, .el-textarea, .search, .el-radio, .levels, label')
      const shown = (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== 'none' || !!(around && (getComputedStyle(around).boxShadow !== 'none' || getComputedStyle(around).outlineStyle !== 'none' || around.matches(':focus-within')))
      return { here: one.matches(selector), shown, what: one.outerHTML.slice(0, 90) }
    }, selector)
    if (!at.shown) hidden.push(at.what)
    if (at.here) return { reached: true, hidden }
    await page.keyboard.press('Tab')
  }
  return { reached: false, hidden }
}

/* What lies on the paper: its pages and its words. */
async function paper(page, server, name) {
  const path = join(server.dir, `${name}.pdf`)
  await page.pdf({ path, preferCSSPageSize: true })
  const pages = Number(/Pages:\s+(\d+)/.exec(execFileSync('pdfinfo', [path]).toString())[1])
  return { pages, text: execFileSync('pdftotext', ['-layout', path, '-']).toString() }
}

const server = await Server.start('--demo')
const admin = await settle(server)
const make = async (path, body) => {
  const answer = await admin.call('POST', path, body)
  if (answer.status >= 300) throw new Error(`${path}: ${JSON.stringify(answer.json)}`)
  return answer.json
}
const service = (await admin.call('GET', `ops/service?filter=${encodeURIComponent('code = "xc-R001"')}`)).json.items[0]
const ticket = await make('ops/ticket', { title: '门户打不开', service: service.id, level: '1', channel: 'phone', description: '用户来电' })
for (const n of [1, 2, 3]) await make('core/alarms/signal', { key: `reader-${n}`, title: `链路中断 ${n}`, grade: n, service: service.id })
await make('core/channel', { code: 'hook', name: '值班群', kind: 'webhook', url: 'https://hook.invalid/x', enabled: true })
await make('core/channel', { code: 'post', name: '邮箱', kind: 'mail', url: 'smtp://mail.invalid:25', enabled: true })
const rota = await make('core/rota', { code: 'noc', name: '值班室' })
await make('core/shift', { rota: rota.id, person: (await admin.call('GET', 'core/session')).json.user.id, starts_at: '2026-01-01T00:00:00+08:00', ends_at: '2026-01-01T12:00:00+08:00', repeat_days: 1 })
const rows = Array.from({ length: 400 }, (_, i) => `READ-${String(i).padStart(4, '0')},第 ${i} 台,server`).join('\n')
const sent = await fetch(`${server.url}/api/v1/ops/system/import`, { method: 'POST', headers: { 'Content-Type': 'text/csv', Cookie: admin.cookie, 'X-CSRF-Token': admin.csrf }, body: `code,name,kind\n${rows}\n` })
if (!sent.ok) throw new Error(await sent.text())
const model = `<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" id="m" name="m" namespace="urn:reader"><inputData id="n" name="score"><variable name="score" typeRef="number"/></inputData><decision id="d" name="grade"><variable name="grade" typeRef="string"/><informationRequirement><requiredInput href="#n"/></informationRequirement><decisionTable id="t"><input id="i"><inputExpression id="ie" typeRef="number"><text>score</text></inputExpression></input><output id="o" typeRef="string"/><rule id="r1"><inputEntry id="c1"><text>&lt; 60</text></inputEntry><outputEntry id="c2"><text>"D"</text></outputEntry></rule></decisionTable></decision></definitions>`
const decision = await make('core/decisions', { code: 'reader', title: '信用等级', model })

const browser = await launch()
let running = true
try {
  /* ---- the keyboard alone, from the login to a ticket ---- */
  const { page, seen } = await open(browser, server)
  await page.addInitScript(() => localStorage.getItem('bihuan.prefs') ?? localStorage.setItem('bihuan.prefs', JSON.stringify({ lang: 'en' })))
  await page.goto(server.url + '/login')
  await page.waitForSelector('#user')
  check('the login begins in its first field', await until(async () => (await focused(page)) === 'user'), await focused(page))
  check('everything there has a name', !(await faults(page)).length, await faults(page))
  await page.keyboard.type('admin')
  await page.keyboard.press('Tab')
  await page.keyboard.type(PASSWORD)
  await page.keyboard.press('Enter')
  await page.waitForSelector('.shell h1')
  check('the page speaks the language of the account, whatever another left in this browser', await until(async () => (await page.getAttribute('html', 'lang')) === 'zh-CN'), await page.getAttribute('html', 'lang'))
  await page.goto(server.url + '/alarms')
  await page.waitForSelector('table.alarms tr[data-id]')
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  const second = await page.getAttribute('tr.current', 'data-id')
  await page.keyboard.press('a')
  await page.waitForSelector('#ask-remark')
  check('a dialog takes the focus', await until(() => page.evaluate(() => !!document.activeElement?.closest('.el-dialog'))))
  await page.keyboard.press('Escape')
  await page.waitForSelector('.el-dialog', { state: 'hidden' })
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/alarms/${second}`)
  check('j, a, Escape, Enter: an alarm is open', true)
  await page.goto(`${server.url}/r/ops/ticket/${ticket.id}`)
  await page.waitForSelector('.claim .btn')
  const way = await walk(page, '.claim .btn')
  check('Tab leads to what is to be done with a ticket', way.reached)
  check('and the focus is seen at every place on the way', !way.hidden.length, way.hidden)
  await page.keyboard.press('Enter')
  check('Enter takes it', await until(async () => (await page.locator('.claim .btn').count()) === 0))

  /* ---- names, headings, contrast ---- */
  const unsaid = []
  for (const path of ['/', '/alarms', '/tasks', '/notices', '/rota', '/channels', '/me', '/settings', '/audit', '/people/users', '/people/keys', '/jobs', '/reports', '/r/ops/system', '/r/ops/ticket/new', `/r/ops/ticket/${ticket.id}`, `/r/ops/service/${service.id}`, `/reports/service/${service.id}`, `/decisions/${decision.id}`, '/help', '/nowhere', '/r/ops/ticket/1']) {
    await page.goto(server.url + path)
    await page.waitForSelector('h1')
    await page.waitForFunction(() => !document.querySelector('.skeleton'))
    for (const fault of await faults(page)) unsaid.push(`${path} ${fault}`)
  }
  check('22 pages: everything has a name, one heading, no id twice', !unsaid.length, unsaid)
  check('contrast in the light', !(await contrast(page)).length, await contrast(page))
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.waitForSelector('html.dark')
  check('contrast in the dark', !(await contrast(page)).length, await contrast(page))
  await page.goto(`${server.url}/decisions/${decision.id}`)
  await page.waitForSelector('.tjs-table td.rule-index')
  const drawn = await page.evaluate(() => ({ ground: getComputedStyle(document.querySelector('.dmn-decision-table-container .tjs-table td.cell')).backgroundColor, ink: getComputedStyle(document.querySelector('.dmn-decision-table-container td.cell .content-editable')).color, box: getComputedStyle(document.querySelector('.editor .box')).backgroundColor, row: document.querySelector('.tjs-table tbody tr').getBoundingClientRect().height }))
  check('a decision table is dark as well, its rows as high as a line', drawn.box === 'rgb(23, 24, 28)' && drawn.ink === 'rgb(232, 233, 237)' && drawn.row < 40, drawn)
  await page.emulateMedia({ colorScheme: 'light' })

  /* ---- the days of a week each once ---- */
  await page.goto(server.url + '/rota')
  await page.waitForSelector('.week .day')
  const days = await page.$$eval('.week .day', (all) => all.map((one) => one.textContent.trim().split(' ')[0]))
  check('a week has seven days, Monday first', days.join() === '周一,周二,周三,周四,周五,周六,周日', days)

  /* ---- by which channel I hear of what ---- */
  await page.goto(server.url + '/me')
  const choose = async (topic, label) => {
    await page.focus(`#notice-${topic}`)
    await page.keyboard.press('Enter')
    const list = await page.getAttribute(`#notice-${topic}`, 'aria-controls')
    await page.locator(`#${list} .el-select-dropdown__item`).filter({ hasText: label }).click()
  }
  await page.waitForSelector('[data-test=notice-choices]')
  await choose('task', 'hook')
  const chosen = async () => (await admin.call('GET', 'core/notices/settings')).json
  const hook = (await chosen()).channels.find((one) => one.code === 'hook').id
  check('tasks go out by the channel that I chose', await until(async () => (await chosen()).task === hook), [await chosen(), await page.locator('.notice.bad').allTextContents()])
  await choose('sla', 'post')
  await page.waitForSelector('[data-test=notice-choices] .wrong')
  check('mail without an address is refused beside its field, and nothing changes', (await chosen()).sla === null && (await chosen()).task === hook, await page.textContent('[data-test=notice-choices] .wrong'))

  /* ---- on paper ---- */
  await page.goto(`${server.url}/r/ops/ticket/${ticket.id}`)
  await page.waitForSelector('.page-head h1')
  await page.waitForFunction(() => !document.querySelector('.skeleton'))
  const sheet = await paper(page, server, 'ticket')
  check('a ticket on paper: title, number, page of pages, none of the frame', /门户打不开/.test(sheet.text) && sheet.text.includes(ticket.number) && new RegExp(`1 ?/ ?${sheet.pages}\\b`).test(sheet.text) && sheet.pages <= 3 && !/工作台|系统与网站|Ctrl/.test(sheet.text), sheet)
  await page.goto(`${server.url}/r/ops/service/${service.id}`)
  await page.waitForSelector('[data-test=glance]')
  const facts = await paper(page, server, 'service')
  check('a service on paper', facts.text.includes(service.name) && facts.text.includes('年度运维报告') && facts.pages <= 4 && !/工作台|Ctrl/.test(facts.text), facts)
  await page.goto(`${server.url}/reports/service/${service.id}`)
  await page.waitForSelector('h1')
  await page.waitForFunction(() => !document.querySelector('.skeleton'))
  const report = await paper(page, server, 'report')
  check('a report on paper', report.text.includes(service.name) && /可用性/.test(report.text) && report.pages <= 4 && !/工作台|下载|Excel/.test(report.text), report)

  /* ---- a phone and many rows ---- */
  const phone = await open(browser, server, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true, storageState: await page.context().storageState() })
  await phone.page.goto(server.url + '/r/ops/system')
  await phone.page.waitForSelector('.card')
  const last = async () => {
    await phone.page.evaluate(() => (document.querySelector('.table').scrollTop = 1e9))
    return phone.page.locator('.card').last().textContent()
  }
  check('the last of four hundred comes when one scrolls', await until(async () => /READ-0399/.test(await last()), 30_000), await last())
  check('of which only those in sight are drawn', (await phone.page.locator('.card').count()) < 60, await phone.page.locator('.card').count())
  check('each as high as the others', (await phone.page.$$eval('.card', (all) => new Set(all.map((one) => one.getBoundingClientRect().height)).size)) === 1)
  await phone.page.goto(server.url + '/people/sessions')
  await phone.page.waitForSelector('table.stack tbody tr')
  check('a small table stands as cards', await phone.page.evaluate(() => getComputedStyle(document.querySelector('table.stack thead')).display === 'none' && document.querySelector('table.stack').scrollWidth <= innerWidth))
  await phone.context.close()

  /* ---- the language that is chosen before the login ---- */
  const english = await open(browser, server)
  await english.page.goto(server.url + '/login')
  await english.page.click('footer [lang=en]')
  await english.page.fill('#user', 'admin')
  await english.page.fill('#password', PASSWORD)
  await english.page.press('#password', 'Enter')
  await english.page.waitForSelector('.shell .nav a')
  check('English chosen before the login holds for the server too', await until(async () => (await english.page.textContent('.nav')).includes('Maintenance window')), await english.page.textContent('.nav'))
  const roles = []
  for (const name of ['', 'duty', 'handler', 'inspector', 'manager', 'data', 'leader', 'admin', 'rules']) {
    await english.page.goto(`${server.url}/help/${name}`)
    const text = await english.page.textContent('.manual')
    if (/[\u4e00-\u9fff]/.test(text) || text.length < 600) roles.push(`${name}: ${text.slice(0, 80)}`)
  }
  check('and the manual, whole, for each role', !roles.length, roles)
  await english.context.close()
  await admin.call('PATCH', 'core/session', { lang: 'zh-CN' })

  /* ---- when something is wrong ---- */
  const weak = await make('core/users', { login: 'weak', name: '新来的', org: (await admin.call('GET', 'core/orgs')).json.items[0].id })
  const other = new Client(server.url)
  await other.login('weak', weak.password)
  await other.call('POST', 'core/session/password', { old: weak.password, new: PASSWORD })
  const guest = await open(browser, server)
  await login(guest.page, server, 'weak')
  await guest.page.goto(server.url + '/audit')
  await guest.page.waitForSelector('.notice.bad')
  check('who may not is told so, in words', /权限/.test(await guest.page.textContent('.notice.bad')), await guest.page.textContent('.notice.bad'))
  await guest.context.close()
  await page.route('**/api/v1/core/jobs*', (route) => route.fulfill({ status: 500, contentType: 'application/problem+json', body: JSON.stringify({ title: '内部错误', status: 500, instance: 'abc123' }) }))
  await page.goto(server.url + '/jobs')
  await page.waitForSelector('.notice.bad')
  check('an error of the server comes with its number and a way on', /abc123/.test(await page.textContent('.notice.bad')) && (await page.locator('.notice.bad .btn').count()) === 1)
  await page.route('**/assets/Reports-*.js', (route) => route.fulfill({ status: 404, contentType: 'text/plain', body: '' }), { times: 1 })
  await page.goto(server.url + '/tasks')
  await page.click('.nav a[href="/reports"]')
  check('a screen of the version before is fetched anew', await until(async () => /报告/.test((await page.textContent('h1').catch(() => '')) ?? '')), page.url())
  const quiet = { errors: [...seen.errors], strangers: seen.strangers }
  check('no script error, no stranger', !quiet.errors.length && !quiet.strangers.length, quiet)
  await page.goto(server.url + '/tasks')
  await page.waitForSelector('h1')
  await server.stop()
  running = false
  await page.click('.nav a[href="/alarms"]')
  await page.waitForSelector('.toasts [role=alert], .toasts .bad')
  check('a server that is gone is said, also where the screen itself cannot come', /服务器|网络/.test(await page.textContent('.toasts')), await page.textContent('.toasts'))
} finally {
  await browser.close()
  if (running) await server.stop()
}
done()
