// Any client, any server: each cell of the matrix through the real gateway, and the same bill whichever way it went.
import { afterAll, beforeAll, describe, test } from 'vitest'
import { Ahead } from './ahead.ts'
import { checks } from './behaviours.ts'
import { expectCell } from './cell-test.ts'
import { behaviours, cellName, pairName, pairs, refusalOf, type Pair } from './cells.ts'
import { startFixture, type Fixture } from './fixture.ts'
import { writeSummary, type Summary } from './report.ts'
import { sides, type Side } from './revisions.ts'
import { runThrough, startRig, type Rig } from './rig.ts'

/** `MATRIX='sse × websocket'` runs only the pairs whose name has that in it. */
const only = process.env['MATRIX'] ?? ''
const wanted = pairs.filter((pair) => pairName(pair).includes(only))
const parallel = 6

let rig: Rig
let fixture: Fixture
const summary: Summary = {}

const serverName = ({ transport, revision }: Side): string => `${transport}-${revision}`

const run = new Ahead(
  wanted,
  (pair: Pair) =>
    runThrough(rig, pair, { server: serverName(pair.upstream), checks, journal: fixture.journal }),
  parallel,
)

beforeAll(async () => {
  ;[rig, fixture] = await Promise.all([startRig(), startFixture()])
  await Promise.all(sides.map((side) => rig.register(serverName(side), fixture.registration(side))))
})

afterAll(async () => {
  await run.settled()
  if (only === '') writeSummary(summary)
  await rig?.stop()
  await fixture?.stop()
})

describe('through the gateway', () => {
  for (const pair of wanted)
    for (const behaviour of behaviours) {
      const cell = cellName(pair, behaviour)
      test(
        cell,
        async () => {
          const verdict = (await run.of(pair)).get(behaviour)
          const refused = refusalOf(behaviour, pair.client.revision, pair.upstream.revision)
          summary[cell] = !verdict?.held ? 'fails' : refused ? 'refused' : 'holds'
          expectCell(cell, verdict)
        },
        150_000,
      )
    }

  test('after all of it nothing is held, the balance is the grant less the records, and verify agrees', async () => {
    await run.settled()
    await rig.verify()
  }, 150_000)
})
