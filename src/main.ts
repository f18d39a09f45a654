// The whole gateway, built in reading order: store, identity, registry, money, calls, HTTP. Nothing happens at import.
import { join } from 'node:path'
import type { IncomingMessage } from 'node:http'
import manifest from '../package.json' with { type: 'json' }
import { verify } from './billing/verify.ts'
import { systemClock as clock } from './base/clock.ts'
import { GatewayError } from './base/errors.ts'
import { Lifecycle } from './base/lifecycle.ts'
import { createLog, type Log } from './base/log.ts'
import type { RunnableConfig } from './commands/settings.ts'
import { describeConfig } from './config/description.ts'
import { isReachedLocallyOnly } from './config/reach.ts'
import type { Database } from './db/database.ts'
import { openDatabase, type OpenOptions } from './db/open.ts'
import { lockStore } from './db/store-lock.ts'
import { isDemoMade, prepareDemo, type Demo } from './demo/demo.ts'
import { makeMonth } from './demo/month.ts'
import { gatewayRoutes } from './http/api/routes.ts'
import { resourceRoutes } from './http/api/resources.ts'
import { clientAddresses } from './http/client-address.ts'
import { openConsole } from './http/console-files.ts'
import { findCredential } from './http/credential.ts'
import { McpEndpoints } from './http/mcp.ts'
import { createMetrics, watchProcess } from './http/metrics.ts'
import { StoredIdempotency } from './idempotency/store.ts'
import { isRevokedBy, Revocations } from './identity/revocations.ts'
import { usualScope } from './identity/scopes.ts'
import { Users } from './identity/users.ts'
import { Relay } from './sessions/relay.ts'
import { Sessions } from './sessions/sessions.ts'
import { Channels } from './transports/channel/channels.ts'
import { HttpSse } from './transports/http-sse.ts'
import { StreamableHttp } from './transports/streamable-http.ts'
import { WebSockets } from './transports/web-socket.ts'
import { buildPolicy } from './assembly/policy.ts'
import { buildCalls } from './assembly/calls.ts'
import { buildIdentity } from './assembly/identity.ts'
import { buildAudit } from './assembly/audit.ts'
import { buildAuditLog } from './assembly/audit-log.ts'
import { buildBilling } from './assembly/invoicing.ts'
import { buildOutbox } from './assembly/outbox.ts'
import { buildOauth } from './assembly/oauth.ts'
import { buildLimits } from './assembly/limits.ts'
import { buildListeners } from './assembly/listeners.ts'
import { buildMoney } from './assembly/money.ts'
import { openDataKeys, watchSealed } from './assembly/secrets.ts'
import { buildServers } from './assembly/servers.ts'
import { buildUpkeep } from './assembly/upkeep.ts'
import { buildTopUps } from './assembly/top-ups.ts'

/** A running gateway. */
export interface Gateway {
  /** Base URL, with the port that it got. */
  readonly url: string
  /** The same of the administration's own listener, where it has one. */
  readonly adminUrl?: string
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
  const address: { url: string; adminUrl: string | undefined } = { url: '', adminUrl: undefined }
  const publicUrl = () => config.publicUrl?.replace(/\/$/, '') ?? address.url
  const adminUrl = () => config.admin.publicUrl?.replace(/\/$/, '') ?? address.adminUrl ?? publicUrl()
  const metrics = createMetrics(manifest.version)
  lifecycle.onStop('process metrics', watchProcess(metrics.registry))
  const { data: dataDir, databaseUrl, durability } = config
  // PostgreSQL is shared by intention; a folder is not.
  lifecycle.onStop('store lock', await lockStore({ dataDir, databaseUrl, log }, 'shared'))
  const db = await openDatabase({ dataDir, databaseUrl, durability, log }, parts.openStore)
  lifecycle.onStop('store', () => db.close())
  const dataKeys = await openDataKeys({ config, db, clock, log })
  const { keyring } = dataKeys
  const auditLog = buildAuditLog({ config, db, keyring, clock, log, lifecycle })

  const isFirstDemo = config.demo && !isDemoMade(dataDir)
  const month = isFirstDemo
    ? await makeMonth({ config, db, keyring, metrics, log, nowMs: clock.now() })
    : undefined
  const money = await buildMoney({ config, db, clock, log, metrics, lifecycle })
  const retention = await buildUpkeep({ config, db, keyring, clock, log, lifecycle })
  const { ledger } = money
  const servers = await buildServers({ config, db, clock, log, keyring, ledger, lifecycle, publicUrl })
  const { egress } = servers
  const identity = buildIdentity({ config, db, clock, log, keyring, ledger, egress, publicUrl, adminUrl })
  const { credentials } = identity
  const oauth = buildOauth({ config, db, log, keyring, identity, egress, publicUrl })
  const limits = await buildLimits({ db, metrics })
  const { accessRules, definitions, permissions } = await buildPolicy({ db, log, lifecycle, ...servers })
  const foundation = {
    config,
    db,
    log,
    keyring,
    metrics,
    lifecycle,
    credentials,
    limits,
    permissions,
    publicUrl,
    refusals: auditLog.audit.refusals,
  }
  const calls = await buildCalls({ ...foundation, ...money, ...servers })
  const billing = buildBilling({ config, db, clock, log, money, lifecycle })
  const outbox = buildOutbox({ ...foundation, clock, ...money, ...servers, ...calls })
  const channels = new Channels({ clock, limits: config.sessions })
  endWithCredential(identity.revocations, calls, channels)

