// Accounts and users in the console: a tree is made, credit is given and taken back, and roles change at once.
import { expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { ApiCaller } from '../harness/gateway.ts'
import { passwordOf, useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('a team is made, a user is put below it, and a grant is taken back', async () => {
  const { page } = stage
  const pia = await stage.gateway.member('pia', { grant: '5' })
  await stage.open('/accounts')
  await page.getByText('Make an account for a team').click()
  await page.getByLabel('Name of the account').fill('Harbour')
  await page.getByRole('button', { name: 'Make the account' }).click()
  await page.getByRole('row', { name: /Harbour team/ }).waitFor()
  await page.getByRole('link', { name: 'pia' }).click()
  await stage.heading('pia').waitFor()
  await page.getByText('Change it').click()
  await page.getByLabel('Below').selectOption('Harbour')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByRole('link', { name: 'Harbour' }).first().waitFor()
  await page.getByRole('button', { name: 'Take back 5.00 USD' }).click()
  await page.getByRole('button', { name: 'Take back 5.00 USD now' }).click()
  await page.getByRole('cell', { name: 'voided' }).waitFor()
  const refused = (await stage.callAs(pia.credential)).json.result.structuredContent
  expect(refused.code).toBe('balance_exhausted')
  await stage.goto('/accounts')
  const names = () => page.getByRole('region', { name: 'Accounts' }).locator('tbody tr').allInnerTexts()
  await expect.poll(names, { timeout: 10_000 }).toContainEqual(expect.stringMatching(/^pia/))
  const rows = (await names()).map((row) => row.split(/\s/)[0])
  expect(rows.indexOf('pia')).toBe(rows.indexOf('Harbour') + 1)
})

test('a user is made an auditor, and their next login is one', async () => {
  const { page } = stage
  const ria = await stage.gateway.member('ria')
  expect((await ria.call('GET', '/api/v1/audit')).status).toBe(403)
  await stage.open('/users')
  await page.getByRole('link', { name: 'ria' }).click()
  await stage.heading('ria').waitFor()
  await page.getByLabel('auditor').check()
  await page.getByLabel('Groups').fill('Sales EU, Night')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('Sales EU, Night').waitFor()
  const auditor = await new ApiCaller(stage.gateway.url).login('ria', passwordOf('ria'))
  await until(async () => (await auditor.call('GET', '/api/v1/audit')).status === 200, 'the role')
})
