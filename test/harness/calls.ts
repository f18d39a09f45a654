// Everything that carries a call over a real store, with a scripted server on one side and a recording client on the other.
import { openToAll } from './permissions.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect } from 'vitest'
import { systemClock, type Clock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { parseAmount } from '../../src/base/money.ts'
import type { Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { rawQuery } from '../../src/db/raw-query.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import { RuleBook } from '../../src/pricing/rules.ts'
import { RuleStore } from '../../src/pricing/store.ts'
import type { Server } from '../../src/registry/server.ts'
import type { Settled } from '../../src/sessions/settled.ts'
import type { Incoming } from '../../src/sessions/incoming.ts'
import { Relay } from '../../src/sessions/relay.ts'
import { PriceTags } from '../../src/sessions/price-tags.ts'
import { Replays } from '../../src/sessions/replays.ts'
import type { FinalAnswer, Reply } from '../../src/sessions/reply.ts'
import type { Session } from '../../src/sessions/session.ts'
import { Sessions, type SessionLimits } from '../../src/sessions/sessions.ts'
import { Breakers } from '../../src/sessions/breakers.ts'
import { KeptEventStore } from '../../src/sessions/kept-event-store.ts'
import { KeptStreams, type KeptStreamLimits } from '../../src/sessions/kept-streams.ts'
import { Resumption } from '../../src/sessions/resumption.ts'
import { KeptAnswerStore } from '../../src/sessions/kept-store.ts'
import { SessionStore } from '../../src/sessions/store.ts'
import type { Ways } from '../../src/sessions/ways.ts'
import type {
  Upstream,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamMessage,
  UpstreamRequest,
  UpstreamSink,
} from '../../src/upstreams/upstream.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'
import { until } from './until.ts'
import { buildMetering } from './metering.ts'

/** One exchange as the scripted server sees it. Nothing reaches the sink after an abort, an end or a failure. */
export class FakeExchange implements UpstreamExchange {
  readonly request: UpstreamRequest | undefined
  readonly headers: Readonly<Record<string, string>>
  aborted = false
  paused = false
  resumed = 0
  #silent = false
  readonly #sink: UpstreamSink

  constructor(sink: UpstreamSink, headers: Readonly<Record<string, string>>, request?: UpstreamRequest) {
    this.#sink = sink
    this.headers = headers
    this.request = request
  }

  abort(): void {
    this.aborted = true
    this.#silent = true
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.resumed++
  }

  head(head: Partial<UpstreamHead> = {}): this {
    if (!this.#silent) this.#sink.head({ status: 200, contentType: 'json', ...head })
    return this
  }

  /** A message without a frame, as in a JSON body. */
  body(message: object | string): this {
    return this.#message(toMessage(message))
  }

  /** One SSE event. */
  event(message: object, id?: string): this {
    const { message: parsed, bytes } = toMessage(message)
    const lead = id === undefined ? '' : `id: ${id}\n`
    return this.#message({
      message: parsed,
      bytes,
      frame: Buffer.from(`${lead}data: ${bytes.toString()}\n\n`),
    })
  }

  /** A priming event, which carries an id and no message. */
  prime(id: string): this {
    return this.#message({
      message: undefined,
      bytes: Buffer.alloc(0),
      frame: Buffer.from(`id: ${id}\ndata: \n\n`),
    })
  }

  end(): void {
    if (this.#silent) return
    this.#silent = true
    this.#sink.end()
  }

  fail(failure: Partial<UpstreamFailure> = {}): void {
    if (this.#silent) return
    this.#silent = true
    this.#sink.fail({ stage: 'call', message: 'the connection broke', sent: true, ...failure })
  }

  /** A complete JSON answer. */
  json(message: object | string, head: Partial<UpstreamHead> = {}): void {
    this.head(head).body(message).end()
  }

  /** A result for the request's own id. */
  succeed(result: object = { content: [] }, head: Partial<UpstreamHead> = {}): void {
    this.json({ jsonrpc: '2.0', id: this.request?.message.id, result }, head)
  }

  #message(message: UpstreamMessage): this {
    if (!this.#silent) this.#sink.message(message)
    return this
  }
}

function toMessage(message: object | string): { message: JsonRpcMessage | undefined; bytes: Buffer } {
  const bytes = Buffer.from(typeof message === 'string' ? message : JSON.stringify(message))
  return { message: typeof message === 'string' ? undefined : (message as JsonRpcMessage), bytes }
}

/** A server that does what the test says; without a script every request waits. */
export class FakeUpstream implements Upstream {
  readonly transport: Upstream['transport']
  readonly multiplexed: boolean
  readonly sent: FakeExchange[] = []
  readonly streams: FakeExchange[] = []
  readonly ended: Readonly<Record<string, string>>[] = []
  closed = 0
  /** Runs a turn after each request. */
  script: ((exchange: FakeExchange, message: JsonRpcMessage) => void) | undefined

  constructor(transport: Upstream['transport'] = 'streamable-http') {
    this.transport = transport
    this.multiplexed = transport !== 'streamable-http'
  }

  send(request: UpstreamRequest, sink: UpstreamSink): FakeExchange {
    const exchange = new FakeExchange(sink, request.headers, request)
    this.sent.push(exchange)
    queueMicrotask(() => {
      if (!exchange.aborted) this.script?.(exchange, request.message)
    })
    return exchange
  }

  listen(headers: Readonly<Record<string, string>>, sink: UpstreamSink): FakeExchange {
    const exchange = new FakeExchange(sink, headers)
    this.streams.push(exchange)
    return exchange
  }

  endSession(headers: Readonly<Record<string, string>>): Promise<number> {
    this.ended.push(headers)
    return Promise.resolve(200)
  }

  close(): Promise<void> {
    this.closed++
    return Promise.resolve()
  }

  /** The exchanges of one method, in the order they were sent. */
  of(method: string): FakeExchange[] {
    return this.sent.filter((exchange) => exchange.request?.message.method === method)
  }
}

/** What a client got for one message. */
export class FakeReply implements Reply {
  readonly events: string[] = []
  readonly messages: string[] = []
  answer: FinalAnswer | undefined
  refusal: GatewayError | undefined
  /** The record that the refusal names. */
  refusedAs: string | undefined
  acceptedAs: string | undefined
  /** How often the reply was answered; more than once is a fault. */
  answers = 0
  streamed = false
  sessionToken: string | undefined
  slow = false
  #drain: (() => void) | undefined
  #gone: (() => void) | undefined

  stream({ sessionToken }: { callId: string; sessionToken?: string }): void {
    this.streamed = true
    this.sessionToken ??= sessionToken
  }

  message({ frame, bytes }: UpstreamMessage): boolean {
    this.messages.push(Buffer.from(frame ?? bytes).toString())
    return !this.slow
  }

  final(answer: FinalAnswer): void {
    this.answer = answer
    this.sessionToken ??= answer.sessionToken
    this.#answered('final')
  }

  accepted(callId: string | undefined): void {
    this.acceptedAs = callId
    this.#answered('accepted')
  }

  end(): void {
    this.#answered('end')
  }

  refuse(error: GatewayError, callId?: string): void {
    this.refusal = error
    this.refusedAs = callId
    this.#answered('refuse')
  }

  onDrain(listener: () => void): void {
    this.#drain = listener
  }

  onGone(listener: () => void): void {
    this.#gone = listener
  }

  drain(): void {
    this.slow = false
    this.#drain?.()
  }

  /** The client closes its connection. */
  leave(): void {
    this.#gone?.()
  }

  async done(): Promise<this> {
    await until(() => this.answers > 0, 'an answer')
    return this
  }

  /** The final answer, parsed. */
  get json(): { id: unknown; result?: Record<string, unknown>; error?: { code: number; message: string } } {
    return JSON.parse(Buffer.from(this.answer?.bytes ?? []).toString())
  }

  #answered(event: string): void {
    this.events.push(event)
    this.answers++
  }
}

