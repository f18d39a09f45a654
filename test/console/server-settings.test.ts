// Managing a server in the console: its credential goes in and never comes out, its quarantine shuts it at once.
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('a credential is replaced, reaches the server, and is never shown', async () => {
  const { page, upstream } = stage
  await stage.open('/servers/stub')
  await page.getByText('Change it').click()
  await page.getByLabel('Description').fill('For tests')
  await page.getByRole('button', { name: 'Replace it' }).click()
  await page.getByLabel('Credential').selectOption('API key in a header')
  await page.getByLabel('Name of the header').fill('X-Stub-Key')
  await page.getByLabel('API key', { exact: true }).fill('hunter2-of-the-stub')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('For tests').waitFor()
  await page.getByText('api-key', { exact: true }).waitFor()
  await page.getByRole('button', { name: 'Test the connection' }).click()
  await page.getByText(/Answered in .* protocol/).waitFor()
  expect(upstream.hits.at(-1)?.headers['x-stub-key']).toBe('hunter2-of-the-stub')
  await page.reload()
  await page.getByText('Change it').click()
  await page.getByText(/api-key, ends with stub/).waitFor()
  expect(await page.content()).not.toContain('hunter2')
})

test('a server in quarantine is called by nobody, until that ends', async () => {
  const { page } = stage
  const gus = await stage.gateway.member('gus', { grant: '5' })
  const isCalled = async () => (await stage.callAs(gus.credential)).headers['tollbridge-cost'] === '0.25'
  expect(await isCalled()).toBe(true)
  await stage.open('/servers/stub')
  await page.getByRole('button', { name: 'Quarantine it' }).click()
  await page.getByRole('heading', { name: 'In quarantine' }).waitFor()
  expect(await isCalled()).toBe(false)
  await page.getByRole('button', { name: 'End the quarantine' }).click()
  await page.getByRole('button', { name: 'Quarantine it' }).waitFor()
  expect(await isCalled()).toBe(true)
})
