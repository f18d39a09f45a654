// Invoices in the console: made, opened, finalized and paid by an administrator; a member sees their own alone.
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const api = '/api/v1'
const stage = useStage({ isRegistered: true })

test('an invoice is made, its lines lead to their calls, and it is finalized, paid and credited', async () => {
  const { admin } = stage.gateway
  const ina = await stage.gateway.member('ina', { grant: '5' })
  await admin.ok('PATCH', `${api}/billing/accounts/${ina.accountId}`, { mode: 'postpaid' })
  for (let n = 0; n < 3; n++) await stage.callAs(ina.credential)
  await stage.open('/invoices')
  const { page } = stage
  await page.getByText('Make an invoice').click()
  const month = new Date().toISOString().slice(0, 7)
  await page.getByLabel('For').selectOption({ label: 'ina' })
  await page.getByLabel('Month').fill(month)
  await page.getByRole('button', { name: 'Make the draft' }).click()
  await stage.heading('Invoice draft').waitFor()
  const line = page.getByRole('region', { name: 'Lines' }).getByRole('row', { name: /work on stub/ })
  expect(await line.innerText()).toMatch(/\b3\b[\s\S]*0\.75/)

  // The month is not over.
  await page.getByRole('button', { name: 'Finalize this draft' }).click()
  await page.getByRole('button', { name: 'Finalize this draft now' }).click()
  await page.getByText(/The period has not ended/).waitFor()
  await page.getByRole('button', { name: 'Delete this draft' }).click()
  await page.getByRole('button', { name: 'Delete this draft now' }).click()
  await page.getByText('No invoices yet').waitFor()

  const end = new Date().toISOString()
  const draft = await admin.ok('POST', `${api}/billing/invoices`, {
    accountId: ina.accountId,
    period: { start: `${month}-01T00:00:00Z`, end },
  })
  await stage.goto(`/invoices/${draft.id}`)
  await page.getByRole('button', { name: 'Finalize this draft' }).click()
  await page.getByRole('button', { name: 'Finalize this draft now' }).click()
  await stage.heading(/Invoice INV-/).waitFor()
  await page.getByLabel('Reference of the payment').fill('wire 4711')
  await page.getByRole('button', { name: 'It was paid' }).click()
  await page.getByText('wire 4711').waitFor()
  await page.getByText('paid', { exact: true }).waitFor()
  await page.getByText('Make a credit note').click()
  await page.getByLabel('Amount, in USD').fill('0.25')
  await page.getByLabel('Why').fill('one call was in vain')
  await page.getByRole('button', { name: 'Credit it' }).click()
  const notes = () => admin.all(`${api}/billing/invoices/${draft.id}/credit-notes`)
  await expect.poll(notes, { timeout: 10_000 }).toMatchObject([{ reason: 'one call was in vain' }])

  await page.getByRole('link', { name: 'work on stub' }).click()
  await stage.heading('Calls').waitFor()
  expect(new URL(page.url()).searchParams.get('tool')).toBe('work')
  const calls = () => page.locator('a[href^="/calls/use_"]').count()
  await expect.poll(calls, { timeout: 10_000 }).toBeGreaterThanOrEqual(3)
})

test('a member opens their own invoice and can change nothing of it', async () => {
  const { admin } = stage.gateway
  const paul = await stage.gateway.member('paul', { grant: '5' })
  await stage.callAs(paul.credential)
  const period = { start: new Date(Date.now() - 3_600_000).toISOString(), end: new Date().toISOString() }
  const { id } = await admin.ok('POST', `${api}/billing/invoices`, { accountId: paul.accountId, period })
  await admin.ok('POST', `${api}/billing/invoices/${id}/finalize`, {})
  await stage.open('/invoices', 'paul')
  await stage.page.getByRole('link', { name: /^INV-/ }).click()
  await stage.heading(/Invoice INV-/).waitFor()
  await stage.page.getByText('work on stub').waitFor()
  expect(await stage.page.getByRole('button', { name: /Finalize|Void|paid|Delete/ }).count()).toBe(0)
  await stage.goto('/invoices')
  await stage.page.getByRole('link', { name: /^INV-/ }).waitFor()
  expect(await stage.page.content()).not.toMatch(/\bina\b/)
})