export const alice: Principal = {
  userId: 'usr_alice',
  username: 'alice',
  roles: ['member'],
  accountId: 'acc_alice',
  via: 'token',
}

export const testServer: Server = {
  id: 'srv_one',
  name: 'one',
  ownerId: 'usr_alice',
  transport: { type: 'streamable-http', url: 'http://one.test/mcp' },
  auth: { type: 'none' },
  access: 'authenticated',
  sharing: 'session',
  timeouts: { connectMs: 1000, callMs: 3000, idleMs: 60_000 },
  limits: { maxResponseBytes: 1_000_000, maxConnections: 8, maxSessions: 4 },
  reportCost: false,
  status: 'active',
  createdAtMs: 0,
  updatedAtMs: 0,
  revision: 1,
}

export interface CallsOptions {
  readonly clock?: Clock
  readonly mode?: 'prepaid' | 'postpaid'
  /** Decimal string of credit on the account. */
  readonly credit?: string
  readonly price?: Record<string, string>
  readonly billOn?: readonly string[]
  readonly limits?: Partial<SessionLimits>
  readonly maxInFlight?: number
  readonly kept?: Partial<KeptStreamLimits>
}

const usualKept: KeptStreamLimits = {
  maxEvents: 1000,
  maxBytes: 1_000_000,
  maxTotalBytes: 4_000_000,
  maxAgeMs: 60_000,
  retryMs: 10,
}

