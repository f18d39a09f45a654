// Logins and consents in a real browser: under its rules for forms, cookies, frames and passkeys.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { launchChromium } from '../harness/chromium.ts'
import { addServer, ApiCaller, startTestGateway, type TestGateway } from '../harness/gateway.ts'
import { startIssuer, type TestIssuer } from '../harness/issuer.ts'
import { Authorization, register } from '../harness/oauth.ts'
import { freePort } from '../harness/ports.ts'
import { startConsentServer, type ConsentServer } from '../upstreams/consent-server.ts'
import { startRecorder, type Recorder } from '../upstreams/recorder.ts'

const folder = mkdtempSync(join(tmpdir(), 'tollbridge-browser-'))
let browser: Browser
let gateway: TestGateway
let issuer: TestIssuer
let upstream: Recorder
let demanding: ConsentServer
/** A page of somebody else, at another site than the gateway. */
let foreign: Site
/** The gateway as browsers call it: passkeys are for a name. */
let origin: string
let page: Page
const dialogs: string[] = []

interface Site {
  readonly url: string
  readonly asked: string[]
  html: string
  stop(): void
}

async function startSite(): Promise<Site> {
  const asked: string[] = []
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? '')
    // As an application does that hands over to a program on the machine.
    const on = request.url?.startsWith('/callback')
    if (on) response.writeHead(302, { location: `http://localhost:${port}/done` }).end()
    else response.writeHead(200, { 'content-type': 'text/html' }).end(site.html)
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  // "localhost" of the second redirect is another site than 127.0.0.1, and this server is both.
  const site: Site = {
    url: `http://127.0.0.1:${port}`,
    asked,
    html: '<h1>foreign</h1>',
    stop: () => server.close(),
  }
  return site
}

const passwordOf = (name: string): string => `Member-passw0rd-${name}`

