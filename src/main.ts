// The whole gateway, built in reading order: store, identity, registry, money, calls, HTTP. Nothing happens at import.
import manifest from '../package.json' with { type: 'json' }
import { AuditStore } from './billing/store.ts'
import { verify, type VerifyResult } from './billing/verify.ts'
import { systemClock as clock } from './base/clock.ts'
import { GatewayError } from './base/errors.ts'
import { CallIds } from './base/id.ts'
import { Keyring } from './base/keyring.ts'
import { Lifecycle } from './base/lifecycle.ts'
import { createLog, type Log } from './base/log.ts'
import type { RunnableConfig } from './commands/settings.ts'
import { isLoopback } from './config.ts'
import type { Database } from './db/database.ts'
import { openDatabase, type OpenOptions } from './db/open.ts'
import { demoCommand, prepareDemo, type Demo } from './demo.ts'
import { createApi } from './http/api/api.ts'
import { gatewayRoutes } from './http/api/routes.ts'
import { resourceRoutes } from './http/api/resources.ts'
import { findCredential } from './http/credential.ts'
import { McpEndpoints } from './http/mcp.ts'
import { createMetrics, watchProcess, type GatewayMetrics } from './http/metrics.ts'
import { originCheck } from './http/origins.ts'
import { HttpServer } from './http/server.ts'
import { StoredIdempotency } from './idempotency/store.ts'
import { Authenticator } from './identity/authenticate.ts'
import { KeyStore } from './identity/key-store.ts'
import { Keys } from './identity/keys.ts'
import { Lockout } from './identity/lockout.ts'
import { LoginStore } from './identity/login-store.ts'
import { Logins } from './identity/logins.ts'
import { Passwords } from './identity/passwords.ts'
import { isRevokedBy, Revocations } from './identity/revocations.ts'
import { Tokens } from './identity/tokens.ts'
import { UserStore } from './identity/user-store.ts'
import { Users } from './identity/users.ts'
import { Ledger } from './ledger/ledger.ts'
import { LedgerStore, transferRows } from './ledger/store.ts'
import { RuleBook } from './pricing/rules.ts'
import { RuleStore } from './pricing/store.ts'
import { Registry } from './registry/servers.ts'
import { ServerStore } from './registry/store.ts'
import { Metering, type CommitExtra } from './sessions/charge.ts'
import { ParamChecks } from './sessions/param-checks.ts'
import { Relay } from './sessions/relay.ts'
import { Replays } from './sessions/replays.ts'
import { sessionEnd } from './sessions/session-end.ts'
import { Sessions } from './sessions/sessions.ts'
import { SettledCalls } from './sessions/settled.ts'
import { keptRow, SessionStore } from './sessions/store.ts'
import { StreamableHttp } from './transports/streamable-http.ts'
import { Catalogues } from './upstreams/catalogue.ts'
import { Egress } from './upstreams/egress.ts'
import { Upstreams } from './upstreams/pool.ts'
import { Dimensions } from './usage/dimensions.ts'
import { UsageQueries } from './usage/queries.ts'
import { UsageQueryStore } from './usage/query-store.ts'
import { UsageStore } from './usage/store.ts'
import { UsageWriter } from './usage/writer.ts'

/** A running gateway. */
export interface Gateway {
  /** Base URL, with the port that it got. */
  readonly url: string
  /** Drains, closes everything and resolves; a second call waits for the first. */
  stop(): Promise<void>
  /** The admin's password where this start made it. */
  readonly firstPassword?: string
  /** Where `--demo` asked for it: what to call and with which key. */
  readonly demo?: Demo
}

/** What whoever embeds or tests the gateway may put in place of its own. */
export interface GatewayParts {
  /** Opens the store; its schema is brought up to date afterwards. */
  readonly openStore?: (options: OpenOptions) => Promise<Database>
}

/** Milliseconds in which the shorter steps of stopping must end, so that all of it stays under 25 s. */
const stepMs = 2000
const probeEveryMs = 500
const hourMs = 3_600_000

/** Starts a gateway. Rejects where the store cannot be opened or the port is taken; then nothing is left running. */
export async function startGateway(config: RunnableConfig, parts: GatewayParts = {}): Promise<Gateway> {
  const log = createLog(config.logLevel)
  const lifecycle = new Lifecycle(log)
  try {
    return await build({ config, log, lifecycle, parts })
  } catch (error) {
    await lifecycle.stop()
    throw error
  }
}

