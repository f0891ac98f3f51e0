// One turn of the loop in the browser: a site goes down, the alarm comes by itself, the ticket is worked to
// its end, and its deadlines are explained.
import { createServer } from 'node:http'
import { Server, check, done, launch, login, open, settle, take, until } from './harness.mjs'

const server = await Server.start('--demo')
const admin = await settle(server)
let site = createServer((request, response) => response.end('all is well'))
await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve))
const port = site.address().port
const browser = await launch()
try {
  const service = (await admin.call('GET', 'ops/service?filter=' + encodeURIComponent('code = "xc-R001"'))).json.items[0]
  const system = (await admin.call('POST', 'ops/system', { code: 'LOOP-1', name: '演示网站', kind: 'website', service: service.id })).json

  const { page, seen } = await open(browser, server)
  await login(page, server)

  /* ---- the check is made in the browser ---- */
  await page.goto(`${server.url}/r/ops/check/new?subject=${system.id}&service=${service.id}&interval_s=5&timeout_s=2`)
  await page.waitForSelector('#f-url')
  await check('the form of a check asks for an address, not for a port', async () => (await page.locator('#f-port').count()) === 0)
  await page.fill('#f-name', '演示首页')
  await page.fill('#f-url', `http://127.0.0.1:${port}/`)
  await page.press('#f-url', 'Control+Enter')
  await page.waitForURL(/\/r\/ops\/check\/\d+$/)
  const checkId = page.url().split('/').pop()
  const state = async () => (await admin.call('GET', `core/checks/${checkId}/state`)).json.nodes?.[0]
  await check('it is probed', async () => (await state())?.up === true)
  await page.reload()
  await page.waitForSelector('.strip')
  await check('its page says that it is up, with a strip and the phases', async () => /正常/.test(await page.textContent('.section-head')) && (await page.locator('.phases').count()) === 1)

  /* ---- down ---- */
  await page.goto(server.url + '/alarms')
  await page.waitForSelector('.page-head h1')
  await page.waitForSelector('.empty')
  site.closeAllConnections()
  await new Promise((resolve) => site.close(resolve))
  await page.waitForSelector('table.alarms tbody tr', { timeout: 20_000 })
  await check('the alarm comes by itself, without a reload', async () => /演示首页/.test(await page.textContent('table.alarms tbody')), () => page.textContent('table.alarms tbody'))
  await check('the top bar counts it', async () => (await page.locator('.count b.bad').count()) === 1)
  await page.keyboard.press('j')
  await page.keyboard.press('a')
  await page.waitForSelector('#ask-remark')
  await page.fill('#ask-remark', '已在处理')
  await page.click('.el-dialog button.primary')
  await check('a acknowledges, and says who has it', async () => /已确认/.test(await page.textContent('table.alarms tbody')) && /系统管理员/.test(await page.textContent('table.alarms tbody')))
  await page.click('table.alarms tbody a.plain >> nth=0')
  await page.waitForURL(/\/alarms\/\d+/)
  await page.waitForSelector('.timeline')
  await check('the alarm tells its story with the remark', async () => /已在处理/.test(await page.textContent('.timeline')), () => page.textContent('.timeline'))

  /* ---- the ticket ---- */
  await check('a ticket was opened', async () => (await admin.call('GET', 'ops/ticket')).json.items.length === 1)
  const ticket = (await admin.call('GET', 'ops/ticket')).json.items[0]
  await page.goto(`${server.url}/r/ops/ticket/${ticket.id}`)
  await page.waitForSelector('.task-box form')
  await check('it shows its clocks and the picture of its flow', async () => (await page.locator('.clocks li').count()) >= 2 && (await page.locator('svg.flow .node.here').count()) === 1)
  await check('and where it is', async () => /待受理/.test(await page.textContent('.page-head')))

  const fill = async (values) => {
    for (const [name, value] of Object.entries(values)) if (await page.locator(`#t-${name}`).count()) await page.fill(`#t-${name}`, value)
  }
  const selects = async () => {
    /* whatever the step asks for by a list: the first entry */
    for (const one of await page.locator('.task-box .form-field:has(.need) .el-select').all()) {
      if ((await one.textContent()).replace(/请选择/, '').trim()) continue
      await one.click()
      await page.locator('.el-select-dropdown__item:visible').first().click()
    }
  }
  const steps = []
  for (let i = 0; i < 8 && (await admin.call('GET', `ops/ticket/${ticket.id}`)).json.closed_at === null; i++) {
    await take(page.locator('.task-box').first())
    const step = (await page.textContent('.task-box strong')).trim()
    steps.push(step)
    await fill({ opinion: '已办', handler_note: '请尽快', cause: '服务进程退出', solution: '重启并加监控', confirm_note: '已恢复', close_note: '归档', description: '首页打不开' })
    await selects()
    await page.click('.task-box form .acts button.primary')
    const moved = await until(async () => {
      const box = page.locator('.task-box strong')
      return (await box.count()) === 0 || (await box.first().textContent({ timeout: 1000 }).catch(() => '')).trim() !== step || (await page.locator('.task-box .notice.bad, .task-box .wrong').count()) > 0
    })
    const fault = await page.locator('.task-box .notice.bad, .task-box .wrong').allTextContents()
    if (!moved || fault.length) {
      check(`step ${step}`, false, fault)
      break
    }
  }
  const closed = (await admin.call('GET', `ops/ticket/${ticket.id}`)).json
  check(`worked to its end in the browser: ${steps.join(' → ')}`, closed.closed_at !== null && closed.state === 'closed', closed.state)
  await page.reload()
  await page.waitForSelector('.timeline')
  await check('its time line names each step', async () => (await page.locator('.timeline li').count()) >= steps.length + 1)

  /* ---- why ---- */
  await page.goto(`${server.url}/cases/${ticket.id}/why`)
  await page.waitForSelector('.axis button.lane')
  await check('why each deadline: lanes, pieces and rules in words', async () => (await page.locator('.axis .track b').count()) >= 2 && (await page.locator('.rules li').count()) >= 3)

  /* ---- up again ---- */
  site = createServer((request, response) => response.end('all is well'))
  await new Promise((resolve) => site.listen(port, '127.0.0.1', resolve))
  await page.goto(server.url + '/alarms')
  await check('when the site is back, the alarm clears by itself', async () => (await page.locator('main').getByText('演示首页').count()) === 0 && (await page.locator('main').innerText()).length > 0)
  check('no script error', !seen.errors.length, seen.errors)
  check('no request to any other host', !seen.strangers.length, seen.strangers)
} catch (error) {
  check('ran to its end', false, String(error.stack ?? error).slice(0, 1500))
} finally {
  await browser.close()
  site.close()
  const code = await server.stop()
  check('the server ends with 0', code === 0, String(code))
}
done()
