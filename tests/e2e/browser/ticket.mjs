/* Works a ticket to its end through the pages: logs in, opens the case, and does each step that is there.
 * usage: ticket.mjs ADDRESS LOGIN PASSWORD PATH_OF_THE_CASE FOLDER_FOR_PICTURES
 * Prints a line for each step done and ends with "state STATE". */
import path from 'node:path'
import { launch, take } from './harness.mjs'

const [address, login, password, casePath, pictures] = process.argv.slice(2)
const browser = await launch()
const page = await browser.newPage({ viewport: { width: 1440, height: 900 }, locale: 'zh-CN' })
page.setDefaultTimeout(60_000)
const outside = []
page.on('request', (request) => {
  const url = new URL(request.url())
  if (url.protocol.startsWith('http') && url.origin !== new URL(address).origin) outside.push(request.url())
})
const wrong = []
page.on('pageerror', (error) => wrong.push(String(error)))

/* The answers of the form of each step, by the words of the field's label. */
const answers = { 原因: '连接池耗尽', 处理方法: '重启应用，调高连接数上限', 关闭说明: '已恢复并告知使用单位', 级别: '1' }

const OVER = ['closed', 'rejected', 'cancelled']
const state = () => page.evaluate(async (id) => (await (await fetch(`/api/v1/core/cases/${id}`)).json()).state, casePath.split('/').pop())

async function picture(name) {
  if (pictures) await page.screenshot({ path: path.join(pictures, `${name}.png`) })
}

await page.goto(`${address}/login?to=${encodeURIComponent(casePath)}`)
await page.locator('input').first().fill(login)
await page.locator('input[type=password]').first().fill(password)
await page.keyboard.press('Enter')
await page.waitForURL((url) => url.pathname === casePath)

for (let step = 1; step <= 12; step++) {
  if (OVER.includes(await state())) break /* no step is left */
  const box = page.locator('.task-box').first()
  await box.waitFor()
  await picture(`step-${step}`)
  const name = (await box.locator('strong').first().innerText()).trim()
  const form = box.locator('form')
  await take(box)
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
  )
}
await page.waitForTimeout(500)
await picture('closed')
if (outside.length) console.log(`outside ${outside.join(' ')}`)
for (const one of wrong) console.log(`error ${one}`)
console.log(`state ${await state()}`)
await browser.close()
