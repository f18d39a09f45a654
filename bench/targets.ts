// The ways from the load to the fixed upstream that one bench run compares.
import { join } from 'node:path'
import type { Endpoint } from './drive.ts'
import { childrenOf, measuredCore, otherCore, pin, startScript } from './processes.ts'
import { modes } from './upstream.ts'
import type { Mode } from './upstream.ts'

export const targetNames = ['direct', 'byte-proxy', 'sdk-proxy', 'tollbridge', 'tollbridge-process'] as const
export type TargetName = (typeof targetNames)[number]

export interface Target {
  readonly name: TargetName
  /** The root of the process tree whose CPU and memory count: the upstream's own for `direct`. */
  readonly pid: number
  endpoint(mode: Mode): Endpoint
  stop(): Promise<void>
}

export interface Upstream {
  readonly pid: number
  readonly url: string
  /** How many tools/call it has answered. */
  calls(): Promise<number>
  stop(): Promise<void>
}

const script = (name: string) => join(import.meta.dirname, name)

export async function startUpstream(): Promise<Upstream> {
  const running = await startScript(otherCore, script('upstream.ts'), [])
  return {
    ...running,
    calls: async () => Number(await (await fetch(`${running.url}/calls`)).text()),
  }
}

async function startProxy(name: 'byte-proxy' | 'sdk-proxy', upstream: Upstream): Promise<Target> {
  const running = await startScript(measuredCore, script(`${name}.ts`), ['--target', upstream.url])
  return { ...running, name, endpoint: (mode) => ({ url: `${running.url}/${mode}` }) }
}

/** Answers the JSON of an API call or fails with what was said. */
async function expectOk<T>(call: Promise<{ status: number; json: unknown }>, what: string): Promise<T> {
  const { status, json } = await call
  if (status >= 300) throw new Error(`${what}: ${status} ${JSON.stringify(json)}`)
  return json as T
}

async function postJson(
  url: string,
  body: object,
  token?: string,
): Promise<{ status: number; json: unknown }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
  })
  return { status: response.status, json: await response.json() }
}

/**
 * The real gateway with everything on: an API key, an access-controlled server, a rule with two components, a prepaid
 * account with a hard balance, and a durable record before each answer.
 */
async function startTollbridge(
  name: 'tollbridge' | 'tollbridge-process',
  upstream: Upstream,
): Promise<Target> {
  const { startTestGateway } = await import('../test/harness/gateway.ts')
  const before = new Set(childrenOf(process.pid))
  const gateway = await startTestGateway({
    env: { TOLLBRIDGE_DURABILITY: name === 'tollbridge' ? 'disk' : 'process' },
  })
  const pid = childrenOf(process.pid).find((child) => !before.has(child))
  if (pid === undefined) throw new Error('the gateway runs in no process of its own')
  pin(pid, measuredCore)
  const { admin, url } = gateway
  for (const mode of modes) {
    const transport = { type: 'streamable-http', url: `${upstream.url}/${mode}` }
    const registration = { name: `bench-${mode}`, access: 'authenticated', transport }
    await expectOk(admin.call('POST', '/api/v1/servers', registration), 'registering a server')
  }
  const rule = {
    name: 'bench',
    priority: 1,
    active: true,
    currency: 'USD',
    match: { server: 'bench-*', method: 'tools/call' },
    price: { perCall: '0.0001', perKb: '0.00001' },
  }
  await expectOk(admin.call('POST', '/api/v1/billing/rules', rule), 'making a rule')
  const login = { username: 'bench', password: 'Bench-passw0rd-2026' }
  const user = await expectOk<{ accountId: string }>(
    admin.call('POST', '/api/v1/users', { ...login, roles: ['member'] }),
    'making a user',
  )
  const account = `/api/v1/billing/accounts/${user.accountId}`
  await expectOk(admin.call('PATCH', account, { mode: 'prepaid' }), 'making the account prepaid')
  const grant = { amount: '1000000', reason: 'bench' }
  await expectOk(admin.call('POST', `${account}/grants`, grant), 'granting credit')
  const { token } = await expectOk<{ token: string }>(
    postJson(`${url}/api/v1/auth/authenticate`, login),
    'logging in',
  )
  const { key } = await expectOk<{ key: string }>(
    postJson(`${url}/api/v1/keys`, { name: 'bench' }, token),
    'making a key',
  )
  return {
    name,
    pid,
    endpoint: (mode) => ({ url: `${url}/mcp/bench-${mode}`, token: key }),
    stop: async () => void (await gateway.stop()),
  }
}

/** Starts one way to the upstream. */
export function startTarget(name: TargetName, upstream: Upstream): Promise<Target> {
  if (name === 'direct')
    return Promise.resolve({
      name,
      pid: upstream.pid,
      endpoint: (mode) => ({ url: `${upstream.url}/${mode}` }),
      stop: () => Promise.resolve(),
    })
  return name === 'byte-proxy' || name === 'sdk-proxy'
    ? startProxy(name, upstream)
    : startTollbridge(name, upstream)
}
