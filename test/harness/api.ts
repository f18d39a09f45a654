// The resource routes of the HTTP API on a real socket, over real stores, in this process and with a clock to move.
import { clientAddresses } from '../../src/http/client-address.ts'
import { BrowserSessions } from '../../src/identity/browser-sessions.ts'
import { Passkeys } from '../../src/identity/passkeys/passkeys.ts'
import { PasskeyStore } from '../../src/identity/passkeys/store.ts'
import { buildConsents } from '../../src/assembly/consents.ts'
import { buildTopUps } from '../../src/assembly/top-ups.ts'
import { buildPrices } from '../../src/assembly/prices.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '../../src/base/clock.ts'
import { verify } from '../../src/billing/verify.ts'
import { buildAudit } from '../../src/assembly/audit.ts'
import { buildAuditLog } from '../../src/assembly/audit-log.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { openDatabase } from '../../src/db/open.ts'
import { createApi } from '../../src/http/api/api.ts'
import { resourceRoutes } from '../../src/http/api/resources.ts'
import { findCredential } from '../../src/http/credential.ts'
import { StoredIdempotency } from '../../src/idempotency/store.ts'
import { Authenticator } from '../../src/identity/authenticate.ts'
import { KeyStore } from '../../src/identity/key-store.ts'
import { Keys } from '../../src/identity/keys.ts'
import { Lockout } from '../../src/identity/lockout.ts'
import { LoginStore } from '../../src/identity/login-store.ts'
import { Logins } from '../../src/identity/logins.ts'
import { Passwords } from '../../src/identity/passwords.ts'
import type { Role } from '../../src/identity/principal.ts'
import { Revocations } from '../../src/identity/revocations.ts'
import { Tokens } from '../../src/identity/tokens.ts'
import { UserStore } from '../../src/identity/user-store.ts'
import { Users } from '../../src/identity/users.ts'
import { Authorizations } from '../../src/oauth/authorizations.ts'
import { ClientAssertions } from '../../src/oauth/client-assertion.ts'
import { ClientDocuments } from '../../src/oauth/client-documents.ts'
import { ClientStore } from '../../src/oauth/client-store.ts'
import { Clients } from '../../src/oauth/clients.ts'
import { GrantStore } from '../../src/oauth/grant-store.ts'
import { Grants } from '../../src/oauth/grants.ts'
import { Ledger } from '../../src/ledger/ledger.ts'
import { LedgerStore } from '../../src/ledger/store.ts'
import { Bundles } from '../../src/registry/bundles.ts'
import { BundleStore } from '../../src/registry/bundle-store.ts'
import { Registry } from '../../src/registry/servers.ts'
import { SeenEras } from '../../src/upstreams/seen-eras.ts'
import { ServerStore } from '../../src/registry/store.ts'
import { PayloadStore } from '../../src/payloads/store.ts'
import { OpenStreams } from '../../src/sessions/open-streams.ts'
import { Sessions } from '../../src/sessions/sessions.ts'
import { PriceTags } from '../../src/sessions/price-tags.ts'
import { SettledCalls } from '../../src/sessions/settled.ts'
import { AccessRules } from '../../src/policy/access-rules/access-rules.ts'
import { Limits } from '../../src/policy/limits/limits.ts'
import { DataKeys } from '../../src/secrets/data-keys.ts'
import { DataKeyStore } from '../../src/secrets/data-key-store.ts'
import { SessionStore } from '../../src/sessions/store.ts'
import { Catalogues } from '../../src/upstreams/catalogue.ts'
import { Egress } from '../../src/upstreams/egress.ts'
import { Upstreams } from '../../src/upstreams/pool.ts'
import { noSecrets } from '../../src/upstreams/secrets/server-secrets.ts'
import { UsageQueries } from '../../src/usage/queries.ts'
import { usageStores } from '../../src/usage/reading-store.ts'
import { ApiCaller } from './gateway.ts'
import { openInvoices } from './invoices.ts'
import { buildMetering } from './metering.ts'
import { openOutbox } from './outbox.ts'
import { Definitions } from '../../src/policy/definitions/definitions.ts'
import { DefinitionStore } from '../../src/policy/definitions/store.ts'
import { accessRuleStore, limitStore } from '../../src/policy/named-store.ts'

export const password = 'correct horse battery'
export const publicUrl = 'http://gateway.test'
/** Signing secrets of the webhooks that top accounts up. */
export const webhookConfig = {
  stripeWebhookSecret: 'whsec_stripe_test_secret',
  topUpWebhookSecret: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
}

export interface TestApiOptions {
  readonly registration?: 'open' | 'closed'
  readonly stdioAllow?: readonly string[]
}

type Database = Awaited<ReturnType<typeof openDatabase>>

