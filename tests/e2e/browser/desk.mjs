// The screens of a duty desk against the real binary: the first-start guide, the workbench, the rota, a service, the
// relations of a subject, a ticket with its level, flow and deadlines, a check that turns live.
import { createServer } from 'node:http'
import { Client, PASSWORD, Server, check, done, launch, login, open, until } from './harness.mjs'

const server = await Server.start('--demo')
const browser = await launch()
try {
  const { page, seen } = await open(browser, server)
  page.setDefaultTimeout(30_000)
  const text = (selector) => page.textContent(selector).then((one) => one.replace(/\s+/g, ' ').trim())

  /* ---- the first-start guide opens by itself after the password was changed ---- */
  await page.goto(server.url + '/')
  await page.fill('#user', 'admin')
  await page.fill('#password', server.firstPassword)
  await page.press('#password', 'Enter')
  await page.waitForSelector('#new')
  if (await page.locator('#old').count()) await page.fill('#old', server.firstPassword)
  await page.fill('#new', PASSWORD)
  await page.fill('#again', PASSWORD)
  await page.press('#again', 'Enter')
  await page.waitForURL(/\/start$/)
  await page.waitForSelector('.start li.done')
  await check('the guide opens by itself on the first start', async () => (await page.locator('.start li').count()) === 4)
  await page.getByRole('button', { name: '稍后再说' }).click()
  await page.waitForSelector('[data-test=clocks]')
  await check('put off, it leaves the workbench alone but for one line', async () => (await page.locator('.guide').count()) === 1)
  await page.reload()
  await page.waitForSelector('[data-test=clocks]')
  check('and does not come again in this tab', !page.url().endsWith('/start'))
  await page.locator('.guide a').click()
  await page.waitForSelector('.start li.next')
  await page.getByRole('button', { name: '不再显示' }).click()
  await page.waitForSelector('[data-test=clocks]')
  const other = await open(browser, server)
  await login(other.page, server)
  await other.page.waitForSelector('[data-test=clocks]')
  await check('put away, it never returns, in another browser neither', async () => (await other.page.locator('.guide').count()) === 0)
  await other.context.close()

  const client = new Client(server.url)
  await client.login('admin', PASSWORD)
  const one = async (path) => (await client.call('GET', path)).json.items[0]
  const make = async (path, body) => {
    const answer = await client.call('POST', path, body)
    if (answer.status !== 201) throw new Error(`${path}: ${JSON.stringify(answer.json)}`)
    return answer.json
  }
  const service = await one('ops/service?filter=' + encodeURIComponent('code = "xc-R001"'))
  const me = (await client.call('GET', 'core/session')).json.user.id

  /* ---- the workbench: what breaks next, what is owed ---- */
  const ticket = await make('ops/ticket', { title: '门户打不开', service: service.id, level: '1', channel: 'phone' })
  await check('a new case is on the workbench at once', async () => (await page.locator('[data-test=clocks] .dues li').count()) === 3)
  const bars = await page.locator('[data-test=clocks] [role=progressbar]').evaluateAll((all) => all.map((one) => Number(one.getAttribute('aria-valuenow'))))
  await check('with the share of each limit, what breaks first on top', async () => bars.length === 3 && (await text('[data-test=clocks] .dues li >> nth=0')).includes('响应'), bars)
  const due = (await client.call('GET', 'core/clocks/due?when=ahead')).json.items
  check('the route says limit and share', due.length === 3 && due[0].limit_ms === 600_000 && due[0].share >= 0 && due[0].share < 0.2 && due[0].warn_at < due[0].due_at, due[0])
  await check('a word that is none is refused', async () => (await client.call('GET', 'core/clocks/due?when=soon')).status === 422)
  const tally = await page.locator('[data-test=duties] .tally dd').allTextContents()
  check('duties: overdue, today, this period, done', tally.length === 4 && Number(tally[2]) > 100, tally)

  /* ---- the service at a glance ---- */
  const current = (await client.call('GET', `ops/service/${service.id}`)).json
  const soon = new Date(Date.now() + 20 * 86_400_000).toISOString().slice(0, 10)
  await client.call('PATCH', `ops/service/${service.id}`, { valid_from: '2026-01-01', valid_to: soon }, { 'If-Match': `"${current.version}"` })
  await make('ops/key_date', { code: 'desk-1', service: service.id, name: '重保演练', first_day: soon, last_day: soon, protected: true })
  await make('ops/quota', { code: 'desk-2', service: service.id, name: '驻场工程师', bound: 'min', amount: 2, period: 'P1M' })
  await page.goto(`${server.url}/r/ops/service/${service.id}`)
  await page.waitForSelector('[data-test=glance]')
  await check('the contract says how long it still runs', async () => /还剩 (19|20) 天/.test(await text('[data-test=glance]')), () => text('[data-test=glance]'))
  await check('key dates and quotas are there', async () => /重保演练/.test(await text('[data-test=terms]')) && /驻场工程师.*不少于 2/.test(await text('[data-test=terms]')), () => text('[data-test=terms]'))
  const duty = page.locator('[data-test=duties] .duty').filter({ hasText: '年度运维报告' })
  await duty.getByRole('link', { name: '登记' }).click()
  await page.waitForURL(/ops\/deed\/new/)
  await page.waitForSelector('label[for=f-duty]')
  await page.keyboard.press('Control+Enter')
  await page.waitForURL(/ops\/deed\/\d+$/)
  await page.goto(`${server.url}/r/ops/service/${service.id}`)
  await page.waitForSelector('[data-test=glance]')
  await check('a duty that was noted is done', async () => (await duty.getByRole('link', { name: '登记' }).count()) === 0)

  /* ---- the rota: a gap, a swap, and back ---- */
  const rota = await make('core/rota', { code: 'noc', name: '值班室' })
  const morning = new Date(Date.now() + 8 * 3600_000).toISOString().slice(0, 10)
  await make('core/shift', { rota: rota.id, person: me, starts_at: `${morning}T00:00:00+08:00`, ends_at: `${morning}T12:00:00+08:00`, repeat_days: 7 })
  const org = (await client.call('GET', 'core/orgs')).json.items[0].id
  const li = await make('core/users', { login: 'li', name: '李晓梅', org })
  await page.goto(server.url + '/rota')
  await page.waitForSelector('.week .span.usual')
  await check('the week shows the shift and where nobody is', async () => (await page.locator('.week .span.usual').count()) === 1 && (await page.locator('.week .span.gap').count()) >= 1)
  await page.locator('.week .span.usual').click()
  await page.locator('#swap-person').click()
  await page.locator('.el-select-dropdown__item').filter({ hasText: '李晓梅' }).click()
  await page.getByRole('button', { name: '换班', exact: true }).click()
  await page.waitForSelector('.week .span.swap')
  await check('a swap names who stands in and for whom', async () => /李晓梅.*代/.test(await text('.week .span.swap')), () => text('.week .span.swap'))
  const span = (await client.call('GET', `core/rota/calendar?from=${morning}T00:00:00%2B08:00&to=${morning}T12:00:00%2B08:00`)).json.items
  check('and the route says the same', span.length === 1 && span[0].person.id === li.id && span[0].instead_of.id === me, span)
  await check('a span that is too long is refused', async () => (await client.call('GET', 'core/rota/calendar?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z')).status === 422)
  await page.locator('.week .span.swap').click()
  await page.getByRole('button', { name: '撤销换班' }).click()
  await check('and is taken back', async () => (await page.locator('.week .span.swap').count()) === 0)
  await page.getByRole('button', { name: '月', exact: true }).click()
  await page.waitForSelector('.month .cell.today .span')
  await check('the month has whole weeks', async () => (await page.locator('.month .cell').count()) % 7 === 0)
  await page.setViewportSize({ width: 390, height: 844 })
  await page.waitForSelector('.agenda .today .entry')
  await check('on a phone the days stand below each other, nothing sticks out', async () => await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth))
  await page.setViewportSize({ width: 1440, height: 900 })

  /* ---- relations with their states, and who is hit ---- */
  const types = { room: '机房', host: '服务器', site: '网站' }
  const made = {}
  for (const [code, name] of Object.entries(types)) made[code] = await make('ops/system', { code: `desk-${code}`, name, kind: 'application' })
  await make('core/relation', { from: made.site.id, to: made.host.id, kind: 'runs_on' })
  await make('core/relation', { from: made.host.id, to: made.room.id, kind: 'depends_on' })
  await client.call('POST', 'core/alarms/signal', { key: 'desk', title: '磁盘将满', subject: made.host.id, grade: 2 })
  const graph = await until(async () => {
    const answer = (await client.call('GET', `core/subjects/${made.room.id}/graph?depth=1&walk=impact`)).json
    return answer.nodes?.find((node) => node.id === made.host.id)?.state === 'problem' && answer
  })
  check('the graph tells state and grade, and what lies past the depth', graph && graph.nodes.find((node) => node.id === made.host.id).grade === 2 && graph.nodes.find((node) => node.id === made.host.id).more === 1, graph)
  await page.goto(`${server.url}/r/ops/system/${made.room.id}`)
  await page.waitForSelector('[data-test=relations] .node.problem.g2')
  await check('a node in trouble is marked by grade', async () => /服务器/.test(await text('.node.problem')))
  await page.getByRole('button', { name: '影响谁' }).click()
  await check('who is hit when it fails, in words', async () => /受影响 2 个/.test(await text('[data-test=relations] .summary')), () => text('[data-test=relations] .summary'))
  await page.locator('[data-test=relations] .list a').first().focus()
  await check('the list lights its node up', async () => (await page.locator('.node.hot').count()) === 1)
  await page.keyboard.press('Enter')
  await page.waitForURL(new RegExp(`/r/ops/system/${made.host.id}`))
  check('and leads there by keyboard', true)

  /* ---- a ticket: level from the service's matrix, flow picture, deadlines ---- */
  await page.goto(`${server.url}/r/ops/ticket/${ticket.id}`)
  await page.waitForSelector('.levels .level')
  const levels = (await client.call('GET', `core/levels/ops/ticket?service=${service.id}`)).json.items
  await check('the levels are those of the matrix, with their limits', async () => levels.length === (await page.locator('.levels .level').count()) && levels.some((level) => level.level === 'emergency' && level.source === 'own'), levels)
  await check('each says what it binds to', async () => /响应 10 分钟.*恢复 1 小时/.test(await text('.levels .level >> nth=0')), () => text('.levels .level >> nth=0'))
  await check('a type that is no case has none', async () => (await client.call('GET', `core/levels/ops/service?service=${service.id}`)).status === 404)
  await page.locator('.levels input[value="2"]').check()
  await page.locator('.task-box .acts .primary').click()
  await check('the choice went into the case', async () => (await client.call('GET', `core/cases/${ticket.id}`)).json.level === '2')
  await check('gateways are diamonds, timers sit on the edge', async () => (await page.locator('.flow .gateway').count()) === 2 && (await page.locator('.flow .hands').count()) === 1)
  await check('the way gone is marked, and where it is', async () => (await page.locator('.flow .edge.passed').count()) >= 2 && (await page.locator('.flow .node.here').count()) === 1)
  await check('the deadlines are a picture', async () => (await page.locator('[data-test=axis] .lane .due').count()) >= 2)

  /* ---- a check turns, live ---- */
  let healthy = true
  const target = createServer((_, reply) => (healthy ? reply.end('ok') : reply.writeHead(500).end()))
  await new Promise((resolve) => target.listen(0, '127.0.0.1', resolve))
  const probe = await make('ops/check', { name: '门户', kind: 'http', url: `http://127.0.0.1:${target.address().port}/`, interval_s: 1, timeout_s: 1, subject: made.site.id })
  await until(async () => (await client.call('GET', `core/checks/${probe.id}/state`)).json?.nodes?.[0]?.up === true)
  await page.goto(`${server.url}/r/ops/check/${probe.id}`)
  await page.waitForSelector('.strip')
  await until(() => page.evaluate(() => document.querySelector('.section-head h2')?.textContent.includes('正常')))
  healthy = false
  const from = Date.now()
  await check('it goes down on the page without a reload', () => page.evaluate(() => document.querySelector('.section-head h2')?.textContent.includes('故障')), () => text('.section-head h2'))
  console.log(`        seen after ${Date.now() - from} ms`)
  target.close()

  /* ---- many alarms: only what is in sight is drawn, the worst first, all can be acknowledged at once ---- */
  let next = 0
  await Promise.all(
    Array.from({ length: 24 }, async () => {
      while (next < 1200) {
        const n = next++
        await client.call('POST', 'core/alarms/signal', { key: `many-${n}`, title: `链路丢包 ${n}`, grade: (n % 4) + 1 })
      }
    }),
  )
  await page.goto(server.url + '/alarms')
  await page.waitForSelector('table.alarms tbody tr[data-id]')
  const total = async () => Number((await text('.page-head .faint')).match(/\d+/)?.[0])
  await until(async () => (await total()) >= 1000)
  await check('of a thousand alarms only those in sight are drawn', async () => (await page.locator('tr[data-id]').count()) < 80, () => page.locator('tr[data-id]').count())
  const graded = await page.locator('tr[data-id] .grade svg').evaluateAll((all) => all.map((one) => one.getAttribute('class')))
  check('the worst first', graded.every((one) => one === 'g1'), graded)
  await until(async () => {
    await page.evaluate(() => (document.querySelector('.split .rows').scrollTop = 1e9))
    return (await total()) >= 1200
  }, 20_000)
  await check('scrolling on brings the rest', async () => (await total()) >= 1200, () => total())
  await page.locator('table.alarms thead input').check()
  await page.keyboard.press('a')
  await page.waitForSelector('#ask-remark')
  await page.click('.el-dialog button.primary')
  await check('more than the server takes at once are acknowledged in turns', async () => (await client.call('GET', 'core/alarms/count')).json.acked >= 1200, async () => (await client.call('GET', 'core/alarms/count')).json)
  await page.keyboard.press('j')
  await check('j moves through the drawn rows', async () => (await page.locator('tr.current').count()) === 1)

  /* ---- in the other language, in the dark, on a phone ---- */
  await client.call('PATCH', 'core/session', { lang: 'en' })
  for (const path of ['/', '/rota', '/rota?view=month', `/r/ops/service/${service.id}`, `/r/ops/ticket/${ticket.id}`, `/r/ops/system/${made.room.id}`, `/r/ops/check/${probe.id}`, '/start']) {
    const small = await open(browser, server, { viewport: { width: 390, height: 844 }, locale: 'en', colorScheme: 'dark', storageState: await page.context().storageState() })
    await small.page.addInitScript(() => localStorage.setItem('bihuan.prefs', JSON.stringify({ theme: 'dark' })))
    await small.page.goto(server.url + path)
    await small.page.waitForSelector('.page-head, .start')
    await small.page.waitForLoadState('networkidle').catch(() => {})
    const state = await small.page.evaluate(() => ({ wide: document.documentElement.scrollWidth, keys: document.body.innerText.match(/\b(ui|case|sla|setting)\.[a-z_.]+/g), dark: document.documentElement.classList.contains('dark'), lang: document.documentElement.lang }))
    check(`${path}: dark, English, phone`, state.wide <= 390 && !state.keys && state.dark && state.lang === 'en' && !small.seen.errors.length, { ...state, errors: small.seen.errors })
    await small.context.close()
  }
  check('no error and no stranger on any page', !seen.errors.length && !seen.strangers.length, seen)
} finally {
  await browser.close()
  await server.stop()
}
done()