interface BuildOptions {
  readonly config: RunnableConfig
  readonly log: Log
  readonly lifecycle: Lifecycle
  readonly parts: GatewayParts
}

async function build({ config, log, lifecycle, parts }: BuildOptions): Promise<Gateway> {
  const address = { url: '' }
  const publicUrl = () => config.publicUrl ?? address.url
  const keyring = new Keyring(config.secretKey)
  const metrics = createMetrics(manifest.version)
  lifecycle.onStop('process metrics', watchProcess(metrics.registry))
  const { data: dataDir, databaseUrl, durability } = config
  const db = await openDatabase({ dataDir, databaseUrl, durability, log }, parts.openStore)
  lifecycle.onStop('store', () => db.close())

  const money = await buildMoney({ config, db, log, metrics, lifecycle })
  const identity = buildIdentity({ config, db, log, keyring, ledger: money.ledger, publicUrl })
  const servers = await buildServers({ config, db, log, keyring, ledger: money.ledger, lifecycle })
  const calls = await buildCalls({ config, db, log, metrics, lifecycle, ...money, ...servers })
  endWithCredential(identity.revocations, calls)

  const draining = { now: false }
  const routes = gatewayRoutes({
    resources: resourceRoutes({
      clock,
      ...money,
      ...identity,
      ...servers,
      ...calls,
      publicUrl,
      onSettled: (listener) => calls.settled.listen(listener),
      findAccountId: (userId) => findAccountId(identity.users, userId),
      verify: (signal) => verify({ store: money.auditStore, rules: money.rules, signal }),
      isStoreReady: () => money.writer.accepting,
    }),
    health: {
      checks: [{ name: 'store', check: () => storeCheck(money.writer) }],
      isDraining: () => draining.now,
      timeoutMs: stepMs,
    },
    metrics: { registry: metrics.registry, token: config.metrics.token, open: isLoopback(config.host) },
    publicUrl,
  })
  const idempotency = new StoredIdempotency(db, {
    seal: keyring,
    mac: (text) => keyring.fingerprintMac(text),
    clock,
  })
  const sweep = setInterval(() => void sweepOld(identity.logins, idempotency, log), hourMs)
  lifecycle.onStop('sweep', () => clearInterval(sweep))
  const api = await createApi({
    routes,
    log,
    idempotency,
    maxBodyBytes: config.http.maxBodyBytes,
    maxDepth: config.http.maxDepth,
    allowedOrigins: config.http.allowedOrigins,
    authenticate: (request) => {
      const credential = findCredential(request)
      return credential === undefined ? undefined : identity.authenticator.authenticate(credential)
    },
  })
  const streamableHttp = new StreamableHttp({
    relay: calls.relay,
    sessions: calls.sessions,
    maxBodyBytes: config.http.maxBodyBytes,
    maxDepth: config.http.maxDepth,
    paramMismatch: (server, message, headers) => calls.paramChecks.mismatch(server, message, headers),
  })
  const mcp = new McpEndpoints({ ...identity, ...servers, ...calls, streamableHttp, publicUrl })
  const originFault = originCheck({ ...config.http, host: config.host, publicUrl: config.publicUrl })
  const http = new HttpServer({ limits: config.http, originFault, mcp, api: api.handle })

  const first = await identity.users.ensureAdmin(config.adminPassword)
  const demo = config.demo
    ? await prepareDemo({ dataDir: config.data, ...money, ...identity, ...servers })
    : undefined
  const port = await http.listen(config.host, config.port)
  address.url = `http://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`
  lifecycle.onStop('http', () => http.close(stepMs))
  lifecycle.onStop('api', () => api.close())
  lifecycle.onStop('sessions', () => calls.sessions.stop())
  lifecycle.onStop('calls', async () => {
    draining.now = true
    api.endStreams()
    await calls.relay.drain(config.shutdown.drainMs)
  })
  log.info({ url: address.url, engine: db.engine }, 'the gateway is ready')
  return {
    url: address.url,
    stop: () => lifecycle.stop(),
    ...(first.password !== undefined && { firstPassword: first.password }),
    ...(demo && { demo }),
  }
}

interface MoneyParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly log: Log
  readonly metrics: GatewayMetrics
  readonly lifecycle: Lifecycle
}

