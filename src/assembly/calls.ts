// Builds what carries calls: metering, sessions and the relay.
import manifest from '../../package.json' with { type: 'json' }
import { systemClock as clock } from '../base/clock.ts'
import { CallIds } from '../base/id.ts'
import { Keyring } from '../base/keyring.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { type Log } from '../base/log.ts'
import { Routes } from '../bridges/routes.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import type { Refusals } from '../audit/refusals.ts'
import { actorOf } from '../http/api/audited.ts'
import type { CredentialCheck } from '../identity/credential-check.ts'
import { type GatewayMetrics } from '../http/metrics.ts'
import { Breakers } from '../sessions/breakers.ts'
import { KeptEventStore } from '../sessions/kept-event-store.ts'
import { KeptStreams } from '../sessions/kept-streams.ts'
import type { Permissions } from '../policy/permissions.ts'
import type { Limits } from '../policy/limits/limits.ts'
import { OpenStreams } from '../sessions/open-streams.ts'
import { PriceTags } from '../sessions/price-tags.ts'
import { Metering } from '../sessions/metering.ts'
import { PaidCalls } from '../sessions/paid-calls.ts'
import { ParamChecks } from '../sessions/param-checks.ts'
import { Relay } from '../sessions/relay.ts'
import type { RelayOptions } from '../sessions/relay-options.ts'
import { Replays } from '../sessions/replays.ts'
import { restoreSessions } from '../sessions/restoring.ts'
import { Resumption } from '../sessions/resumption.ts'
import { sessionEnd } from '../sessions/session-end.ts'
import { Sessions } from '../sessions/sessions.ts'
import { SettledCalls } from '../sessions/settled.ts'
import { TaskOwnerStore } from '../sessions/tasks/store.ts'
import { TaskOwners } from '../sessions/tasks/task-owners.ts'
import { KeptAnswerStore } from '../sessions/kept-store.ts'
import { SessionStore } from '../sessions/store.ts'
import { OpenCalls } from '../usage/open-calls.ts'
import { TopUpLinks } from '../sessions/top-up-links.ts'
import { LinkQuestion } from '../sessions/link-question.ts'
import { aggregatesOf } from './aggregates.ts'
import { buildBuiltIn } from './built-in.ts'
import type { buildMoney } from './money.ts'
import { buildPayloads } from './payloads.ts'
import { buildPayments } from './payments.ts'
import type { buildServers } from './servers.ts'

/** Milliseconds in which the end of one upstream session must come. */
const stepMs = 2000

/** How long a user may take at a link, before the call must be sent anew. */
const linkTtlMs = 3_600_000

/** Conversations are few: one for each modern caller of a legacy server. */
const routeLimits = {
  maxConversations: 10_000,
  maxSharedSessions: 10_000,
  idleMs: 10 * 60_000,
  verdictTtlMs: 5 * 60_000,
  maxMemoryBytes: 64 * 1024 * 1024,
}

type CallParts = {
  readonly config: RunnableConfig
  readonly db: Database
  readonly log: Log
  readonly keyring: Keyring
  readonly limits: Limits
  readonly permissions: Permissions
  readonly credentials: CredentialCheck
  readonly refusals: Pick<Refusals, 'add'>
  readonly publicUrl: () => string
} & {
  readonly metrics: GatewayMetrics
  readonly lifecycle: Lifecycle
} & Awaited<ReturnType<typeof buildMoney>> &
  Awaited<ReturnType<typeof buildServers>>

