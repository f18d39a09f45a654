// The settings in the console: what is in force and where it came from, and no secret among it.
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage({
  isRegistered: true,
  env: { TOLLBRIDGE_HTTP_MAX_DEPTH: '77', TOLLBRIDGE_METRICS_TOKEN: 'hunter2-of-the-metrics' },
})

test('the settings say what is in force and which flag or variable set it', async () => {
  const { page } = stage
  await stage.open('/settings?find=depth')
  const depth = page.getByRole('row', { name: /http\.maxDepth/ })
  await depth.getByText('TOLLBRIDGE_HTTP_MAX_DEPTH').first().waitFor()
  expect(await depth.innerText()).toMatch(/\b77\b/)
  await page.getByLabel('Find').fill('port')
  await page.getByRole('row', { name: /^port/ }).getByText('--port').waitFor()
  expect(new URL(page.url()).searchParams.get('find')).toBe('port')
  await page.getByLabel('Find').fill('')
  await page.getByLabel('Only what is not as it comes').check()
  await page.getByRole('row', { name: /metrics\.token.*\[redacted\]/ }).waitFor()
  expect(await page.getByText('auth.sessionHours').count()).toBe(0)
  expect(await page.content()).not.toContain('hunter2')
  const told = await stage.gateway.admin.call('GET', '/api/v1/settings')
  expect(told.text).not.toContain('hunter2')
  expect(told.json).toMatchObject({ engine: 'sqlite', node: process.versions.node })
})