/** Prices, the ledger and the writer of usage; the writer folds the ledger anew after the store was away. */
async function buildMoney({ config, db, log, metrics, lifecycle }: MoneyParts) {
  const { defaultMode: mode, currency, timeZone } = config.accounts
  const rules = await RuleBook.open({ store: new RuleStore(db), clock })
  const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults: { mode, currency, timeZone } })
  const usageStore = new UsageStore(db)
  const { known, next } = await usageStore.loadDimensions(50_000)
  const writer = new UsageWriter<CommitExtra>({
    store: usageStore,
    dimensions: new Dimensions({ known, next, capacity: 100_000 }),
    log,
    extraRows: commitRows,
    onHeal: () => ledger.reload(),
    maxBatch: 512,
    maxQueue: 50_000,
    probeEveryMs,
    onCommit: (_calls, ms) => metrics.storeCommitSeconds.observe(ms / 1000),
  })
  lifecycle.onStop('usage writer', () => writer.close())
  const expiry = setInterval(
    () =>
      void ledger.expireGrants().catch((err: unknown) => log.warn({ err }, 'grants could not be expired')),
    60_000,
  )
  lifecycle.onStop('grant expiry', () => clearInterval(expiry))
  const queries = new UsageQueries(new UsageQueryStore(db), { clock })
  const auditStore = new AuditStore(db)
  return { rules, ledger, queries, auditStore, writer, lastRecord: await usageStore.newestRecordId() }
}

function commitRows(extras: readonly CommitExtra[]) {
  const transfers = extras.filter((extra) => 'debit' in extra)
  const kept = extras.filter((extra) => 'fingerprint' in extra)
  return [...transferRows(transfers), ...kept.map(keptRow)]
}

interface IdentityParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly log: Log
  readonly keyring: Keyring
  readonly ledger: Ledger
  readonly publicUrl: () => string
}

function buildIdentity({ config, db, log, keyring, ledger, publicUrl }: IdentityParts) {
  const revocations = new Revocations(log)
  const userStore = new UserStore(db)
  const loginStore = new LoginStore(db)
  const passwords = new Passwords()
  const opened = new Map<string, () => void>()
  const users = new Users({
    store: userStore,
    passwords,
    revocations,
    clock,
    openAccount: ({ accountId, userId, username }) => {
      const { statements, added } = ledger.newAccount({
        id: accountId,
        kind: 'user',
        name: username,
        ownerId: userId,
      })
      opened.set(accountId, added)
      return statements
    },
    onCreated: ({ accountId }) => {
      opened.get(accountId)?.()
      opened.delete(accountId)
    },
  })
  const keys = new Keys({ store: new KeyStore(db), keyring, revocations, clock, log })
  const tokens = new Tokens({
    store: loginStore,
    keyring,
    clock,
    publicUrl,
    lifetimeS: config.auth.accessTokenMinutes * 60,
  })
  const authenticator = new Authenticator({ tokens, keys, revocations, clock })
  const logins = new Logins({
    store: loginStore,
    userStore,
    users,
    passwords,
    tokens,
    keyring,
    lockout: new Lockout(clock),
    revocations,
    clock,
    log,
    registration: config.auth.registration,
    lifetimeMs: config.auth.refreshTokenDays * 24 * hourMs,
  })
  return { revocations, users, keys, tokens, authenticator, logins }
}

interface ServerParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly log: Log
  readonly keyring: Keyring
  readonly ledger: Ledger
  readonly lifecycle: Lifecycle
}

/** The registered servers, the ways to them, and what they offer. */
async function buildServers({ config, db, log, keyring, ledger, lifecycle }: ServerParts) {
  const egress = new Egress(config.egress.allow)
  const registry = new Registry({
    store: new ServerStore(db, keyring),
    rules: {
      stdioAllow: config.demo ? [...config.stdio.allow, demoCommand] : config.stdio.allow,
      checkUrl: (url) => egress.checkUrl(url),
    },
    clock,
    log,
    accountExists: (id) => ledger.findAccount(id) !== undefined,
  })
  await registry.load()
  lifecycle.onStop('registry', () => registry.close())
  const upstreams = new Upstreams({ egress, clock, environment: config.childEnvironment })
  registry.onChange((change) => upstreams.onServerChange(change))
  const killAllNow = () => upstreams.killAllNow()
  process.on('exit', killAllNow)
  lifecycle.onStop('upstreams', async () => {
    await upstreams.closeAll()
    process.off('exit', killAllNow)
  })
  const catalogues = new Catalogues({
    upstreams,
    clock,
    version: manifest.version,
    onHandshake: (server, { ok, error }) => {
      if (ok) registry.recordSuccess(server.id)
      else if (error) registry.recordFailure(server.id, error)
    },
  })
  // A newer revision has a catalogue of its own; only what is gone must be forgotten.
  registry.onChange((change) => {
    if (change.kind === 'removed') catalogues.invalidate(change.id)
  })
  return { egress, registry, upstreams, catalogues }
}

