// What counts and charges calls, put together as the gateway does over any store; and calls to charge.
import { buildFunds, commitRows } from '../../src/assembly/money.ts'
import type { Clock } from '../../src/base/clock.ts'
import { CallIds } from '../../src/base/id.ts'
import type { Log } from '../../src/base/log.ts'
import type { Database } from '../../src/db/database.ts'
import type { Ledger } from '../../src/ledger/ledger.ts'
import { Periods } from '../../src/pricing/periods.ts'
import type { RuleBook } from '../../src/pricing/rules.ts'
import type { CallOrigin, CommitExtra } from '../../src/sessions/charge.ts'
import { Metering } from '../../src/sessions/metering.ts'
import type { Settled } from '../../src/sessions/settled.ts'
import { Dimensions } from '../../src/usage/dimensions.ts'
import { Meters } from '../../src/usage/meters.ts'
import { OpenCalls } from '../../src/usage/open-calls.ts'
import { UsageStore } from '../../src/usage/store.ts'
import { UsageWriter } from '../../src/usage/writer.ts'

export interface MeteringParts {
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly ledger: Ledger
  readonly rules: RuleBook
  readonly probeEveryMs: number
  readonly maxQueue?: number
  readonly onSettled: (settled: Settled) => void
}

export async function buildMetering(options: MeteringParts) {
  const { db, clock, log, ledger, rules, probeEveryMs, maxQueue = 1000, onSettled } = options
  const usageStore = new UsageStore(db)
  const writer = new UsageWriter<CommitExtra>({
    store: usageStore,
    dimensions: new Dimensions({ ...(await usageStore.loadDimensions(1000)), capacity: 1000 }),
    log,
    extraRows: commitRows,
    onHeal: async () => {
      await ledger.reload()
      await parts.budgets.reload()
    },
    maxBatch: 64,
    maxQueue,
    probeEveryMs,
  })
  const parts = await buildFunds({ db, clock, log, ledger, writer })
  const openCalls = new OpenCalls(new CallIds(clock, { last: await usageStore.newestRecordId() }), clock)
  const metering = new Metering({
    clock,
    openCalls,
    rules,
    ledger,
    meters: new Meters(),
    periods: new Periods(),
    funds: parts.funds,
    writer,
    onSettled,
  })
  return { ...parts, writer, openCalls, metering }
}

/** A call as most tests want it, but for its payer. */
export const ordinaryCall: Omit<CallOrigin, 'accountId'> = {
  userId: 'usr_1',
  serverId: 'srv_1',
  server: 'weather',
  method: 'tools/call',
  tool: 'forecast',
  transport: 'streamable-http',
  upstreamTransport: 'streamable-http',
  era: 'modern',
  upstreamEra: 'modern',
  requestBytes: 200,
  client: { ip: '127.0.0.1', userAgent: 'test/1', info: 'probe/2' },
}

/** One call that succeeds, or is refused; resolves once it is durable, with the code of the refusal. */
export function payOnce(
  metering: Metering,
  origin: Partial<CallOrigin> & Pick<CallOrigin, 'accountId'>,
): Promise<string | undefined> {
  const { charge, refusal } = metering.begin({ ...ordinaryCall, ...origin })
  const outcome = refusal ? 'denied' : 'success'
  const end = { outcome, statusCode: 200, responseBytes: 10, free: refusal !== undefined } as const
  return new Promise((resolve, reject) =>
    charge.settle(end, (error) => (error ? reject(error) : resolve(refusal?.code))),
  )
}
