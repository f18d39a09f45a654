// Pages of consent for people who log in at another issuer: to an OAuth client, and to a server that wants a token of theirs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser, consent, locationOf, type Page } from '../harness/browser.ts'
import { addServer, ApiCaller, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { startIssuer, type TestIssuer } from '../harness/issuer.ts'
import { Authorization, register } from '../harness/oauth.ts'
import { startConsentServer, type ConsentServer } from '../upstreams/consent-server.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'
import { eras, McpClient, toolCall } from './bench.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-elsewhere-'))
let issuer: TestIssuer
let upstream: Recorder
let demanding: ConsentServer
let gateway: TestGateway
let clientId: string

beforeAll(async () => {
  ;[issuer, upstream, demanding] = await Promise.all([
    startIssuer(),
    startRecorder(),
    startConsentServer({ registers: true }),
  ])
  const file = join(folder, 'tollbridge.yaml')
  const login = { name: 'corp', title: 'Corp <&>', clientId: 'tollbridge', clientSecret: 'secret' }
  writeFileSync(
    file,
    JSON.stringify({
      oauth: { issuers: [{ issuer: issuer.url, algorithms: ['ES256'], audience: 'gateway', login }] },
    }),
  )
  gateway = await startTestGateway({ args: ['--config', file] })
  await addServer(gateway, 'stub', upstream.url)
  await addServer(gateway, 'mine', demanding.url, {
    auth: { type: 'oauth2', grant: 'authorization-code' },
  })
  clientId = (await register(gateway.url)).id
})
afterAll(async () => {
  await gateway.stop('SIGKILL')
  await Promise.all([issuer.stop(), upstream.stop(), demanding.stop()])
  rmSync(folder, { recursive: true, force: true })
})

/** Where the one link of a login page leads. */
function linkOf({ url, answer }: Page): URL {
  const href = /<a href="([^"]*)">Log in with Corp &lt;&amp;&gt;<\/a>/.exec(answer.text)?.[1]
  if (href === undefined) throw new Error(`no link: ${answer.status} ${answer.text.slice(-300)}`)
  return new URL(href.replaceAll('&amp;', '&'), url)
}

const claimsOf = (name: string): object => ({ sub: `sub-${name}`, preferred_username: name })

/** Follows the link, says yes at the issuer; resolves with the address that the browser is sent back to. */
async function leave(browser: Browser, page: Page, name: string): Promise<URL> {
  const asked = locationOf(await browser.open(linkOf(page)))
  expect(asked.searchParams.get('redirect_uri')).toBe(`${gateway.url}/oauth/login-callback`)
  return new URL(issuer.agree(asked.href, claimsOf(name)))
}

const statusOf = ({ answer }: Page): number => answer.status

describe('a consent to a client', () => {
  const begin = async (authorization = new Authorization(gateway.url, clientId)) => {
    const browser = new Browser()
    return { authorization, browser, page: await browser.open(authorization.address) }
  }

  test.each(eras)('is given by a user of the issuer, and the token calls as that user (%s)', async (era) => {
    const { authorization, browser, page } = await begin()
    const name = `olga-${era}`
    const asked = await browser.open(await leave(browser, page, name))
    expect(asked.answer.text).toContain(name)
    const back = locationOf(await browser.submit(asked, { decision: 'allow' }))
    const tokens = await authorization.exchange(back)
    expect(tokens.status).toBe(200)
    const { access_token: credential } = tokens.json
    const user = (await gateway.admin.all('/api/v1/users')).find(({ username }) => username === name)
    const answer = await new McpClient({ url: gateway.url, credential }, '/mcp/stub').ask(
      era,
      toolCall('work'),
    )
    expect([answer.status, answer.json.result.isError]).toEqual([200, undefined])
    const usage = await gateway.admin.all(`/api/v1/billing/usage?user=${user.id}`)
    expect(usage).toContainEqual(expect.objectContaining({ method: 'tools/call', outcome: 'success' }))
    const events = await gateway.admin.all('/api/v1/audit?action=oauth.login.create')
    expect(events[0]).toMatchObject({ outcome: 'success', actor: { userId: user.id } })
  })

  test('counts in the browser that asked, once, and not as a login for a cookie', async () => {
    const { browser, page } = await begin()
    const back = await leave(browser, page, 'petra')
    const elsewhere = new Browser()
    await elsewhere.open(new Authorization(gateway.url, clientId).address)
    for (const thief of [new Browser(), elsewhere]) {
      const shown = await thief.open(back)
      expect([statusOf(shown), shown.answer.text.includes('name="decision"')]).toEqual([401, false])
    }
    const asCookie = new URL(`/api/v1/auth/oidc/callback${back.search}`, gateway.url)
    const refused = await browser.open(asCookie)
    expect([statusOf(refused), refused.answer.headers['set-cookie']]).toEqual([401, undefined])
    expect(statusOf(await browser.open(back))).toBe(200)
    expect(statusOf(await browser.open(back))).toBe(401)
  })

  test('is not asked of who comes back from a login for a cookie', async () => {
    const { browser } = await begin()
    const start = await new ApiCaller(gateway.url).call('GET', '/api/v1/auth/oidc/corp/start?return=/')
    const back = new URL(issuer.agree(start.headers.get('location') ?? '', claimsOf('quentin')))
    const shown = await browser.open(new URL(`/oauth/login-callback${back.search}`, gateway.url))
    expect(statusOf(shown)).toBe(401)
  })

  test('needs a page that was opened here, and an issuer that is known', async () => {
    const { browser, page } = await begin()
    const link = linkOf(page)
    expect(statusOf(await new Browser().open(link))).toBe(400)
    const unknown = new URL(link)
    unknown.searchParams.set('name', 'nobody')
    expect(statusOf(await browser.open(unknown))).toBe(404)
    const bare = new URL(link)
    bare.searchParams.delete('interaction')
    expect(statusOf(await browser.open(bare))).toBe(400)
  })

  test('goes on by password for who has one', async () => {
    await gateway.member('walter')
    const { address } = new Authorization(gateway.url, clientId)
    const user = { username: 'walter', password: 'Member-passw0rd-walter' }
    expect((await consent(address, user)).searchParams.has('code')).toBe(true)
  })
})

describe('a consent to a server', () => {
  /** A link for a user of the issuer, who has no password here. */
  async function linkFor(name: string): Promise<string> {
    const token = issuer.token('gateway', claimsOf(name))
    const user = new ApiCaller(gateway.url, token)
    const answer = await user.call('POST', '/api/v1/servers/mine/authorization')
    expect([answer.status, answer.text.slice(0, 200)]).toEqual([200, expect.any(String)])
    return answer.json.url
  }

  test('is given by a user of the issuer, and by no other', async () => {
    const url = await linkFor('rosa')
    const wrong = new Browser()
    const refused = await wrong.open(await leave(wrong, await wrong.open(url), 'sven'))
    expect([statusOf(refused), refused.answer.headers['location']]).toEqual([400, undefined])
    const browser = new Browser()
    const sent = locationOf(await browser.open(await leave(browser, await browser.open(url), 'rosa')))
    const done = await browser.open(demanding.agree(sent.href, 'rosa-there'))
    expect(done.answer.text).toContain('Connected')
  })
})