async function buildMoney(db: Database, clock: ManualClock) {
  const prices = await buildPrices(db, clock)
  const { rules } = prices
  const defaults = { mode: 'postpaid', currency: 'USD', timeZone: 'UTC' } as const
  const ledger = await Ledger.open(new LedgerStore(db), { clock, defaults })
  const settled = new SettledCalls()
  const parts = await buildMetering({
    db,
    clock,
    log,
    ledger,
    rules,
    probeEveryMs: 100,
    onSettled: (call) => settled.publish(call),
  })
  const queries = new UsageQueries(usageStores(db), { clock })
  return { ...prices, ledger, ...parts, queries, audited: buildAudit(db), settled }
}

async function buildIdentity(db: Database, options: TestApiOptions & { clock: ManualClock; ledger: Ledger }) {
  const { clock, ledger, registration = 'open' } = options
  const master = { secrets: [Buffer.alloc(32, 7)] }
  const dataKeys = await DataKeys.open({ store: new DataKeyStore(db), master, clock, log })
  const { keyring } = dataKeys
  const revocations = new Revocations(log)
  const userStore = new UserStore(db)
  const loginStore = new LoginStore(db)
  const grantStore = new GrantStore(db)
  const passwords = new Passwords()
  const opened = new Map<string, () => void>()
  const users = new Users({
    store: userStore,
    passwords,
    revocations,
    clock,
    openAccount: ({ accountId, userId, username }) => {
      const account = { id: accountId, kind: 'user', name: username, ownerId: userId } as const
      const { statements, added } = ledger.newAccount(account)
      opened.set(accountId, added)
      return statements
    },
    onCreated: ({ accountId }) => opened.get(accountId)?.(),
  })
  const keys = new Keys({ store: new KeyStore(db), keyring, revocations, clock, log })
  const tokens = new Tokens({
    store: loginStore,
    grants: grantStore,
    keyring,
    clock,
    publicUrl: () => publicUrl,
  })
  const browserSessions = new BrowserSessions({ store: loginStore, keyring, clock, lifetimeMs: 43_200_000 })
  const authenticator = new Authenticator({ tokens, keys, browserSessions, revocations, clock })
  const passkeyStore = new PasskeyStore(db)
  const passkeys = new Passkeys({
    store: passkeyStore,
    users,
    sealer: keyring,
    clock,
    publicUrl: () => publicUrl,
  })
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
    registration,
  })
  return {
    browserSessions,
    passkeys,
    dataKeys,
    keyring,
    revocations,
    users,
    keys,
    tokens,
    authenticator,
    logins,
    grantStore,
  }
}

function buildOauth(db: Database, clock: ManualClock, identity: Awaited<ReturnType<typeof buildIdentity>>) {
  const { keyring, logins, grantStore: store } = identity
  const documents = new ClientDocuments({ fetchJson: () => Promise.reject(new Error('offline')), clock })
  const features = { registration: true, metadataDocuments: true, identityAssertions: false }
  const clients = new Clients({
    ...features,
    store: new ClientStore(db),
    documents,
    keyring,
    clock,
    assertions: new ClientAssertions(clock, () => [publicUrl]),
    maxClients: 10,
  })
  const lives = { lifetimeS: 600, grantMs: 30 * 86_400_000 }
  const grants = new Grants({ ...identity, ...lives, store, clock, log })
  const authorizations = new Authorizations({
    clients,
    grants,
    logins,
    keyring,
    clock,
    publicUrl: () => publicUrl,
  })
  return { clients, grants, authorizations, authorizationServer: features }
}

async function findAccountId(users: Users, userId: string): Promise<string | undefined> {
  try {
    return (await users.get(userId)).accountId
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'not_found') return undefined
    throw error
  }
}

