// Keys in the console: limited, exchanged, suspended and revoked; what is open with one ends at once.
import { expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { McpClient } from '../trust/bench.ts'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('a key is made with limits, exchanged for another, and takes its open stream with it when it is revoked', async () => {
  const { page } = stage
  const kim = await stage.gateway.member('kim', { grant: '5' })
  await stage.open('/keys', 'kim')
  await page.getByLabel('Name of a new key').fill('robot')
  await page.getByText('Limit it').click()
  await page.getByLabel('Servers').fill('stub')
  await page.getByLabel('It ends').selectOption('in 30 days')
  await page.getByLabel('It may spend in a month').fill('1')
  await page.getByRole('button', { name: 'Make the key' }).click()
  const shown = page.locator('.copy pre')
  const first = await shown.innerText()
  const row = page.getByRole('row', { name: /robot/ })
  await row.getByText('0.00 of 1.00 USD').waitFor()
  expect((await stage.callAs(first)).headers['tollbridge-cost']).toBe('0.25')

  await row.getByRole('button', { name: 'Rotate robot' }).click()
  await row.getByRole('button', { name: 'Rotate robot now' }).click()
  await until(async () => (await shown.innerText()) !== first, 'another key')
  const second = await shown.innerText()
  expect((await stage.callAs(second)).headers['tollbridge-cost']).toBe('0.25')
  await page.reload()
  await row.getByText('0.50 of 1.00 USD').waitFor()

  const client = new McpClient({ url: stage.gateway.url, credential: second }, '/mcp/stub')
  await client.open()
  const stream = await client.get()
  expect(stream.status).toBe(200)
  await row.getByRole('button', { name: 'Revoke robot' }).click()
  await row.getByRole('button', { name: 'Revoke robot now' }).click()
  await page.getByText('No keys yet').waitFor()
  await until(() => stream.isClosed(), 'the end of the stream')
  expect((await stage.callAs(second)).status).toBe(401)
  expect((await kim.call('GET', '/api/v1/keys')).json.items).toEqual([])
})

test('an administrator finds the keys of all users, and suspends one', async () => {
  const { page } = stage
  const lou = await stage.gateway.member('lou', { grant: '5' })
  const { key } = await lou.ok('POST', '/api/v1/keys', { name: 'lost laptop' })
  await stage.open('/keys')
  await page.getByRole('link', { name: 'Those of all users' }).click()
  await stage.heading('Keys of all users').waitFor()
  const row = page.getByRole('row', { name: /lost laptop/ })
  await row.getByRole('button', { name: 'Suspend' }).click()
  await row.getByText('suspended').waitFor()
  await until(async () => (await stage.callAs(key)).status === 401, 'the key to be refused')
  await row.getByRole('button', { name: 'Let in again' }).click()
  await until(async () => (await stage.callAs(key)).status === 200, 'the key to be let in')
})
