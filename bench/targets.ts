// The ways from the load to the fixed upstream that one bench run compares.
import { join } from 'node:path'
import type { Endpoint } from './drive.ts'
import { startMeteredGateway, type MeteredGateway } from './gateway.ts'
import { measuredCore, otherCore, startScript } from './processes.ts'
import { modes } from './upstream.ts'
import type { Mode } from './upstream.ts'

export const usualTargets = ['direct', 'byte-proxy', 'sdk-proxy', 'tollbridge', 'tollbridge-process'] as const
/** `tollbridge-policy` is `tollbridge` with access rules, limits and a quota that every call has to pass. */
export const targetNames = [...usualTargets, 'tollbridge-policy'] as const
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

async function startTollbridge(
  name: 'tollbridge' | 'tollbridge-process' | 'tollbridge-policy',
  upstream: Upstream,
): Promise<Target> {
  const env = { TOLLBRIDGE_DURABILITY: name === 'tollbridge-process' ? 'process' : 'disk' }
  const servers = modes.map((mode) => {
    const transport = { type: 'streamable-http', url: `${upstream.url}/${mode}` }
    return { name: `bench-${mode}`, transport }
  })
  const gateway = await startMeteredGateway(env, servers)
  if (name === 'tollbridge-policy') await addPolicy(gateway)
  return {
    name,
    pid: gateway.pid,
    endpoint: (mode) => ({ url: `${gateway.url}/mcp/bench-${mode}`, token: gateway.key }),
    stop: () => gateway.stop(),
  }
}

/** Ten rules of which the last one matches, three limits, one also of bytes, and a quota: none of them ever refuses. */
async function addPolicy({ admin }: MeteredGateway): Promise<void> {
  for (let n = 0; n < 9; n++) {
    const rule = { name: `deny-${n}`, effect: 'deny', server: 'bench-*', item: `secret-${n}-*` }
    await admin.ok('POST', '/api/v1/access-rules', rule)
  }
  await admin.ok('POST', '/api/v1/access-rules', {
    name: 'allow',
    effect: 'allow',
    who: { roles: ['member'] },
  })
  const rate = { calls: 1_000_000, seconds: 1 }
  for (const [name, per] of [
    ['users', ['user']],
    ['tools', ['key', 'tool']],
    ['all', []],
  ] as const)
    await admin.ok('POST', '/api/v1/limits', {
      name,
      per,
      rate,
      concurrent: 10_000,
      ...(name === 'users' && { bandwidth: { bytes: 2 ** 40, seconds: 1 } }),
    })
  const quota = { scope: { user: '*' }, amount: '100000000', unit: 'calls', window: 'day' }
  await admin.ok('POST', '/api/v1/billing/budgets', quota)
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