/** A store whose commits can be made to fail. */
function breakable(inner: Database): { db: Database; fault: { commit: boolean; write: boolean } } {
  const fault = { commit: false, write: false }
  const broken = () => Promise.reject(new GatewayError('store_unavailable'))
  const db: Database = {
    engine: inner.engine,
    builder: () => inner.builder(),
    read: (query) => inner.read(query),
    write: (...queries) => (fault.write ? broken() : inner.write(...queries)),
    commit: (batch) => (fault.commit ? broken() : inner.commit(batch)),
    probe: () => (fault.commit ? broken() : inner.probe()),
    close: () => inner.close(),
  }
  return { db, fault }
}

interface Tables {
  usage_record: { id: bigint; cost: bigint; status: bigint }
  transfer: { record: bigint | null; amount: bigint; kind: string }
}

let store: { readonly folder: string; readonly db: Database } | undefined

/** One store for a whole test file, emptied for each test: opening one takes longer than most tests. */
async function emptyStore(): Promise<Database> {
  if (!store) {
    const folder = mkdtempSync(join(tmpdir(), 'tollbridge-calls-'))
    store = { folder, db: await openSqlite({ file: join(folder, 'test.db'), durability: 'process', log }) }
    await migrate(store.db, { log })
    return store.db
  }
  const { db } = store
  const names = await db.read(
    rawQuery<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY rowid DESC",
    ),
  )
  const filled = names.filter(({ name }) => name !== 'schema_migration' && name !== 'store_probe')
  await db.write(...filled.map(({ name }) => rawQuery(`DELETE FROM "${name}"`)))
  return db
}

/** Closes the file's store and removes it. */
export async function closeStore(): Promise<void> {
  await store?.db.close()
  if (store) rmSync(store.folder, { recursive: true, force: true })
  store = undefined
}

