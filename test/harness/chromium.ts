// A real browser: Debian's Chromium without a window, driven by Playwright, with a profile of its own.
import { chromium, type Browser } from 'playwright-core'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Close it at the end. `TOLLBRIDGE_TEST_CHROMIUM` names another program than Debian's. */
export const launchChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env['TOLLBRIDGE_TEST_CHROMIUM'] ?? '/usr/bin/chromium',
    args: flags,
    headless: true,
  })
