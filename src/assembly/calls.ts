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
import type { CredentialCheck } from '../identity/credential-check.ts'
import { type GatewayMetrics } from '../http/metrics.ts'
import { Breakers } from '../sessions/breakers.ts'
import { KeptEventStore } from '../sessions/kept-event-store.ts'
import { KeptStreams } from '../sessions/kept-streams.ts'
import type { AccessRules } from '../policy/access-rules/access-rules.ts'
import type { Limits } from '../policy/limits/limits.ts'
import { PriceTags } from '../sessions/price-tags.ts'
import { Metering } from '../sessions/metering.ts'
import { PaidCalls } from '../sessions/paid-calls.ts'
import { ParamChecks } from '../sessions/param-checks.ts'
import { Relay } from '../sessions/relay.ts'
import { Replays } from '../sessions/replays.ts'
import { restoreSessions } from '../sessions/restoring.ts'
import { Resumption } from '../sessions/resumption.ts'
import { sessionEnd } from '../sessions/session-end.ts'
import { Sessions } from '../sessions/sessions.ts'
import { SettledCalls } from '../sessions/settled.ts'
import { KeptAnswerStore } from '../sessions/kept-store.ts'
import { SessionStore } from '../sessions/store.ts'
import { OpenCalls } from '../usage/open-calls.ts'
import { TopUpLinks } from '../sessions/top-up-links.ts'
import { TopUpQuestion } from '../sessions/top-up-question.ts'
import { aggregatesOf } from './aggregates.ts'
import { buildBuiltIn } from './built-in.ts'
import type { buildMoney } from './money.ts'
import { buildPayments } from './payments.ts'
import type { buildServers } from './servers.ts'

/** Milliseconds in which the end of one upstream session must come. */
const stepMs = 2000

/** How long a user may take to pay, before the call must be sent anew. */
const topUpTtlMs = 3_600_000

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
  readonly accessRules: AccessRules
  readonly credentials: CredentialCheck
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
    credentials,
  } = parts
  const settled = new SettledCalls()
  settled.listen(({ record }) => {
    metrics.callsBy(record.outcome).inc()
    metrics.callDurationSeconds.observe(record.durationUs / 1e6)
  })
  const openCalls = new OpenCalls(new CallIds(clock, { last: lastRecord }), clock)
  const { topUpLinks, topUpQuestion } = topUpsOf(parts)
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
    aggregates: aggregatesOf({ registry, bundles, accessRules: parts.accessRules }),
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
  const relay = new Relay({
    metering,
    paidCalls: payments && new PaidCalls({ payments, metering }),
    limits: parts.limits,
    accessRules: parts.accessRules,
    breakers,
    replays: new Replays(new KeptAnswerStore(db), { maxBytes: 1024 * 1024 }),
    priceTags,
    topUpQuestion,
    log,
    ways: routes,
    reportFailure: (server, { stage, message }) => registry.recordFailure(server.id, { stage, message }),
    reportSuccess: (server) => registry.recordSuccess(server.id),
    onInitializeFailed: (session) => void sessions.close(session),
    maxInFlight: config.calls.maxInFlight,
  })
  const paramChecks = new ParamChecks(catalogues, routes)
  const resumption = new Resumption({ relay, streams })
  return { settled, openCalls, metering, priceTags, sessionStore, sessions, relay, resumption, paramChecks }
}

/** Where accounts are topped up, where the configuration says so. */
function topUpsOf({ config, keyring }: Pick<CallParts, 'config' | 'keyring'>) {
  const { topUpUrl } = config.billing
  if (topUpUrl === undefined) return { topUpLinks: undefined, topUpQuestion: undefined }
  const seal = stateSeal(keyring, 'top-up-question')
  return {
    topUpLinks: new TopUpLinks(topUpUrl),
    topUpQuestion: new TopUpQuestion({ seal, clock, ttlMs: topUpTtlMs }),
  }
}

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
