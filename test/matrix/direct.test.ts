// The oracle: the same clients and the same checks without a gateway, so that what they ask is what servers really do.
import { afterAll, beforeAll, describe, test } from 'vitest'
import { Ahead } from './ahead.ts'
import { checks } from './behaviours.ts'
import { behaviours, pairName, pairs, type Pair } from './cells.ts'
import { runConversation } from './conversation-run.ts'
import { startFixture, type Fixture } from './fixture.ts'
import { eraOf } from './revisions.ts'

/** What works without a gateway: one transport, one era, and a server that is not newer than its client. */
const direct = pairs.filter(
  ({ client, upstream }) =>
    client.transport === upstream.transport &&
    eraOf(client.revision) === eraOf(upstream.revision) &&
    upstream.revision <= client.revision,
)

let fixture: Fixture
let conversations = 0

beforeAll(async () => {
  fixture = await startFixture()
})
afterAll(async () => {
  await run.settled()
  await fixture?.stop()
})

const runPair = (pair: Pair) =>
  runConversation(pair, {
    checks,
    destination: fixture.destination(pair.upstream.revision),
    journal: fixture.journal,
    token: `direct-${++conversations}`,
  })
const run = new Ahead(direct, runPair, 6)

describe('without a gateway', () => {
  for (const pair of direct)
    for (const behaviour of behaviours.filter((one) => one !== 'bill'))
      test(`${pairName(pair)}: ${behaviour}`, async () => {
        const verdict = (await run.of(pair)).verdicts.get(behaviour)
        if (!verdict?.held) throw verdict?.error ?? new Error('was not tried')
      }, 60_000)
})
