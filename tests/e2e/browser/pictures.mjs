// Makes the pictures of the manual (docs/manual/pictures) and of the README (docs/pictures) from the running
// demonstration: tests/e2e/browser/run pictures.  Small in size: JPEG for the manual, one page at a time.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { launch, login, open, root, Server, settle } from './harness.mjs'

const MANUAL = join(root, 'docs/manual/pictures')
const README = join(root, 'docs/pictures')
mkdirSync(MANUAL, { recursive: true })
const server = await Server.start('--demo')
const admin = await settle(server)
const post = async (path, body) => {
  const answer = await admin.call('POST', path, body)
  if (answer.status >= 300) throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer.json)}`)
  return answer.json
}
const first = async (path) => (await admin.call('GET', path)).json.items[0]

/* a morning's work: people, two schedules of duty, alarms with their tickets, a key */
const org = (await first('core/orgs')).id
const duty = await post('core/orgs', { name: '运维服务中心', code: 'ops-centre', parent: org })
const role = await post('core/roles', { code: 'duty', name: '值班员', permissions: ['core.alarm.*', 'ops.ticket.*', 'ops.service.read', 'ops.system.read'] })
for (const [login_, name] of [['zhangwei', '张伟'], ['lina', '李娜'], ['wangqiang', '王强']]) {
  const user = await post('core/users', { login: login_, name, org: duty.id })
  await admin.call('PUT', `core/users/${user.id}/grants`, { items: [{ role: role.id, org: duty.id }] }, { 'If-Match': `"${user.version}"` })
}
await post('core/keys', { name: '12345 平台推送', days: 180, permissions: ['ops.ticket.create', 'ops.ticket.read'] })
await post('core/keys', { name: '大屏展示', days: 365, permissions: ['core.alarm.read', 'ops.service.read'] })
const services = (await admin.call('GET', `ops/service?sort=code&limit=20&filter=${encodeURIComponent('code >= "xc-R001"')}`)).json.items
const systems = (await admin.call('GET', 'ops/system?limit=20')).json.items
for (const [n, title, grade] of [[0, '首页打不开：连接被拒绝', 1], [2, '证书还有 6 天到期', 3], [4, '登录接口响应超过 5 秒', 2], [5, '磁盘剩余不足 10%', 2], [7, '数据同步任务未按时完成', 3]])
  await post('core/alarms/signal', { key: `demo-${n}`, title: `${services[n].name}：${title}`, grade, service: services[n].id, ...(systems[n] ? { subject: systems[n].id } : {}) })
for (const n of [0, 4]) await post('ops/ticket', { title: `${services[n].name}：${n ? '登录缓慢' : '首页无法打开'}`, service: services[n].id, level: n ? '2' : '1', description: '用户来电反映，已初步核实。' })
await post('core/jobs', { kind: 'core.backup', params: {} })
await new Promise((resolve) => setTimeout(resolve, 4000))

const browser = await launch()
const { page, seen } = await open(browser, server, { viewport: { width: 1180, height: 740 } })
await login(page, server)
async function shoot(name, path, ready, before) {
  await page.goto(server.url + path)
  await page.waitForSelector(ready)
  await page.waitForLoadState('networkidle').catch(() => {})
  await before?.()
  await page.waitForTimeout(400)
  await page.screenshot({ path: join(MANUAL, `${name}.jpg`), type: 'jpeg', quality: 62 })
  if (['workbench', 'alarms', 'ticket'].includes(name)) await page.screenshot({ path: join(README, `${name}.png`) })
}
const ticket = (await admin.call('GET', `ops/ticket?q=${encodeURIComponent('首页')}`)).json.items.find((one) => !one.alarm)
await shoot('workbench', '/', 'h1')
await shoot('alarms', '/alarms', 'h1')
await shoot('tasks', '/tasks', 'h1')
await shoot('ticket', `/r/ops/ticket/${ticket.id}`, '.task-box', async () => {
  const claim = page.locator('.claim .btn')
  if (await claim.count()) await claim.first().click()
  await page.waitForSelector('.task-box form')
})
await shoot('service', `/r/ops/service/${services[0].id}`, '.months')
await shoot('report', `/reports/service/${services[0].id}`, 'h1')
await shoot('users', '/people/users', 'tbody tr')
await shoot('keys', '/people/keys', 'tbody tr')
await shoot('jobs', '/jobs', '.schedules tbody tr')
await shoot('audit', '/audit', 'tbody tr', async () => page.locator('tbody tr', { hasText: '角色' }).first().click().catch(() => {}))
await page.goto(server.url + '/decisions')
await page.click('.page-head .btn.primary')
await page.fill('#decision-title', '服务评级')
await page.fill('#decision-code', 'service-grade')
await page.locator('.el-dialog .btn.primary').click()
await page.waitForURL(/\/decisions\/\d+/)
const decisionPath = new URL(page.url()).pathname
await shoot('decision', decisionPath, 'h1')
if (process.env.PAPER) /* how it prints, to look at */
  for (const [name, path] of [['ticket', `/r/ops/ticket/${ticket.id}`], ['service', `/r/ops/service/${services[0].id}`], ['report', `/reports/service/${services[0].id}`], ['decision', decisionPath], ['manual', '/help/admin']]) {
    await page.goto(server.url + path)
    await page.waitForSelector('.page-head, h1')
    await page.waitForLoadState('networkidle').catch(() => {})
    await page.waitForTimeout(500)
    await page.pdf({ path: join(process.env.PAPER, `${name}.pdf`), preferCSSPageSize: true })
  }
await page.goto(server.url + '/r/ops/service')
await page.waitForSelector('tbody tr')
await page.waitForTimeout(400)
await page.screenshot({ path: join(README, 'services.png') })
await browser.close()
await server.stop()
if (seen.errors.length || seen.strangers.length) {
  console.error(seen.errors, seen.strangers)
  process.exitCode = 1
}
