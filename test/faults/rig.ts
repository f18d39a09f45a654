// The bench of the fault tests: gateways, scripted servers and folders that are cleaned up, and the books compared.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { addServer, startTestGateway, type GatewayOptions, type TestGateway } from '../harness/gateway.ts'
import { startRecorder, type Hit, type Recorder, type RecorderOptions } from '../upstreams/recorder.ts'
import { McpClient, newKey, type Era } from './callers.ts'

const cleanups: (() => unknown)[] = []

/** Runs when the test ends, the newest first. */
export function onEnd(cleanup: () => unknown): void {
  cleanups.push(cleanup)
}

/** Stops and removes everything that this file's tests started; for `afterEach`. */
export async function cleanUp(): Promise<void> {
  for (let next = cleanups.pop(); next; next = cleanups.pop()) await next()
}

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-fault-'))
  onEnd(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export async function startGateway(options: GatewayOptions = {}): Promise<TestGateway> {
  const gateway = await startTestGateway(options)
  onEnd(() => gateway.stop('SIGKILL'))
  return gateway
}

export async function startUpstream(options: RecorderOptions = {}): Promise<Recorder> {
  const upstream = await startRecorder(options)
  onEnd(() => upstream.stop())
  return upstream
}

export const price = '0.013'
export const server = 'stub'

/** A funded caller of a server that is reached at `url`; every tool call costs `price`. */
export async function furnish(
  gateway: TestGateway,
  url: string,
  { grant = '100000', more = {} }: { grant?: string; more?: object } = {},
): Promise<{ key: string; accountId: string }> {
  await addServer(gateway, server, url, more)
  await gateway.admin.ok('POST', '/api/v1/billing/rules', {
    name: 'calls',
    match: { method: 'tools/call' },
    currency: 'USD',
    price: { perCall: price },
  })
  const member = await gateway.member('ada', { grant })
  return { key: await newKey(member), accountId: member.accountId }
}

/** Registers the stubborn child as a server of its own; its pids, and its children's, are lines of the file. */
export async function furnishChild(
  gateway: TestGateway,
  name: string,
  more: object = {},
): Promise<{ pids: () => number[] }> {
  const file = join(newFolder(), 'pids')
  writeFileSync(file, '')
  const args = [join(import.meta.dirname, 'stubborn-child.ts'), file]
  const transport = { type: 'stdio', command: process.execPath, args }
  const access = 'authenticated'
  await gateway.admin.ok('POST', '/api/v1/servers', { name, transport, access, ...more })
  return { pids: () => readFileSync(file, 'utf8').split('\n').filter(Boolean).map(Number) }
}

/** The environment in which the stubborn child may be started. */
export const childEnvironment = { TOLLBRIDGE_STDIO_ALLOW: process.execPath }

/** Whether a process runs; a zombie does not. */
export function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

export function client(gateway: { readonly url: string }, key: string, era: Era, name = server): McpClient {
  return new McpClient(`${gateway.url}/mcp/${name}`, key, era)
}

/** A gateway with a funded caller, a scripted server, and a client of each era in front. */
export interface Stage {
  readonly gateway: TestGateway
  readonly upstream: Recorder
  readonly clients: Readonly<Record<Era, McpClient>>
}

/** `more` is added to the server's registration. */
/** Faults are given one after the other here, so that each call has to meet its own: the breaker has tests of its own. */
export async function setStage(more: object = {}): Promise<Stage> {
  const upstream = await startUpstream()
  const gateway = await startGateway({ env: { TOLLBRIDGE_BREAKER_FAILURES: '1000000' } })
  const { key } = await furnish(gateway, upstream.url, { more })
  const [legacy, modern] = [client(gateway, key, 'legacy'), client(gateway, key, 'modern')]
  return { gateway, upstream, clients: { legacy: await legacy.open(), modern } }
}

/** The nth of a list that starts over at its end. */
export function turn<Item>(list: readonly Item[], n: number): Item {
  const item = list[n % list.length]
  if (item === undefined) throw new Error('the list is empty')
  return item
}

/** The argument `name` of a call that reached the server. */
export const nameIn = ({ message }: Hit): string =>
  String((message?.params?.['arguments'] as { name?: unknown } | undefined)?.name)

/** The status of a path that needs no credential; 0 where nothing answers within `timeoutMs`. */
export async function statusOf(
  gateway: { readonly url: string },
  path: string,
  timeoutMs = 2000,
): Promise<number> {
  try {
    const response = await fetch(gateway.url + path, { signal: AbortSignal.timeout(timeoutMs) })
    await response.arrayBuffer()
    return response.status
  } catch {
    return 0
  }
}

/** One value of /metrics. */
export async function metric(gateway: { readonly url: string }, name: string): Promise<number> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text()
  const value = new RegExp(`^${name.replaceAll(/[{}"]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1]
  if (value === undefined) throw new Error(`/metrics has no ${name}`)
  return Number(value)
}

/** A usage record as the API shows it, as far as these tests read it. */
export interface UsageRecord {
  readonly id: string
  readonly method: string
  readonly tool?: string
  readonly outcome: string
  readonly cost: string
  readonly durationMs: number
  readonly error?: string
  readonly idempotencyKey?: string
}

/** Every record of tool calls, newest first. */
export const toolCalls = (gateway: TestGateway, query = ''): Promise<UsageRecord[]> =>
  gateway.admin.all(`/api/v1/billing/usage?method=${encodeURIComponent('tools/call')}${query}`)

/** Recomputes the books and expects no difference. */
export async function expectClean(gateway: TestGateway): Promise<void> {
  const verdict = await gateway.admin.ok('GET', '/api/v1/billing/verify')
  expect(verdict.differences).toEqual([])
  expect(verdict.ok).toBe(true)
}

/** A decimal string in billionths. */
export function nano(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.replace('-', '').split('.')
  const value = BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  return amount.startsWith('-') ? -value : value
}

export const costOf = (records: readonly UsageRecord[]): bigint =>
  records.reduce((sum, { cost }) => sum + nano(cost), 0n)

/** Expects that what is left of the grants is what the records leave of them. */
export async function expectBalance(gateway: TestGateway, accountId: string, grant: string): Promise<void> {
  const records: UsageRecord[] = await gateway.admin.all(`/api/v1/billing/usage?account=${accountId}`)
  const account = await gateway.admin.ok('GET', `/api/v1/billing/accounts/${accountId}`)
  expect(nano(account.balance)).toBe(nano(grant) - costOf(records))
  expect(nano(account.held)).toBe(0n)
}

/** Whole numbers from `min` to `max` by a seed (mulberry32), so that a run can be repeated. */
export function seeded(seed: number): (min: number, max: number) => number {
  let state = seed >>> 0
  return (min, max) => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return min + (((mixed ^ (mixed >>> 14)) >>> 0) % (max - min + 1))
  }
}

/** `TOLLBRIDGE_TEST_SEED`, or a new one, printed. */
export function printedSeed(what: string): number {
  const seed = Number(process.env['TOLLBRIDGE_TEST_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  console.log(`${what}: TOLLBRIDGE_TEST_SEED=${seed}`)
  return seed
}

/** A positive whole number of the environment, or the default. */
export const countFrom = (name: string, standard: number): number => Number(process.env[name] ?? standard)
