// How the console feels: the time zone that one chose, and the keyboard alone.
import { expect, test } from 'vitest'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('times and days are those of the chosen zone, and stay so', async () => {
  const { page } = stage
  const xena = await stage.gateway.member('xena', { grant: '5' })
  const called = await stage.callAs(xena.credential)
  const { time } = await xena.ok(
    'GET',
    `/api/v1/billing/usage/${String(called.headers['tollbridge-call-id'])}`,
  )
  await stage.open(`/calls/${String(called.headers['tollbridge-call-id'])}`, 'xena')
  const shownIn = (timeZone: string): string =>
    new Intl.DateTimeFormat('en-US', { dateStyle: 'medium', timeStyle: 'medium', timeZone }).format(
      new Date(time),
    )
  for (const zone of ['UTC', 'Pacific/Pago_Pago', 'Pacific/Kiritimati']) {
    await page.getByLabel('Time zone').focus()
    await page.getByLabel('Time zone').selectOption(zone)
    await page
      .locator('time', { hasText: shownIn(zone) })
      .first()
      .waitFor()
    await page.reload()
    await page
      .locator('time', { hasText: shownIn(zone) })
      .first()
      .waitFor()
    expect(await page.getByLabel('Time zone').inputValue()).toBe(zone)
  }
  await stage.goto('/usage')
  const today = new Intl.DateTimeFormat('en-CA', { timeZone: 'Pacific/Kiritimati', dateStyle: 'short' })
  await page
    .getByRole('row', { name: new RegExp(`^${today.format(new Date(time))}`) })
    .first()
    .waitFor()
})

test('the content and every place are reached by the keyboard alone', async () => {
  const { page } = stage
  await stage.open('/')
  await stage.heading('Overview').waitFor()
  await page.reload()
  await stage.heading('Overview').waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  expect(await page.evaluate('document.activeElement.id')).toBe('main')
  await page.keyboard.press('Control+k')
  await page.keyboard.type('budg')
  await page.getByRole('button', { name: 'Budgets' }).waitFor()
  await page.keyboard.press('Enter')
  await stage.heading('Budgets').waitFor()
  await page.keyboard.press('Control+k')
  await page.keyboard.type('account')
  await page.getByRole('button', { name: 'Account admin' }).waitFor()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowUp')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await stage.page.locator('#main h1').filter({ hasNotText: 'Budgets' }).waitFor()
})
