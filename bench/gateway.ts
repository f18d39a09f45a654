// The real gateway as the benches measure it: everything on, in a process of its own, pinned.
import type { ApiCaller } from '../test/harness/gateway.ts'
import { measuredCore, pin } from './processes.ts'

export interface MeteredGateway {
  readonly pid: number
  readonly url: string
  /** The API key of the caller, whose prepaid account has credit. */
  readonly key: string
  readonly admin: ApiCaller
  stop(): Promise<void>
}

/** A registration for `POST /api/v1/servers`; names begin with `bench-`. */
export interface BenchServer {
  readonly name: string
  readonly transport: object
  readonly [field: string]: unknown
}

/**
 * Starts a gateway with an API key, access-controlled servers, a rule with two components, a prepaid account with a hard
 * balance, and a durable record before each answer.
 */
export async function startMeteredGateway(
  env: Readonly<Record<string, string>>,
  servers: readonly BenchServer[],
): Promise<MeteredGateway> {
  const { startTestGateway } = await import('../test/harness/gateway.ts')
  const gateway = await startTestGateway({ env })
  const { admin, url } = gateway
  const { pid } = gateway.process
  if (pid === undefined) throw new Error('the gateway runs in no process of its own')
  pin(pid, measuredCore)
  for (const server of servers)
    await admin.ok('POST', '/api/v1/servers', { access: 'authenticated', ...server })
  await admin.ok('POST', '/api/v1/billing/rules', {
    name: 'bench',
    priority: 1,
    active: true,
    currency: 'USD',
    match: { server: 'bench-*', method: 'tools/call' },
    price: { perCall: '0.0001', perKb: '0.00001' },
  })
  const caller = await gateway.member('bench', { grant: '1000000' })
  const { key } = (await caller.ok('POST', '/api/v1/keys', { name: 'bench' })) as { key: string }
  return { pid, url, key, admin, stop: async () => void (await gateway.stop()) }
}
