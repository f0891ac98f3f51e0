import { Server, PASSWORD, launch, settle } from '../tests/e2e/browser/harness.mjs'

const server = await Server.start()
const browser = await launch()
try {
  await settle(server)
  const page = await (await browser.newContext({ locale: 'zh-CN', serviceWorkers: 'block' })).newPage()
  const answers = []
  page.on('response', (response) => /\.(js|css)$/.test(new URL(response.url()).pathname) && answers.push(response))
  await page.goto(server.url + '/')
  await page.fill('#user', 'admin')
  await page.fill('#password', PASSWORD)
  await page.press('#password', 'Enter')
  await page.waitForSelector('.shell .section-head')
  await page.waitForLoadState('networkidle')
  let bytes = 0
  for (const answer of answers) bytes += (await answer.request().sizes()).responseBodySize
  const kb = bytes / 1000
  console.log(`bench web.size ours ${kb.toFixed(1)} kB peer - - ratio - goal <= 300 ${kb <= 300 ? 'met' : 'short'}`)
} finally {
  await browser.close()
  await server.stop()
}