beforeAll(async () => {
  ;[browser, issuer, upstream, demanding, foreign] = await Promise.all([
    launchChromium(),
    startIssuer(),
    startRecorder(),
    startConsentServer({ registers: true }),
    startSite(),
  ])
  const port = await freePort()
  origin = `http://localhost:${port}`
  const file = join(folder, 'tollbridge.yaml')
  const login = { name: 'corp', title: 'Corp', clientId: 'tollbridge' }
  const issuers = [{ issuer: issuer.url, algorithms: ['ES256'], audience: 'gateway', login }]
  writeFileSync(file, JSON.stringify({ oauth: { issuers } }))
  gateway = await startTestGateway({
    args: ['--config', file, '--port', String(port), '--public-url', origin],
  })
  await addServer(gateway, 'stub', upstream.url)
  await addServer(gateway, 'mine', demanding.url, {
    auth: { type: 'oauth2', grant: 'authorization-code' },
  })
  await gateway.member('anna')
})
afterAll(async () => {
  await browser.close()
  await gateway.stop('SIGKILL')
  await Promise.all([issuer.stop(), upstream.stop(), demanding.stop()])
  foreign.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function newPage(options: { bypassCSP?: boolean } = {}): Promise<Page> {
  const context = await browser.newContext(options)
  const opened = await context.newPage()
  opened.on('dialog', (dialog) => {
    dialogs.push(dialog.message())
    void dialog.dismiss()
  })
  return opened
}
beforeEach(async () => {
  page = await newPage()
})
afterEach(() => page.context().close())

async function fillLogin(name: string): Promise<void> {
  await page.getByLabel('User name').fill(name)
  await page.getByLabel('Password').fill(passwordOf(name))
  await page.getByRole('button', { name: /Log in/ }).click()
}

describe('a consent to a client', () => {
  const begin = async (name = 'Probe') => {
    const redirect = `${foreign.url}/callback`
    const { id } = await register(origin, { client_name: name, redirect_uris: [redirect] })
    const authorization = new Authorization(origin, id, { redirect_uri: redirect })
    await page.goto(authorization.address)
    return authorization
  }
  const landed = async () => {
    await page.waitForURL('**/done')
    return new URL(foreign.asked.findLast((path) => path.startsWith('/callback')) ?? '', foreign.url)
  }

  test('goes from the login by password to the client, over redirects of its own', async () => {
    const authorization = await begin('<img src=x onerror=alert(1)>')
    await fillLogin('anna')
    expect(await page.getByText('<img src=x onerror=alert(1)>').count()).toBeGreaterThan(0)
    await page.getByRole('button', { name: 'Allow', exact: true }).click()
    const back = await landed()
    expect(back.searchParams.get('state')).toBe(authorization.state)
    expect((await authorization.exchange(back)).status).toBe(200)
    expect(dialogs).toEqual([])
  })

  test('goes over another issuer and back, though that is another site', async () => {
    const authorization = await begin()
    await page.getByRole('link', { name: 'Log in with Corp' }).click()
    await page.waitForURL(`${issuer.url}/**`)
    await page.goto(issuer.agree(page.url(), { sub: 'u-9', preferred_username: 'olga' }))
    expect(await page.getByText('olga').count()).toBe(1)
    await page.getByRole('button', { name: 'Allow', exact: true }).click()
    expect((await authorization.exchange(await landed())).status).toBe(200)
  })

  test('can be refused, and the client is told', async () => {
    await begin()
    await fillLogin('anna')
    await page.getByRole('button', { name: 'Do not allow' }).click()
    expect((await landed()).searchParams.get('error')).toBe('access_denied')
  })
})

test('a consent to a server goes from its link to that server and back', async () => {
  const anna = await new ApiCaller(gateway.url).login('anna', passwordOf('anna'))
  const { url } = await anna.ok('POST', '/api/v1/servers/mine/authorization')
  await page.goto(url)
  await fillLogin('anna')
  await page.waitForURL((at) => at.origin !== origin)
  await page.goto(demanding.agree(page.url(), 'anna-there'))
  expect(await page.getByText('Connected').count()).toBeGreaterThan(0)
})

/** Runs the text of a function in the page; the argument and what it resolves with are JSON. */
// Tests read whatever shape they expect.
// oxlint-disable-next-line typescript/no-explicit-any
const run = (on: Page, source: string, argument: unknown): Promise<any> =>
  on.evaluate(`(${source})(${JSON.stringify(argument)})`)

/** A request of the page itself, as the console makes them. */
const ask = (on: Page, route: string, body?: object, csrf = '') =>
  run(
    on,
    `async ({ route, body, csrf }) => {
      const [method, path] = route.split(' ')
      const headers = { 'content-type': 'application/json', 'tollbridge-csrf': csrf }
      const response = await fetch(path, { method, headers, ...(body && { body: JSON.stringify(body) }) })
      const text = await response.text()
      return { status: response.status, json: text === '' ? {} : JSON.parse(text) }
    }`,
    { route, body, csrf },
  )

describe('a browser that is logged in', () => {
  let own: Page
  let csrf: string
  beforeEach(async () => {
    // The pages there are load nothing; the requests are those of a page that may.
    own = await newPage({ bypassCSP: true })
    await own.goto(`${origin}/docs`)
    const { json } = await ask(own, 'POST /api/v1/auth/session', {
      username: 'anna',
      password: passwordOf('anna'),
    })
    csrf = json.csrfToken
  })
  afterEach(() => own.context().close())

  test('reads and changes from pages of the gateway', async () => {
    expect((await ask(own, 'GET /api/v1/me')).json.username).toBe('anna')
    const made = await ask(own, 'POST /api/v1/keys', { name: 'by-browser' }, csrf)
    expect(made.status).toBe(201)
    expect((await ask(own, `DELETE /api/v1/keys/${made.json.id}`, undefined, csrf)).status).toBe(204)
  })

  test('does nothing for a page of another site, by form, script or image', async () => {
    foreign.html = `<form id="form" method="post" action="${origin}/api/v1/auth/logout" target="out"></form>
<iframe name="out"></iframe><img src="${origin}/api/v1/me">`
    await own.goto(foreign.url)
    const outcome = await run(
      own,
      `async (origin) => {
        const from = { credentials: 'include' }
        const tries = [
          fetch(origin + '/api/v1/keys', { ...from, method: 'POST', body: '{"name":"stolen"}' }),
          fetch(origin + '/api/v1/keys', { ...from, method: 'POST', mode: 'no-cors', body: '{"name":"x"}' }),
          fetch(origin + '/api/v1/me', from),
          fetch(origin + '/api/v1/auth/session', { ...from, method: 'DELETE' }),
        ]
        document.querySelector('#form').submit()
        const done = await Promise.allSettled(tries)
        return done.map((each) => (each.status === 'fulfilled' ? each.value.type : 'refused'))
      }`,
      origin,
    )
    expect(outcome).toEqual(['refused', 'opaque', 'refused', 'refused'])
    await own.goto(`${origin}/docs`)
    expect((await ask(own, 'GET /api/v1/me')).status).toBe(200)
    expect((await ask(own, 'GET /api/v1/keys')).json.items).toEqual([])
  })

  test('makes a passkey and logs in with it, on a device that knows its user', async () => {
    const client = await own.context().newCDPSession(own)
    await client.send('WebAuthn.enable')
    const { authenticatorId } = await client.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
      },
    })
    const question = await ask(
      own,
      'POST /api/v1/me/passkeys/options',
      { password: passwordOf('anna') },
      csrf,
    )
    expect(question.status).toBe(200)
    const created = await run(
      own,
      `async (options) => {
        const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options)
        return (await navigator.credentials.create({ publicKey })).toJSON()
      }`,
      question.json.options,
    )
    const body = { state: question.json.state, response: created, name: 'this browser' }
    expect((await ask(own, 'POST /api/v1/me/passkeys', body, csrf)).status).toBe(201)
    await ask(own, 'DELETE /api/v1/auth/session', undefined, csrf)
    expect((await ask(own, 'GET /api/v1/me')).status).toBe(401)

    const logIn = async () => {
      const asked = (await ask(own, 'POST /api/v1/auth/passkey/options', {})).json
      const response = await run(
        own,
        `async (options) => {
          const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options)
          return (await navigator.credentials.get({ publicKey })).toJSON()
        }`,
        asked.options,
      )
      return ask(own, 'POST /api/v1/auth/passkey', { state: asked.state, response })
    }
    const back = await logIn()
    expect([back.status, back.json.username]).toEqual([200, 'anna'])
    expect((await ask(own, 'GET /api/v1/me')).json.username).toBe('anna')
    // A device that has only seen a touch does not do.
    await ask(own, 'DELETE /api/v1/auth/session', undefined, back.json.csrfToken)
    await client.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
    await expect(logIn()).rejects.toThrow(/NotAllowedError/)
  })
})

test('no page of the gateway is shown in a frame of another site', async () => {
  const { id } = await register(origin)
  const paths = ['/', '/docs', new Authorization(origin, id).address.replace(origin, '')]
  for (const path of paths) {
    await page.goto(`${origin}${path}`)
    const heading = await page.locator('h1').first().innerText()
    foreign.html = `<h1>foreign</h1><iframe src="${origin}${path.replaceAll('&', '&amp;')}"></iframe>`
    const refused = page.waitForEvent('console', (said) =>
      /refused to connect|frame-ancestors|X-Frame-Options/i.test(said.text()),
    )
    await page.goto(foreign.url)
    await refused
    expect(await page.frames()[1]?.content()).not.toContain(heading)
  }
})
