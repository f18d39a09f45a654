// Every client at published servers through the gateway: server-everything on three transports, filesystem and memory.
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { Ahead } from './ahead.ts'
import { expectCell } from './cell-test.ts'
import type { Pair } from './cells.ts'
import { Journal } from './journal.ts'
import { publicCell, publicPairs, publicServers, type PublicPair } from './public-servers.ts'
import { runThrough, startRig, type Rig } from './rig.ts'

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'matrix-public-')))
const servers = publicServers(folder)
const pairs = publicPairs(servers)
const processes: ChildProcess[] = []
let rig: Rig
let journal: Journal

beforeAll(async () => {
  journal = new Journal(join(folder, 'journal'))
  rig = await startRig()
  await Promise.all(
    servers.map(async ({ name, start }) => {
      const { registration, process } = await start()
      if (process) processes.push(process)
      await rig.register(name, registration)
    }),
  )
})

afterAll(async () => {
  for (const run of runs.values()) await run.settled()
  await rig?.stop()
  for (const child of processes) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

/** They all negotiate down to 2024-11-05. */
const asPair = ({ client, server }: PublicPair): Pair => ({
  client,
  upstream: { transport: server.transport, revision: '2025-11-25' },
})
const runPair = (pair: PublicPair) =>
  runThrough(rig, asPair(pair), { server: pair.server.name, checks: pair.server.checks, journal })

const runs = new Map(
  servers.map((server) => {
    const own = pairs.filter((pair) => pair.server === server)
    return [server, new Ahead(own, runPair, server.name === 'memory' ? 1 : 5)]
  }),
)

describe('published servers through the gateway', () => {
  for (const pair of pairs)
    for (const behaviour of [...Object.keys(pair.server.checks), 'bill']) {
      const cell = publicCell(pair, behaviour)
      test(
        cell,
        async () => expectCell(cell, (await runs.get(pair.server)?.of(pair))?.get(behaviour)),
        150_000,
      )
    }

  test('after all of it nothing is held, the balance is the grant less the records, and verify agrees', async () => {
    for (const run of runs.values()) await run.settled()
    await rig.verify()
  }, 150_000)
})
