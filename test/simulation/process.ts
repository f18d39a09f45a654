// One process of the simulated gateway: the real money and the real relay over the simulated store and a scripted server.
import { openToAll } from '../harness/permissions.ts'
import type { Clock } from '../../src/base/clock.ts'
import { CallIds } from '../../src/base/id.ts'
import { Lifecycle } from '../../src/base/lifecycle.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { buildAudit } from '../../src/assembly/audit.ts'
import { buildInvoicing } from '../../src/assembly/invoicing.ts'
import { buildMoney } from '../../src/assembly/money.ts'
import { TopUpStore } from '../../src/billing/top-ups/store.ts'
import { TopUps } from '../../src/billing/top-ups/top-ups.ts'
import { createMetrics } from '../../src/http/metrics.ts'
import { Breakers } from '../../src/sessions/breakers.ts'
import { Metering } from '../../src/sessions/metering.ts'
import { KeptAnswerStore } from '../../src/sessions/kept-store.ts'
import { OpenCalls } from '../../src/usage/open-calls.ts'
import { Relay } from '../../src/sessions/relay.ts'
import { PriceTags } from '../../src/sessions/price-tags.ts'
import { Replays } from '../../src/sessions/replays.ts'
import type { JsonRpcMessage } from '../../src/wire/json-rpc.ts'
import { FakeReply, FakeUpstream, testServer } from '../harness/calls.ts'
import { invoiceSettings } from '../harness/invoices.ts'
import type { SimulatedStore } from './store.ts'

export interface Asked {
  readonly number: number
  readonly accountId: string
  readonly tool: string
  readonly key: string | undefined
  readonly padding: number
}

/** A call may take a minute; nobody waits longer. */
export const server = { ...testServer, timeouts: { ...testServer.timeouts, callMs: 60_000 } }

export async function startProcess(store: SimulatedStore, clock: Clock) {
  const lifecycle = new Lifecycle(log)
  const config = { accounts: { defaultMode: 'prepaid', currency: 'USD', timeZone: 'UTC' } } as const
  const metrics = createMetrics('0')
  const money = await buildMoney({ config, db: store, clock, log, metrics, lifecycle })
  const upstream = new FakeUpstream()
  const metering = new Metering({
    ...money,
    clock,
    openCalls: new OpenCalls(new CallIds(clock, { last: money.lastRecord }), clock),
    onSettled: () => {},
  })
  const relay = new Relay({
    limits: { admit: () => undefined },
    permissions: openToAll,
    metering,
    breakers: new Breakers({ clock, failuresToOpen: 1e9, firstPauseMs: 1, maxPauseMs: 1 }),
    replays: new Replays(new KeptAnswerStore(store), { maxBytes: 4096 }),
    priceTags: new PriceTags({ ...money, clock }),
    log,
    ways: {
      shared: () => upstream,
      forModern: () => upstream,
      forSession: () => undefined,
      findMember: () => undefined,
      eraOf: () => undefined,
    },
    reportFailure: () => {},
    reportSuccess: () => {},
    onInitializeFailed: () => {},
    maxInFlight: 1000,
  })

  /** A modern tool call. Its number is the client's name, by which its record is found. */
  const ask = ({ number, accountId, tool, key, padding }: Asked): { reply: FakeReply; bytes: number } => {
    const params = { name: tool, arguments: { padding: 'x'.repeat(padding) } }
    const message: JsonRpcMessage = { jsonrpc: '2.0', id: number, method: 'tools/call', params }
    const body = Buffer.from(JSON.stringify(message))
    const reply = new FakeReply()
    relay.handle(
      {
        principal: {
          userId: accountId.replace('acc', 'usr'),
          username: accountId,
          roles: ['member'],
          accountId,
          via: 'token',
        },
        server,
        message,
        body,
        headers: {},
        era: 'modern',
        transport: 'streamable-http',
        client: { ip: '127.0.0.1', userAgent: `ask-${number}` },
        ...(key !== undefined && { idempotencyKey: key }),
      },
      reply,
    )
    return { reply, bytes: body.length }
  }
  const topUps = new TopUps({ store: new TopUpStore(store), ledger: money.ledger, clock })
  const invoicing = buildInvoicing({ ...money, db: store, clock, settings: invoiceSettings })
  return { ...money, ...invoicing, topUps, audited: buildAudit(store), relay, upstream, ask, lifecycle }
}

export type SimulatedProcess = Awaited<ReturnType<typeof startProcess>>