/** Sessions and the relay: everything that carries a call. */
export async function buildCalls(parts: CallParts) {
  const {
    config,
    db,
    log,
    keyring,
    lifecycle,
    metrics,
    rules,
    ledger,
    meters,
    periods,
    funds,
    budgets,
    writer,
    lastRecord,
    registry,
    bundles,
    endpoints,
    upstreams,
    catalogues,
    seenEras,
    credentials,
  } = parts
  const settled = new SettledCalls()
  settled.listen(({ record }) => {
    metrics.callsBy(record.outcome).inc()
    metrics.callDurationSeconds.observe(record.durationUs / 1e6)
    const { outcome, upstreamEra } = record
    const server = outcome === 'success' ? registry.findById(record.serverId) : undefined
    if (server && upstreamEra && upstreamEra !== 'none') seenEras.note(server, upstreamEra)
  })
  const openCalls = new OpenCalls(new CallIds(clock, { last: lastRecord }), clock)
  const { topUpLinks, linkQuestion } = linksOf(parts)
  const priceTags = new PriceTags({ rules, ledger, clock })
  const metering = new Metering({
    clock,
    openCalls,
    rules,
    ledger,
    meters,
    periods,
    funds,
    writer,
    topUpLinks,
    onSettled: (call) => settled.publish(call),
  })
  const sessionStore = new SessionStore(db, keyring)
  const streams = new KeptStreams({ store: new KeptEventStore(db), clock, log, limits: config.resumption })
  const sessions = new Sessions({
    store: sessionStore,
    clock,
    log,
    limits: config.sessions,
    endUpstream: sessionEnd({ registry, upstreams, graceMs: stepMs }),
    onEnded: (session) => {
      streams.forget(session)
      budgets.forgetSession(session.id)
      meters.forget(session.id)
    },
  })
  metrics.registry.beforeRender(() => metrics.sessions.set(sessions.count))
  registry.onChange((change) => {
    if (change.kind === 'removed') void sessions.closeWhere((session) => session.serverId === change.id)
  })
  const routes = new Routes({
    upstreams,
    catalogues,
    clock,
    version: manifest.version,
    seal: stateSeal(keyring, 'request-state'),
    aggregates: aggregatesOf({ registry, bundles, permissions: parts.permissions }),
    builtIn: buildBuiltIn({ ...parts, clock, priceTags, topUpLinks }),
    findServer: (id) => registry.findById(id),
    limits: routeLimits,
  })
  registry.onChange((change) => routes.onServerChange(change))
  lifecycle.onStop('conversations', () => routes.close())
  const { failures: failuresToOpen, pauseMs: firstPauseMs, maxPauseMs } = config.breaker
  const former = {
    store: sessionStore,
    clock,
    ways: routes,
    credentials,
    findServer: (id: string) => endpoints.findById(id),
    maxTotal: config.sessions.maxTotal,
  }
  sessions.start(await restoreSessions(former))
  await streams.start()
  lifecycle.onStop('kept events', () => streams.stop())
  const breakers = new Breakers({ clock, failuresToOpen, firstPauseMs, maxPauseMs })
  registry.onChange((change) => {
    if (change.kind === 'removed') breakers.forget(change.id)
  })
  const payments = await buildPayments(parts)
  const { payloads, payloadStore } = buildPayloads({ db, keyring, clock, log, metrics, lifecycle, settled })
  const tasks = await TaskOwners.open({ store: new TaskOwnerStore(db), clock })
  const relay = new Relay({
    tasks,
    metering,
    paidCalls: payments && new PaidCalls({ payments, metering }),
    limits: parts.limits,
    permissions: parts.permissions,
    consents: parts.consents,
    breakers,
    replays: new Replays(new KeptAnswerStore(db), { maxBytes: 1024 * 1024 }),
    priceTags,
    linkQuestion,
    payloads,
    log,
    ways: routes,
    reportFailure: (server, { stage, message }) => registry.recordFailure(server.id, { stage, message }),
    reportSuccess: (server) => registry.recordSuccess(server.id),
    onDenied: deniedTo(parts.refusals),
    onInitializeFailed: (session) => void sessions.close(session),
    maxInFlight: config.calls.maxInFlight,
  })
  const openStreams = new OpenStreams([sessions, relay])
  metrics.registry.beforeRender(() => metrics.streams.set(openStreams.count))
  const paramChecks = new ParamChecks(catalogues, routes, parts.permissions)
  const resumption = new Resumption({ relay, streams })
  return {
    settled,
    openCalls,
    metering,
    priceTags,
    sessionStore,
    sessions,
    openStreams,
    relay,
    resumption,
    paramChecks,
    payloadStore,
    tasks,
  }
}

/** Links at which users lift a refusal; where accounts are topped up is in the configuration. */
function linksOf({ config, keyring }: Pick<CallParts, 'config' | 'keyring'>) {
  const { topUpUrl } = config.billing
  const seal = stateSeal(keyring, 'link-question')
  return {
    topUpLinks: topUpUrl === undefined ? undefined : new TopUpLinks(topUpUrl),
    linkQuestion: new LinkQuestion({ seal, clock, ttlMs: linkTtlMs }),
  }
}

/** A caller's refused requests to one server, as the audit log sums them up. */
const deniedTo =
  (refusals: Pick<Refusals, 'add'>): NonNullable<RelayOptions['onDenied']> =>
  ({ principal, server, client }, code) =>
    refusals.add({
      action: 'mcp.call',
      actor: actorOf(principal),
      resource: { type: 'servers', id: server.id },
      outcome: 'refused',
      code,
      ip: client.ip,
      userAgent: client.userAgent,
    })

/** A state that was changed, or sealed for something else, opens to nothing. */
function stateSeal(keyring: Keyring, context: string) {
  return {
    seal: (text: string) => keyring.seal(text, context),
    open: (sealed: string) => {
      try {
        return keyring.open(sealed, context)
      } catch {
        return undefined
      }
    },
  }
}
