// One gateway for the whole matrix: servers registered, one set of rules, a key and a bill for every conversation.
import assert from 'node:assert/strict'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { within } from '../harness/until.ts'
import { startTestGateway, type ApiCaller, type TestGateway } from '../harness/gateway.ts'
import { rules, type BilledRecord } from './bill.ts'
import {
  failed,
  runConversation,
  type Ran,
  type RunOptions,
  type Verdict,
  type Verdicts,
} from './conversation-run.ts'
import type { Pair } from './cells.ts'
import type { Destination } from './conversation.ts'

const root = resolve(import.meta.dirname, '../..')

export interface Rig {
  readonly gateway: TestGateway
  /** Who makes every call of the matrix, from a prepaid account. */
  readonly caller: ApiCaller
  /** Registers a server; a refusal is kept and told to whoever wants to reach it. */
  register(name: string, transport: object): Promise<void>
  /** A new key's way to a server. */
  open(name: string): Promise<{ destination: Destination; keyId: string }>
  /** Takes the key back: a user may have so many only. */
  close(keyId: string): Promise<void>
  /** Everything that a key's calls left, oldest first. */
  records(keyId: string): Promise<BilledRecord[]>
  /** That nothing is held, the balance is the grant less the records, and `verify` agrees. */
  verify(): Promise<void>
  stop(): Promise<void>
}

const grant = '100000'

export async function startRig(): Promise<Rig> {
  const gateway = await startTestGateway({ env: { TOLLBRIDGE_STDIO_ALLOW: process.execPath } })
  for (const rule of rules) await gateway.admin.ok('POST', '/api/v1/billing/rules', rule)
  const caller = await gateway.member('matrix', { grant })
  const refused = new Map<string, string>()
  return {
    gateway,
    caller,
    async register(name, transport) {
      const body = { name, transport, access: 'authenticated' }
      const answer = await gateway.admin.call('POST', '/api/v1/servers', body)
      if (answer.status !== 201) refused.set(name, `${answer.status} ${answer.text}`)
    },
    async open(name) {
      const why = refused.get(name)
      if (why !== undefined) throw new Error(`the server was not registered: ${why}`)
      const { id, key } = (await caller.ok('POST', '/api/v1/keys', { name })) as { id: string; key: string }
      return { keyId: id, destination: through(gateway.url, name, key) }
    },
    close: async (keyId) => void (await caller.ok('DELETE', `/api/v1/keys/${keyId}`)),
    records: async (keyId) =>
      ((await caller.all(`/api/v1/billing/usage?key=${keyId}`)) as BilledRecord[]).toReversed(),
    verify: () => verifyBalance(gateway, caller),
    stop: async () => void (await gateway.stop()),
  }
}

/** Every way to a server through a gateway, with a key; an empty name means everything that it may use. */
export function through(url: string, name: string, key: string): Destination {
  const named = name === '' ? [] : [name]
  const endpoint = [url, 'mcp', ...named].join('/')
  return {
    streamableHttp: endpoint,
    sse: `${endpoint}/sse`,
    websocket: `${endpoint.replace('http', 'ws')}/ws`,
    stdio: [process.execPath, join(root, 'src/cli.ts'), 'connect', ...named, '--url', url, '--key', key],
    headers: { authorization: `Bearer ${key}` },
  }
}

export interface ThroughOptions extends Pick<RunOptions, 'checks' | 'journal'> {
  /** Its registered name. */
  readonly server: string
}

/** However much hangs, a conversation ends. */
const conversationDeadlineMs = 100_000

/** One conversation through the gateway, with its bill as the last of the verdicts. Never rejects. */
export async function runThrough(rig: Rig, pair: Pair, options: ThroughOptions): Promise<Verdicts> {
  try {
    return await within(converse(rig, pair, options), conversationDeadlineMs, 'the conversation')
  } catch (error) {
    return new Map([...Object.keys(options.checks), 'bill'].map((behaviour) => [behaviour, failed(error)]))
  }
}

async function converse(rig: Rig, pair: Pair, { server, ...options }: ThroughOptions): Promise<Verdicts> {
  const { destination, keyId } = await rig.open(server)
  const ran = await runConversation(pair, { ...options, destination, token: keyId })
  const verdict = await billOf(rig, pair, { ...ran, keyId })
  await rig.close(keyId)
  return ran.verdicts.set('bill', verdict)
}

async function billOf(
  rig: Rig,
  pair: Pair,
  { verdicts, bill, opened, keyId }: Ran & { keyId: string },
): Promise<Verdict> {
  // Without a conversation there is nothing to bill, and so nothing to hold either.
  if (!opened) return verdicts.values().next().value ?? failed('was not opened')
  const broken = new Set([...verdicts].filter(([, { held }]) => !held).map(([behaviour]) => behaviour))
  const faults = async (): Promise<string[]> => bill.faultsOf(await rig.records(keyId), pair, broken)
  return billed(faults)
}

/** A call that was given up, or a stream that ended with its client, is written down a moment later. */
async function billed(faults: () => Promise<string[]>, deadlineMs = 3000): Promise<Verdict> {
  const end = performance.now() + deadlineMs
  for (;;) {
    const found = await faults()
    if (found.length === 0) return { held: true }
    if (performance.now() > end) return failed(new Error(found.join('\n')))
    await sleep(50)
  }
}

const nano = (amount: string): number => Math.round(Number(amount) * 1e9)

async function verifyBalance(gateway: TestGateway, caller: ApiCaller): Promise<void> {
  const spent = await caller.ok('GET', `/api/v1/billing/usage/summary?user=${caller.userId}`)
  const account = await caller.ok('GET', `/api/v1/billing/accounts/${caller.accountId}`)
  assert.equal(account.held, '0')
  assert.equal(nano(account.balance), nano(grant) - nano(spent.totalCost))
  const verified = await gateway.admin.ok('GET', '/api/v1/billing/verify')
  assert.deepEqual([verified.ok, verified.differences], [true, []])
}
