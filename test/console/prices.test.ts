// Prices in the console: drafted in steps, tried out on past calls, published, explained, and changed version by version.
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('a price in steps is drafted, tried out, published, and counts from the next call on', async () => {
  const { page } = stage
  const tess = await stage.gateway.member('tess', { grant: '5' })
  const costOf = async () => (await stage.callAs(tess.credential)).headers['tollbridge-cost']
  for (let n = 0; n < 3; n++) expect(await costOf()).toBe('0.25')

  await stage.open('/prices')
  await page.getByText('Set a price for calls of tools').click()
  await page.getByLabel('Name of the rule').fill('by steps')
  await page.getByLabel('Server').fill('stub')
  await page.getByLabel('Tool', { exact: true }).fill('work')
  await page.getByLabel('Priority').fill('10')
  await page.getByRole('button', { name: 'Price in steps' }).click()
  await page.getByLabel('Step 1 goes up to').fill('2')
  await page.getByLabel('Step 1, a call').fill('0.4')
  await page.getByRole('button', { name: 'One more step' }).click()
  await page.getByLabel('Step 2, a call').fill('0.1')
  await page.getByRole('button', { name: 'Keep it as a draft' }).click()
  await page.getByRole('link', { name: 'Drafts' }).click()
  await page.getByRole('row', { name: /by steps.*a new rule/ }).waitFor()
  expect(await costOf()).toBe('0.25')

  await page.getByRole('link', { name: 'What they would have cost' }).click()
  // Four calls at a quarter; in steps two at 0.4 and two at 0.1.
  const total = page.getByRole('region', { name: 'In all' }).getByRole('row', { name: /USD/ })
  await total.waitFor()
  expect(await total.innerText()).toMatch(/4\s+1\.00\s*USD\s+1\.00\s*USD/)
  const ruled = page.getByRole('region', { name: 'By rule' }).getByRole('row', { name: /by steps/ })
  expect(await ruled.innerText()).toMatch(/1\.00\s*USD/)

  await page.getByRole('link', { name: 'The drafts' }).click()
  await page.getByRole('button', { name: 'Publish', exact: true }).click()
  await page.getByText('No drafts').waitFor()
  expect(await costOf()).toBe('0.4')

  await page.getByRole('link', { name: 'Explain' }).click()
  await page.getByLabel('Server').selectOption('stub')
  await page.getByLabel('Tool').fill('work')
  await page.getByRole('button', { name: 'Explain' }).click()
  await page.getByRole('heading', { name: /by steps: graduated by call/ }).waitFor()
  await page.getByRole('row', { name: /calls.*Its priority 0 is below 10/ }).waitFor()
  expect(new URL(page.url()).search).toBe('?server=stub&tool=work')
})

test('a price is changed from now on, and its versions are kept', async () => {
  const { page } = stage
  const uma = await stage.gateway.member('uma', { grant: '5' })
  const costOf = async () => (await stage.callAs(uma.credential, 'ok')).headers['tollbridge-cost']
  expect(await costOf()).toBe('0.25')
  await stage.open('/prices')
  await page.getByRole('link', { name: 'calls', exact: true }).click()
  await stage.heading('calls').waitFor()
  await page.getByText('Change the price').click()
  expect(await page.getByLabel('Price of a call').inputValue()).toBe('0.25')
  await page.getByLabel('Price of a call').fill('0.35')
  await page.getByLabel('At most').fill('0.3')
  await page.getByRole('button', { name: 'From now on' }).click()
  await page
    .getByRole('region', { name: 'Versions' })
    .getByRole('row', { name: /^2 .*0\.35 USD a call/ })
    .waitFor()
  await page
    .getByRole('region', { name: 'Versions' })
    .getByRole('row', { name: /^1 .*0\.25 USD a call/ })
    .waitFor()
  expect(await costOf()).toBe('0.3')
})
