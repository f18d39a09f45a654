// OAuth from the command line, on a real gateway: clients of one's own, and what clients were allowed.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { recordingIo } from '../harness/cli.ts'
import { startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { newIssuerKey } from '../harness/issuer.ts'
import { postForm } from '../harness/oauth.ts'

let gateway: TestGateway
const folder = mkdtempSync(join(tmpdir(), 'tollbridge-oauth-commands-'))
beforeAll(async () => {
  gateway = await startTestGateway()
})
afterAll(async () => {
  await gateway.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function line(text: string) {
  const env = { TOLLBRIDGE_URL: gateway.url, TOLLBRIDGE_KEY: gateway.admin.credential, HOME: '/nonexistent' }
  const { io, out, talk } = recordingIo(env)
  const code = await runCli(text.split(' '), io)
  return { code, out: out.join('\n'), talk: talk.join('\n') }
}

test('a client is made, gets a token, is listed with its grant, loses that, and is removed', async () => {
  expect((await line('oauth client ls')).talk).toContain('No client yet')
  const made = await line('oauth client create nightly')
  expect(made.out).toMatch(/^ocs_[\w-]{43}$/)
  const id = /ocl_\w{26}/.exec(made.talk)?.[0] ?? ''
  const form = { grant_type: 'client_credentials', client_id: id, client_secret: made.out }
  const ask = () => postForm(gateway.url, '/oauth/token', { ...form, resource: `${gateway.url}/mcp` })
  expect((await ask()).status).toBe(200)
  expect((await line('oauth client ls')).out).toMatch(new RegExp(`${id} +nightly +client_secret_basic`))
  const grants = await line('oauth grants')
  expect(grants.out).toContain(`${gateway.url}/mcp`)
  const grant = /ogr_\w{26}/.exec(grants.out)?.[0] ?? ''
  expect((await line(`oauth revoke ${grant}`)).code).toBe(2)
  expect(await line(`oauth revoke ${grant} --yes`)).toMatchObject({ code: 0, talk: `Took back ${grant}` })
  expect((await line('oauth grants --user *')).talk).toContain('No client is allowed anything')
  expect((await line(`oauth client rm ${id} --yes`)).code).toBe(0)
  expect((await ask()).status).toBe(401)
})

test('a client with keys has no secret; a file that is wrong is named', async () => {
  const file = join(folder, 'keys.json')
  for (const keys of [
    newIssuerKey().publicJwk,
    [newIssuerKey().publicJwk],
    { keys: [newIssuerKey().publicJwk] },
  ]) {
    writeFileSync(file, JSON.stringify(keys))
    const made = await line(`oauth client create signer --public-keys ${file} --json`)
    expect(JSON.parse(made.out)).toMatchObject({ name: 'signer', authMethod: 'private_key_jwt' })
    expect(JSON.parse(made.out)).not.toHaveProperty('secret')
  }
  writeFileSync(file, '{')
  expect((await line(`oauth client create x --public-keys ${file}`)).talk).toContain(file)
  writeFileSync(file, '{"kty":"oct"}')
  expect((await line(`oauth client create x --public-keys ${file}`)).talk).toMatch(/publicKeys/)
})