/** Starts the parts over an empty store; `stop` answers what is in flight and flushes the writer. */
export async function startCalls(options: CallsOptions = {}) {
  const { db, fault } = breakable(await emptyStore())
  const clock = options.clock ?? systemClock
  const defaults = { mode: options.mode ?? 'postpaid', currency: 'USD', timeZone: 'UTC' } as const
  const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults })
  await ledger.addAccount({ id: alice.accountId, kind: 'user', name: 'alice' })
  const credit = parseAmount(options.credit ?? '0')
  if (credit) await ledger.grant(alice.accountId, { amount: credit, priority: 0, createdBy: 'test' })
  const rules = await RuleBook.open({ store: new RuleStore(db), clock })
  const price = options.price ?? { perCall: '1' }
  const billOn = options.billOn && { billOn: options.billOn }
  await rules.create({ name: 'calls', currency: 'USD', match: { method: 'tools/call' }, price, ...billOn })
  const settled: Settled[] = []
  const { writer, metering } = await buildMetering({
    db,
    clock,
    log,
    ledger,
    rules,
    probeEveryMs: 20,
    onSettled: (call) => settled.push(call),
  })
  const keyring = new Keyring(derivedKeys(Buffer.alloc(32, 7)))
  const sessionStore = new SessionStore(db, keyring)
  const streams = new KeptStreams({
    store: new KeptEventStore(db),
    clock,
    log,
    limits: { ...usualKept, ...options.kept },
  })
  const upstream = new FakeUpstream()
  const children: FakeUpstream[] = []
  const endedSessions: Session[] = []
  const sessions = new Sessions({
    store: sessionStore,
    clock,
    log,
    limits: { idleMs: 60_000, absoluteMs: 600_000, maxPerPrincipal: 5, maxTotal: 8, ...options.limits },
    endUpstream: async (session) => {
      endedSessions.push(session)
      await session.upstream?.close()
    },
    onEnded: (session) => streams.forget(session),
  })
  const failures: UpstreamFailure[] = []
  const ways: Ways = {
    shared: () => upstream,
    forModern: () => upstream,
    findMember: () => undefined,
    eraOf: () => undefined,
    forSession: ({ transport }) => {
      if (transport.type === 'streamable-http') return undefined
      const child = new FakeUpstream('stdio')
      child.script = upstream.script
      children.push(child)
      return child
    },
  }
  const relay = new Relay({
    limits: { admit: () => undefined },
    permissions: openToAll,
    metering,
    breakers: new Breakers({ clock, failuresToOpen: 5, firstPauseMs: 1000, maxPauseMs: 30_000 }),
    replays: new Replays(new KeptAnswerStore(db), { maxBytes: 1000 }),
    priceTags: new PriceTags({ rules, ledger, clock }),
    log,
    ways,
    reportFailure: (_, failure) => failures.push(failure),
    reportSuccess: () => {},
    onInitializeFailed: (session) => void sessions.close(session),
    maxInFlight: options.maxInFlight ?? 1000,
  })

  /** Hands a message to the relay as a client transport does. */
  const ask = (message: object, extra: Partial<Incoming> = {}, through?: Reply): FakeReply => {
    const reply = new FakeReply()
    const whole = { jsonrpc: '2.0', ...message } as JsonRpcMessage
    const server = extra.server ?? testServer
    relay.handle(
      {
        principal: alice,
        server,
        message: whole,
        body: Buffer.from(JSON.stringify(whole)),
        headers: {},
        era: extra.session ? 'legacy' : 'modern',
        transport: 'streamable-http',
        client: { ip: '127.0.0.1', userAgent: 'test' },
        ...extra,
      },
      through ?? reply,
    )
    return reply
  }
  const open = (server: Server = testServer, principal: Principal = alice): Promise<Session> =>
    sessions.open(principal, {
      server,
      transport: 'streamable-http',
      ephemeral: true,
      client: { ip: '127.0.0.1', userAgent: 'test' },
    })
  /** A session that the server has opened as `upstreamSessionId`. */
  const connect = async (
    upstreamSessionId: string | undefined = 'up-1',
    server = testServer,
  ): Promise<Session> => {
    const session = await open(server)
    const before = upstream.script
    upstream.script = (exchange) =>
      exchange.succeed(
        { protocolVersion: '2025-11-25' },
        upstreamSessionId ? { sessionId: upstreamSessionId } : {},
      )
    await ask({ id: 'init', method: 'initialize', params: {} }, { session, server }).done()
    upstream.script = before
    upstream.sent.length = 0
    await writer.flush()
    settled.length = 0
    return session
  }
  const stream = (session: Session, headers: Record<string, string> = {}): FakeReply => {
    const reply = new FakeReply()
    const client = { ip: '127.0.0.1', userAgent: 'test' }
    const server = testServer
    relay.stream(
      { principal: alice, server, session, headers, era: 'legacy', transport: 'streamable-http', client },
      reply,
    )
    return reply
  }
  /** What is in the store: [records, sum of their costs, sum of the charges]. */
  const books = async (): Promise<{ records: number; cost: bigint; charged: bigint }> => {
    await writer.flush()
    const sql = db.builder<Tables>()
    const records = await db.read(sql.selectFrom('usage_record').selectAll())
    const transfers = await db.read(sql.selectFrom('transfer').selectAll().where('kind', '=', 'charge'))
    const sum = (values: bigint[]) => values.reduce((total, value) => total + value, 0n)
    return {
      records: records.length,
      cost: sum(records.map((row) => row.cost)),
      charged: sum(transfers.map((row) => row.amount)),
    }
  }
  const resumption = new Resumption({ relay, streams })
  const stop = async () => {
    fault.commit = false
    fault.write = false
    await relay.drain(0)
    await sessions.stop()
    await streams.stop()
    await writer.close()
  }
  return {
    ask,
    open,
    connect,
    stream,
    books,
    stop,
    relay,
    sessions,
    sessionStore,
    ways,
    streams,
    resumption,
    db,
    upstream,
    children,
    endedSessions,
    failures,
    settled,
    ledger,
    rules,
    writer,
    fault,
    held: () => ledger.totals(alice.accountId).held,
    balance: () => ledger.totals(alice.accountId).balance,
  }
}

export type Calls = Awaited<ReturnType<typeof startCalls>>

/** One answer, `records` records in the store that agree with the ledger, and nothing held. */
export async function settledOnce(
  calls: Calls,
  reply: FakeReply,
  expected: { outcome: string; cost: bigint; records?: number },
) {
  await reply.done()
  const books = await calls.books()
  expect(reply.answers, reply.events.join()).toBe(1)
  expect(books).toEqual({ records: expected.records ?? 1, cost: expected.cost, charged: expected.cost })
  expect(calls.settled.at(-1)?.record.outcome).toBe(expected.outcome)
  expect(calls.held()).toBe(0n)
  expect(calls.relay.inFlight).toBe(0)
}

/** A tools/call of the tool `t`. */
export const toolCall = (id: string | number, params: object = {}): object => ({
  id,
  method: 'tools/call',
  params: { name: 't', arguments: {}, ...params },
})
