// What one does for oneself in the console: another password, and a passkey to log in with.
import { expect, test } from 'vitest'
import { passwordOf, useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('a password is changed, and the old one is worth nothing', async () => {
  const { page } = stage
  await stage.gateway.member('moe')
  await stage.open('/me', 'moe')
  await stage.heading('moe').waitFor()
  await page.getByLabel('The one that you have').fill('not it, surely')
  await page.getByLabel('The new one').fill('An0ther-passw0rd-of-moe')
  await page.getByRole('button', { name: 'Change it' }).click()
  await page.getByRole('alert').first().waitFor()
  await page.getByLabel('The one that you have').fill(passwordOf('moe'))
  await page.getByRole('button', { name: 'Change it' }).click()
  await page.getByText('It is changed.').waitFor()
  const login = (password: string) =>
    stage.gateway.admin.call('POST', '/api/v1/auth/authenticate', { username: 'moe', password })
  expect((await login(passwordOf('moe'))).status).toBe(401)
  expect((await login('An0ther-passw0rd-of-moe')).status).toBe(200)
})

test('a passkey is made, logs in, and is removed', async () => {
  const { page } = stage
  const devtools = await stage.context.newCDPSession(page)
  await devtools.send('WebAuthn.enable')
  const options = {
    protocol: 'ctap2',
    transport: 'internal',
    hasResidentKey: true,
    hasUserVerification: true,
  }
  await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: { ...options, isUserVerified: true, automaticPresenceSimulation: true },
  } as never)
  await stage.gateway.member('nel')
  await stage.open('/me', 'nel')
  await page.getByLabel('Name of a new passkey').fill('this machine')
  await page.getByLabel('Your password').fill(passwordOf('nel'))
  await page.getByRole('button', { name: 'Make the passkey' }).click()
  const row = page.getByRole('row', { name: /this machine/ })
  await row.waitFor()
  await page.getByRole('button', { name: 'Log out' }).click()
  await page.getByRole('button', { name: 'Use a passkey' }).click()
  await stage.heading('nel').waitFor()
  await row.getByRole('button', { name: 'Remove this machine' }).click()
  await row.getByRole('button', { name: 'Remove this machine now' }).click()
  await page.getByText('None yet. A passkey').waitFor()
})