type CallParts = { readonly config: RunnableConfig; readonly db: Database; readonly log: Log } & {
  readonly metrics: GatewayMetrics
  readonly lifecycle: Lifecycle
} & Awaited<ReturnType<typeof buildMoney>> &
  Awaited<ReturnType<typeof buildServers>>

/** Sessions and the relay: everything that carries a call. */
async function buildCalls(parts: CallParts) {
  const { config, db, log, metrics, rules, ledger, writer, lastRecord, registry, upstreams, catalogues } =
    parts
  const settled = new SettledCalls()
  settled.listen(({ record }) => {
    metrics.callsBy(record.outcome).inc()
    metrics.callDurationSeconds.observe(record.durationUs / 1e6)
  })
  const callIds = new CallIds(clock, { last: lastRecord })
  const metering = new Metering({
    clock,
    callIds,
    rules,
    ledger,
    writer,
    onSettled: (call) => settled.publish(call),
  })
  const sessionStore = new SessionStore(db)
  const endUpstream = sessionEnd({ registry, upstreams, graceMs: stepMs })
  const sessions = new Sessions({ store: sessionStore, clock, log, limits: config.sessions, endUpstream })
  await sessions.start()
  metrics.registry.beforeRender(() => metrics.sessions.set(sessions.count))
  registry.onChange((change) => {
    if (change.kind === 'removed') void sessions.closeWhere((session) => session.serverId === change.id)
  })
  const relay = new Relay({
    metering,
    replays: new Replays(sessionStore, { maxBytes: 1024 * 1024 }),
    log,
    upstreamFor: (server) => upstreams.for(server),
    openUpstream: (server) => upstreams.open(server),
    reportFailure: (server, { stage, message }) => registry.recordFailure(server.id, { stage, message }),
    reportSuccess: (server) => registry.recordSuccess(server.id),
    onInitializeFailed: (session) => void sessions.close(session),
    maxInFlight: config.calls.maxInFlight,
  })
  return { settled, metering, sessionStore, sessions, relay, paramChecks: new ParamChecks(catalogues) }
}

/** Whoever loses a credential loses the sessions and streams that it opened, at once. */
function endWithCredential(revocations: Revocations, calls: { sessions: Sessions; relay: Relay }): void {
  revocations.onRevoked((revocation) => {
    calls.relay.endStreamsOf(revocation)
    void calls.sessions.closeWhere((session) => isRevokedBy(revocation, session.principal))
  })
}

async function findAccountId(users: Users, userId: string): Promise<string | undefined> {
  try {
    return (await users.get(userId)).accountId
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'not_found') return undefined
    throw error
  }
}

/** Forgets ended logins and old idempotency keys of the API. */
async function sweepOld(logins: Logins, idempotency: StoredIdempotency, log: Log): Promise<void> {
  const done = await Promise.allSettled([logins.purge(), idempotency.sweep()])
  for (const result of done)
    if (result.status === 'rejected') log.warn({ err: result.reason }, 'old rows could not be removed')
}

/** Verifies a store while no gateway runs on it (`tollbridge verify --offline`). */
export async function verifyStore(config: RunnableConfig): Promise<VerifyResult> {
  const log = createLog(config.logLevel)
  const db = await openDatabase({
    dataDir: config.data,
    databaseUrl: config.databaseUrl,
    durability: config.durability,
    log,
  })
  try {
    const rules = await RuleBook.open({ store: new RuleStore(db), clock })
    return await verify({ store: new AuditStore(db), rules })
  } finally {
    await db.close()
  }
}

function storeCheck(writer: { readonly accepting: boolean }): void {
  if (!writer.accepting) throw new GatewayError('store_unavailable')
}
