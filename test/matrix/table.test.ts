// The committed table is whole: every transport at every transport, every revision at every revision, and the README shows it.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { behaviours, cellName, clients, pairs, refusalOf, revisionPairs } from './cells.ts'
import { stalePending } from './pending.ts'
import { committedSummary, matrixBlock, renderMatrix, withMatrix } from './report.ts'
import { cannotSpeak, revisions, transports } from './revisions.ts'

const readme = readFileSync(join(resolve(import.meta.dirname, '../..'), 'README.md'), 'utf8')

describe('the table of the matrix', () => {
  test('has every client transport at every server transport, in every pair of revisions that they speak', () => {
    const missing = transports.flatMap((client) =>
      transports.flatMap((upstream) =>
        revisionPairs
          .filter(
            ([a, b]) =>
              !cannotSpeak({ transport: client, revision: a }) &&
              !cannotSpeak({ transport: upstream, revision: b }),
          )
          .filter(
            ([a, b]) =>
              !pairs.some(
                (pair) =>
                  pair.client.transport === client &&
                  pair.client.revision === a &&
                  pair.upstream.transport === upstream &&
                  pair.upstream.revision === b,
              ),
          )
          .map(([a, b]) => `${client} × ${upstream}, ${a} → ${b}`),
      ),
    )
    expect(missing).toEqual([])
    expect(pairs.length).toBe(20 * 19)
  })

  test('has only one thing that does not go together: HTTP+SSE and the modern era', () => {
    const apart = transports.flatMap((transport) =>
      revisions
        .filter((revision) => cannotSpeak({ transport, revision }))
        .map((revision) => [transport, revision]),
    )
    expect(apart).toEqual([['sse', '2026-07-28']])
  })

  test('names every cell differently', () => {
    const names = pairs.flatMap((pair) => behaviours.map((behaviour) => cellName(pair, behaviour)))
    expect(new Set(names).size).toBe(names.length)
  })

  test('drives both official SDKs, the older one over all four transports', () => {
    const firsts = new Set(clients.filter(({ sdk }) => sdk === '1.32').map(({ transport }) => transport))
    expect(firsts).toEqual(new Set(transports))
  })

  test('lets only elicitation be refused, and only where one side is older than it', () => {
    const refused = revisionPairs.flatMap(([client, upstream]) =>
      behaviours
        .filter((behaviour) => refusalOf(behaviour, client, upstream))
        .map((name) => [name, client < upstream ? client : upstream]),
    )
    expect(new Set(refused.map(([name]) => name))).toEqual(new Set(['elicitation']))
    for (const [, older] of refused) expect(older?.localeCompare('2025-06-18')).toBe(-1)
  })
})

test('every pending pattern names a cell', () => {
  expect(stalePending()).toEqual([])
})

test('the README shows the matrix as the committed table has it', () => {
  expect(matrixBlock(readme)).toBe(renderMatrix(committedSummary()))
})

test('a block that is put into the README is found there again, and a cell that fails changes it', () => {
  const marked = 'a\n<!-- matrix:begin: made by npm run matrix -->\nold\n<!-- matrix:end -->\nb\n'
  const summary = committedSummary()
  const block = renderMatrix(summary)
  expect(matrixBlock(withMatrix(marked, block))).toBe(block)
  expect(withMatrix(withMatrix(marked, block), block)).toBe(withMatrix(marked, block))
  const [cell = ''] = Object.entries(summary).find(([, state]) => state === 'holds') ?? []
  expect(renderMatrix({ ...summary, [cell]: 'fails' })).not.toBe(block)
})
