// Takes the pictures of the docs: a gateway with the demo's month, its console in a real browser.
// `npm run screenshots`, or with a folder after `--` to put them there; into docs/images otherwise. Where the font Inter
// is installed (fonts-inter in Debian) it is used.
import { mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Page } from 'playwright-core'
import { launchChromium } from '../harness/chromium.ts'
import { adminPassword, startTestGateway } from '../harness/gateway.ts'
import { freePort } from '../harness/ports.ts'
import { until } from '../harness/until.ts'

interface Picture {
  readonly path: string
  readonly theme?: 'dark'
  /** What is done before it is taken. */
  readonly prepare?: (page: Page) => Promise<void>
}

const pictures: Readonly<Record<string, Picture>> = {
  overview: { path: '/' },
  'overview-dark': { path: '/', theme: 'dark' },
  tool: { path: '/servers/maps', prepare: runTool },
  call: { path: '/calls?server=papers&outcome=success', prepare: openFirstCall },
  usage: { path: '/usage?by=tool' },
  invoice: { path: '/invoices', prepare: openFinalInvoice },
}

async function runTool(page: Page): Promise<void> {
  await page.getByText('route', { exact: true }).first().click()
  const form = page.getByRole('form', { name: 'Run route' })
  await form.getByLabel('from').fill('Lisbon')
  await form.getByLabel('to').fill('Porto')
  await form.getByRole('button', { name: 'Run' }).click()
  await form.getByText(/Answered, for/).waitFor()
  await form.getByText('All of it').scrollIntoViewIfNeeded()
}

async function openFirstCall(page: Page): Promise<void> {
  await page.locator('a[href^="/calls/use_"]').first().click()
  await page.getByRole('region', { name: 'The cost, line by line' }).waitFor()
}

async function openFinalInvoice(page: Page): Promise<void> {
  await page.getByRole('link', { name: /^INV-/ }).first().click()
  await page.getByRole('heading', { level: 1, name: /INV-/ }).waitFor()
}

const folder = resolve(process.argv[2] ?? join(import.meta.dirname, '../../docs/images'))
mkdirSync(folder, { recursive: true })
const port = await freePort()
const origin = `http://localhost:${port}`
const [browser, gateway] = await Promise.all([
  launchChromium(),
  startTestGateway({ args: ['--demo', '--port', String(port), '--public-url', origin] }),
])
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, timezoneId: 'UTC' })
  const page = await context.newPage()
  await page.goto(origin)
  await page.getByLabel('User name').fill('admin')
  await page.getByLabel('Password').fill(adminPassword)
  await page.getByRole('button', { name: 'Log in', exact: true }).click()
  await page.getByRole('navigation', { name: 'Main' }).waitFor()
  for (const [name, { path, theme = 'light', prepare }] of Object.entries(pictures)) {
    await page.evaluate(`localStorage.setItem('theme', '${theme}')`)
    await page.goto(origin + path)
    await page.locator('#main h1').waitFor()
    await prepare?.(page)
    await until(async () => (await page.locator('[aria-busy]').count()) === 0, `${path} to be there`)
    await page.screenshot({ path: join(folder, `${name}.png`) })
  }
} finally {
  await browser.close()
  await gateway.stop()
}
