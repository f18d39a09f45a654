// F1: whatever moment the gateway is killed at, what was answered is on the bill, once, and nothing else is.
import { afterEach, expect, test } from 'vitest'
import type { Recorder } from '../upstreams/recorder.ts'
import type { TestGateway } from '../harness/gateway.ts'
import { isAnswered, type Era } from './callers.ts'
import {
  cleanUp,
  client,
  costOf,
  countFrom,
  expectBalance,
  expectClean,
  furnish,
  nameIn,
  newFolder,
  nano,
  price,
  printedSeed,
  seeded,
  startGateway,
  startUpstream,
  toolCalls,
  type UsageRecord,
} from './rig.ts'

afterEach(cleanUp)

const rounds = countFrom('TOLLBRIDGE_TEST_KILL_ROUNDS', 10)
const callersPerEra = 12

/** What the clients of one round wrote down: the name of every call that was answered, and its record. */
type Journal = Map<string, string>

/**
 * Calls until the connection breaks. Every call has a name that is seen everywhere: an idempotency key, which is on
 * its record, or the tool's own name.
 */
async function callOn(
  gateway: TestGateway,
  key: string,
  { era, prefix }: { era: Era; prefix: string },
): Promise<Journal> {
  const journal: Journal = new Map()
  try {
    const caller = await client(gateway, key, era).open()
    for (let n = 0; ; n++) {
      const name = `${prefix}-${n}`
      const named =
        n % 3 === 0
          ? { headers: { 'idempotency-key': name }, arguments: { name } }
          : { tool: name, arguments: { name } }
      const answer = await caller.call(named)
      expect(isAnswered(answer), answer.text).toBe(true)
      expect(answer.message.result.content[0].text).toContain(name)
      expect(journal.has(name)).toBe(false)
      journal.set(name, answer.callId ?? 'no record named')
    }
  } catch (error) {
    if (error instanceof TypeError) return journal
    throw error
  }
}

async function killRound(
  gateway: TestGateway,
  key: string,
  { prefix, afterMs }: { prefix: string; afterMs: number },
): Promise<Journal> {
  const callers = Array.from({ length: 2 * callersPerEra }, (_, n) =>
    callOn(gateway, key, { era: n % 2 === 0 ? 'legacy' : 'modern', prefix: `${prefix}-${n}` }),
  )
  const timer = setTimeout(() => gateway.process.kill('SIGKILL'), afterMs)
  try {
    return new Map((await Promise.all(callers)).flatMap((journal) => [...journal]))
  } finally {
    clearTimeout(timer)
    expect(await gateway.stop('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' })
  }
}

const nameOf = (record: UsageRecord): string => record.idempotencyKey ?? record.tool ?? ''

function compare(journal: Journal, records: readonly UsageRecord[], executed: readonly string[]): void {
  const ledger = new Map(records.map((record) => [nameOf(record), record]))
  expect(ledger.size, 'no call has two records').toBe(records.length)
  expect(new Set(executed).size, 'no call ran twice').toBe(executed.length)
  const lost = [...journal].filter(([name, callId]) => ledger.get(name)?.id !== callId)
  expect(lost, 'every answered call has its record').toEqual([])
  const ran = new Set(executed)
  expect(
    [...ledger.keys()].filter((name) => !ran.has(name)),
    'every record is of a call that ran',
  ).toEqual([])
  expect(records.filter(({ cost, outcome }) => nano(cost) !== nano(price) || outcome !== 'success')).toEqual(
    [],
  )
}

const executedIn = (upstream: Recorder): string[] => upstream.calls().map(nameIn)

test(
  `killed ${rounds} times under load: answered ⊆ ledger ⊆ executed, nothing twice, every cost right`,
  async () => {
    const random = seeded(printedSeed('kill -9'))
    const upstream = await startUpstream()
    const data = newFolder()
    const grant = '100000'
    let gateway = await startGateway({ data })
    const { key, accountId } = await furnish(gateway, upstream.url, { grant })
    let answered = 0
    let spent = 0n
    for (let round = 0; round < rounds; round++) {
      const prefix = `r${round}`
      const afterMs = random(100, 900)
      const from = new Date().toISOString()
      const journal = await killRound(gateway, key, { prefix, afterMs })
      gateway = await startGateway({ data })
      const records = await toolCalls(gateway, `&account=${accountId}&from=${from}`)
      compare(journal, records, executedIn(upstream))
      upstream.hits.length = 0
      answered += journal.size
      spent += costOf(records)
    }
    await expectClean(gateway)
    await expectBalance(gateway, accountId, grant)
    expect(spent).toBe(costOf(await toolCalls(gateway)))
    expect(answered, 'the load was one').toBeGreaterThan(20 * rounds)
  },
  30_000 + rounds * 10_000,
)
