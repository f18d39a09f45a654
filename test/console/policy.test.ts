// Policy in the console: a rule and a limit count from the next call on, and one can ask why.
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('a tool is denied to somebody, explained, and allowed again', async () => {
  const { page } = stage
  const yves = await stage.gateway.member('yves', { grant: '5' })
  const isRefused = async () => (await stage.callAs(yves.credential)).json.error !== undefined
  expect(await isRefused()).toBe(false)
  await stage.open('/policy')
  await page.getByText('Make an access rule').click()
  await page.getByLabel('Name of the rule').fill('not-yves')
  await page.getByLabel('On server').fill('stub')
  await page.getByLabel('What').fill('work')
  await page.getByLabel('Users').fill(yves.userId)
  await page.getByRole('button', { name: 'Make the rule' }).click()
  const row = page.getByRole('row', { name: /not-yves/ })
  await row.waitFor()
  expect(await isRefused()).toBe(true)

  await page.getByRole('link', { name: 'May they?' }).click()
  await page.getByLabel('User').selectOption('yves')
  await page.getByLabel('Server').selectOption('stub')
  await page.getByLabel('Tool').fill('work')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByRole('heading', { name: 'No: “not-yves” says so' }).waitFor()
  await page.getByRole('link', { name: 'All rules' }).click()
  await row.getByRole('button', { name: 'Let it rest' }).click()
  await row.getByText('resting').waitFor()
  expect(await isRefused()).toBe(false)
  await row.getByRole('button', { name: 'Remove not-yves' }).click()
  await row.getByRole('button', { name: 'Remove not-yves now' }).click()
  await page.getByText('No access rules').waitFor()
})

test('a limit is made, and refuses what is beyond it', async () => {
  const { page } = stage
  const zac = await stage.gateway.member('zac', { grant: '5' })
  await stage.open('/policy')
  await page.getByText('Make a limit').click()
  await page.getByLabel('Name of the limit').fill('one-a-day')
  await page.getByLabel('Of tool').fill('ok')
  await page.getByLabel('In a', { exact: true }).selectOption('day')
  await page.getByLabel('Calls', { exact: true }).fill('1')
  await page.getByRole('button', { name: 'Make the limit' }).click()
  await page.getByRole('row', { name: /one-a-day.*1 in 86400 s/ }).waitFor()
  expect((await stage.callAs(zac.credential, 'ok')).headers['tollbridge-cost']).toBe('0.25')
  const refused = (await stage.callAs(zac.credential, 'ok')).json.result.structuredContent
  expect(refused.code).toBe('rate_limited')
})