/** Starts the API with every resource route; `stop` ends it and removes its folder. */
export async function startApi(options: TestApiOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-api-'))
  const clock = new ManualClock()
  const db = await openDatabase({ dataDir: folder, durability: 'process', log })
  const money = await buildMoney(db, clock)
  const identity = await buildIdentity(db, { ...options, clock, ledger: money.ledger })
  const egress = new Egress(['loopback'])
  const registry = new Registry({
    store: new ServerStore(db, identity.keyring),
    rules: { stdioAllow: options.stdioAllow ?? [], checkUrl: (url) => egress.checkUrl(url) },
    clock,
    log,
    accountExists: (id) => money.ledger.findAccount(id) !== undefined,
  })
  const bundles = new Bundles({
    store: new BundleStore(db),
    registry,
    clock,
    log,
    accountExists: (id) => money.ledger.findAccount(id) !== undefined,
  })
  const { userTokens, consents } = await buildConsents({
    db,
    log,
    keyring: identity.keyring,
    egress,
    registry,
    publicUrl: () => publicUrl,
    secrets: noSecrets,
  })
  const upstreams = new Upstreams({ egress, clock, environment: process.env, userTokens })
  const catalogues = new Catalogues({
    upstreams,
    clock,
    version: '0.0.0',
  })
  catalogues.onHandshake((server, { ok, error }) => {
    if (ok) registry.recordSuccess(server.id)
    else if (error) registry.recordFailure(server.id, error)
  })
  const sessionStore = new SessionStore(db, identity.keyring)
  const sessions = new Sessions({
    store: sessionStore,
    clock,
    log,
    limits: { idleMs: 3_600_000, absoluteMs: 86_400_000, maxPerPrincipal: 5, maxTotal: 100 },
    endUpstream: () => Promise.resolve(),
  })
  const parts = {
    ...money,
    ...identity,
    ...buildOauth(db, clock, identity),
    registry,
    bundles,
    upstreams,
    catalogues,
    sessions,
    openStreams: new OpenStreams([sessions]),
    seenEras: new SeenEras(),
    sessionStore,
    priceTags: new PriceTags({ ...money, clock }),
    clock,
    db,
    ...openInvoices({ ...money, db, clock }),
  }
  const { webhooks } = openOutbox(parts)
  const limits = new Limits({ store: limitStore(db), clock })
  const accessRules = new AccessRules({ store: accessRuleStore(db), clock })
  const definitions = new Definitions({ store: new DefinitionStore(db), clock, log })
  await webhooks.start()
  const stops: (() => Promise<void> | void)[] = []
  const lifecycle = { onStop: (_name: string, stop: () => Promise<void> | void) => void stops.push(stop) }
  const auditLog = buildAuditLog({ ...parts, config: { audit: {} }, log, lifecycle })
  const routes = resourceRoutes({
    ...parts,
    ...auditLog,
    webhooks,
    limits,
    accessRules,
    definitions,
    // No message goes to a server from here; what calls bring is tested with a whole gateway.
    relay: { handle: (_incoming, reply) => reply.refuse(new GatewayError('upstream_unavailable')) },
    paramChecks: { inputSchema: () => undefined },
    userTokens,
    consents,
    payloadStore: new PayloadStore(db, identity.keyring),
    ...buildTopUps({ config: { billing: webhookConfig }, db, clock, ledger: money.ledger }),
    publicUrl: () => publicUrl,
    adminUrl: () => publicUrl,
    onSettled: (listener) => money.settled.listen(listener),
    findAccountId: (userId) => findAccountId(identity.users, userId),
    verify: (signal) => verify({ ...money.audited, rules: money.rules, signal }),
    isStoreReady: () => money.writer.accepting,
    isDropped: () => false,
    about: { version: '0', engine: 'sqlite', startedAtMs: 0, settings: [] },
  })
  const api = await createApi({
    clientAddress: clientAddresses([]),
    routes,
    log,
    audit: auditLog.audit,
    maxBodyBytes: 100_000,
    maxDepth: 32,
    checkAnswers: true,
    authenticate: (request) => {
      const credential = findCredential(request)
      return credential === undefined ? undefined : identity.authenticator.authenticate(credential)
    },
    authenticateBrowser: (secret) => identity.authenticator.authenticateBrowser(secret),
    publicUrl: () => publicUrl,
    idempotency: new StoredIdempotency(db, {
      seal: identity.keyring,
      mac: (text) => identity.keyring.fingerprintMac(text),
      clock,
    }),
  })
  const http = createServer(api.handle)
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`
  return {
    ...parts,
    ...auditLog,
    routes,
    url,
    anonymous: new ApiCaller(url),
    /** A user with these roles, signed in. */
    user: async (username: string, ...roles: Role[]): Promise<ApiCaller> => {
      await identity.users.create({ username, password, roles: roles.length > 0 ? roles : ['member'] })
      return new ApiCaller(url).login(username, password)
    },
    stop: async () => {
      http.closeAllConnections()
      await new Promise((resolve) => http.close(resolve))
      await api.close()
      await webhooks.stop()
      await sessions.stop()
      await registry.close()
      await upstreams.closeAll()
      for (const stop of stops) await stop()
      await money.writer.close()
      await db.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type TestApi = Awaited<ReturnType<typeof startApi>>

/** What a refusal says, without what differs from one request to the next. */
export function refusalOf(answer: { status: number; headers: Headers; json: unknown }): object {
  const { requestId: _, ...problem } = answer.json as Record<string, unknown>
  const headers = [...answer.headers].filter(([name]) => !['x-request-id', 'date'].includes(name))
  return { status: answer.status, headers, problem }
}