  const audited = buildAudit(db)
  const draining = { now: false }
  const routes = gatewayRoutes({
    resources: resourceRoutes({
      clock,
      ...money,
      ...identity,
      ...servers,
      ...calls,
      ...buildTopUps({ config, db, clock, ledger: money.ledger }),
      ...billing,
      ...outbox,
      dataKeys,
      about: {
        version: manifest.version,
        engine: db.engine,
        startedAtMs: clock.now(),
        settings: describeConfig(config),
      },
      ...auditLog,
      limits,
      accessRules,
      definitions,
      ...oauth,
      publicUrl,
      adminUrl,
      publicPath: pathOf(config.publicUrl),
      onSettled: (listener) => calls.settled.listen(listener),
      findAccountId: (userId) => findAccountId(identity.users, userId),
      verify: (signal) => verify({ ...audited, rules: money.rules, signal }),
      isStoreReady: () => money.writer.accepting,
      isDropped: (timeMs) => retention.isDropped(timeMs),
    }),
    health: {
      checks: [{ name: 'store', check: () => storeCheck(money.writer) }],
      isDraining: () => draining.now,
      timeoutMs: stepMs,
    },
    metrics: { registry: metrics.registry, token: config.metrics.token, open: isReachedLocallyOnly(config) },
    publicUrl,
    adminUrl,
  })
  const idempotency = new StoredIdempotency(db, {
    seal: keyring,
    mac: (text) => keyring.fingerprintMac(text),
    clock,
  })
  const sweep = setInterval(
    () => void sweepOld([identity.logins, oauth.grants, oauth.clients, calls.tasks], idempotency, log),
    hourMs,
  )
  lifecycle.onStop('sweep', () => clearInterval(sweep))
  const streamableHttp = new StreamableHttp({
    relay: calls.relay,
    sessions: calls.sessions,
    resumption: calls.resumption,
    maxBodyBytes: config.http.maxBodyBytes,
    maxDepth: config.http.maxDepth,
    paramMismatch: (...call) => calls.paramChecks.mismatch(...call),
  })
  const channelOptions = {
    channels,
    clock,
    ...calls,
    ...config.sessions,
    maxBodyBytes: config.http.maxBodyBytes,
    maxDepth: config.http.maxDepth,
    inputSchema: calls.paramChecks.inputSchema.bind(calls.paramChecks),
  }
  const httpSse = new HttpSse(channelOptions)
  const webSockets = new WebSockets(channelOptions)
  const scope = oauth.authorizationServer || identity.issuers ? usualScope : undefined
  const clientAddress = clientAddresses(config.http.trustedProxies)
  const endpoints = { streamableHttp, httpSse, webSockets, publicUrl, scope, clientAddress }
  const { refusals } = auditLog.audit
  const mcp = new McpEndpoints({ ...identity, ...servers, ...calls, ...endpoints, refusals })
  const api = {
    idempotency,
    audit: auditLog.audit,
    authenticate: (request: IncomingMessage) => {
      const credential = findCredential(request)
      return credential === undefined ? undefined : identity.authenticator.authenticate(credential)
    },
    authenticateBrowser: (secret: string) => identity.authenticator.authenticateBrowser(secret),
    publicUrl: adminUrl,
    clientAddress,
    console: openConsole(join(import.meta.dirname, '..', 'console', 'dist'), publicUrl),
  }
  const listeners = await buildListeners({ config, log, routes, mcp, refusals, api })

  const first = await identity.users.ensureAdmin(config.adminPassword)
  const firstPassword = month?.firstPassword ?? first.password
  const demo = config.demo
    ? await prepareDemo({
        dataDir,
        password: month?.password,
        accessRules,
        limits,
        ...money,
        ...identity,
        ...servers,
      })
    : undefined
  Object.assign(address, await listeners.listen())
  await outbox.start()
  watchSealed({ ...foundation, ...identity, ...outbox, dataKeys })
  lifecycle.onStop('http', () => listeners.close(stepMs))
  lifecycle.onStop('api', () => listeners.closeApi())
  channels.start()
  lifecycle.onStop('channels', () => channels.stop())
  lifecycle.onStop('sessions', () => calls.sessions.stop())
  lifecycle.onStop('calls', async () => {
    draining.now = true
    listeners.endStreams()
    await calls.relay.drain(config.shutdown.drainMs)
  })
  log.info({ ...address, engine: db.engine }, 'the gateway is ready')
  return {
    url: address.url,
    ...(address.adminUrl !== undefined && { adminUrl: address.adminUrl }),
    stop: () => lifecycle.stop(),
    ...(firstPassword !== undefined && { firstPassword }),
    ...(demo && { demo }),
  }
}

/** Whoever loses a credential loses the sessions and streams that it opened, at once. */
function endWithCredential(
  revocations: Revocations,
  calls: { sessions: Sessions; relay: Relay },
  channels: Channels,
): void {
  revocations.onRevoked((revocation) => {
    calls.relay.endStreamsOf(revocation)
    void calls.sessions.closeWhere((session) => isRevokedBy(revocation, session.principal))
    channels.closeWhere((principal) => isRevokedBy(revocation, principal))
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

/** Path of a public URL, without the slash at its end. */
const pathOf = (url = 'http://localhost'): string => new URL(url).pathname.replace(/\/$/, '')

/** Forgets ended logins, grants and clients, old tasks, and old idempotency keys of the API. */
async function sweepOld(
  parts: readonly ({ purge(): Promise<void> } | undefined)[],
  idempotency: StoredIdempotency,
  log: Log,
): Promise<void> {
  const done = await Promise.allSettled([...parts.map((part) => part?.purge()), idempotency.sweep()])
  for (const result of done)
    if (result.status === 'rejected') log.warn({ err: result.reason }, 'old rows could not be removed')
}

function storeCheck(writer: { readonly accepting: boolean }): void {
  if (!writer.accepting) throw new GatewayError('store_unavailable')
}
