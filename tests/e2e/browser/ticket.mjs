/* Works a ticket to its end through the pages: logs in, opens the case, and does each step that is there.
 * usage: ticket.mjs ADDRESS LOGIN PASSWORD PATH_OF_THE_CASE FOLDER_FOR_PICTURES
 * Prints a line for each step done and ends with "state STATE". */
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import path from 'node:path'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..')
const { chromium } = createRequire(path.join(root, 'web/package.json'))('playwright-core')
const [address, login, password, casePath, pictures] = process.argv.slice(2)

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
})
const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN' })
const outside = []
page.on('request', (request) => {
  const url = new URL(request.url())
  if (url.protocol.startsWith('http') && url.origin !== new URL(address).origin) outside.push(request.url())
})
const wrong = []
page.on('pageerror', (error) => wrong.push(String(error)))

/* The answers of the form of each step, by the words of the field's label. */
const answers = { 原因: '连接池耗尽', 处理方法: '重启应用，调高连接数上限', 关闭说明: '已恢复并告知使用单位', 级别: '1' }

async function picture(name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`) })
}

await page.goto(`${address}/login?to=${encodeURIComponent(casePath)}`)
await page.locator('input').first().fill(login)
await page.locator('input[type=password]').first().fill(password)
await page.keyboard.press('Enter')
await page.waitForURL((url) => url.pathname === casePath, { timeout: 20000 })

for (let step = 1; step <= 12; step++) {
  const box = page.locator('.task-box').first()
  try {
    await box.waitFor({ timeout: 6000 })
  } catch {
    break /* no step is left */
  }
  await picture(`step-${step}`)
  const name = (await box.locator('strong').first().innerText()).trim()
  const claim = box.locator('.btn.primary', { hasText: /领取|签收|认领/ })
  const form = box.locator('form')
  await claim.or(form).first().waitFor({ timeout: 10000 }) /* which of both, the server tells a moment later */
  if (await claim.count()) {
    await claim.first().click()
    await form.waitFor({ timeout: 10000 })
    continue
  }
  await form.waitFor({ timeout: 10000 })
  await page.waitForTimeout(300)
  for (const field of await form.locator('.form-field').all()) {
    const label = (await field.locator('label').first().innerText()).replace('*', '').trim()
    const answer = answers[label]
    if (!answer) continue
    const input = field.locator('textarea, input:not([type=checkbox]):not([readonly])').first()
    if ((await input.count()) && !(await input.inputValue())) await input.fill(answer)
  }
  const shown = await page.locator('.task-box').count()
  await form.locator('.acts .btn.primary').first().click()
  console.log(`step ${name}`)
  await page.waitForFunction(
    ([was, before]) => {
      const boxes = document.querySelectorAll('.task-box')
      return boxes.length !== before || boxes[0]?.querySelector('strong')?.textContent?.trim() !== was
    },
    [name, shown],
    { timeout: 15000 },
  )
}
await page.waitForTimeout(500)
await picture('closed')
const state = await page.evaluate(async (id) => (await (await fetch(`/api/v1/core/cases/${id}`)).json()).state, casePath.split('/').pop())
if (outside.length) console.log(`outside ${outside.join(' ')}`)
for (const one of wrong) console.log(`error ${one}`)
console.log(`state ${state}`)
await browser.close()
