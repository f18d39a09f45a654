// Calls in the console: they come by the stream, stand still when asked to, and can be made once more from a shell.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('calls come as they are answered, not while paused, and again afterwards', async () => {
  const { page } = stage
  const vera = await stage.gateway.member('vera', { grant: '5' })
  await stage.open('/calls?server=stub')
  await page.getByText('Live', { exact: true }).waitFor()
  const linkOf = async () => {
    const called = await stage.callAs(vera.credential)
    return page.locator(`a[href="/calls/${String(called.headers['tollbridge-call-id'])}"]`)
  }
  await (await linkOf()).waitFor({ timeout: 10_000 })
  await page.getByRole('button', { name: 'Pause' }).click()
  await page.getByText('Paused', { exact: true }).waitFor()
  const missed = await linkOf()
  await page.getByRole('button', { name: 'Go on' }).click()
  await page.getByText('Live', { exact: true }).waitFor()
  await (await linkOf()).waitFor({ timeout: 10_000 })
  await missed.waitFor()
})

test('a call is made once more by the command that its page shows', async () => {
  const { page } = stage
  const will = await stage.gateway.member('will', { grant: '5' })
  const called = await stage.callAs(will.credential)
  await stage.open(`/calls/${String(called.headers['tollbridge-call-id'])}`, 'will')
  await page.getByRole('heading', { name: 'Cost: 0.25 USD' }).waitFor()
  await page.getByTitle('All calls of this account').waitFor()
  const command = await page.locator('.copy pre').innerText()
  const run = await promisify(execFile)('bash', ['-c', command], {
    env: { ...process.env, TOLLBRIDGE_KEY: will.credential },
    timeout: 20_000,
  })
  expect(run.stdout).toMatch(/^HTTP\/1\.1 200/)
  expect(run.stdout.toLowerCase()).toContain('tollbridge-cost: 0.25')
  await page.getByTitle('All calls of this account').click()
  await stage.heading('Calls').waitFor()
  await expect.poll(() => page.locator('a[href^="/calls/use_"]').count(), { timeout: 10_000 }).toBe(2)
})
