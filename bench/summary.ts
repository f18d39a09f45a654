// How long usage summaries take over many records, by grouping, period and zone, on both stores.
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ManualClock } from '../src/base/clock.ts'
import { silentLog as log } from '../src/base/log.ts'
import type { Database } from '../src/db/database.ts'
import { migrate } from '../src/db/migrate.ts'
import { openPostgres } from '../src/db/postgres.ts'
import { openSqlite } from '../src/db/sqlite.ts'
import type { UsageFilter } from '../src/usage/filter.ts'
import type { GroupName } from '../src/usage/groups.ts'
import { UsageQueries } from '../src/usage/queries.ts'
import { usageStores } from '../src/usage/reading-store.ts'
import { startPostgres } from '../test/harness/postgres.ts'
import { fillUsage } from './usage-fill.ts'

interface Question {
  readonly name: string
  readonly filter: UsageFilter
  readonly groupBy: readonly GroupName[]
  readonly timeZone: string
}

interface Row {
  readonly store: string
  readonly records: number
  readonly question: string
  readonly groups: number
  readonly p50Ms: number
  readonly p95Ms: number
}

const dayMs = 86_400_000
// In the middle of a quarter of an hour, so that edges are read from records.
const endMs = Date.UTC(2026, 10, 22, 15, 37, 20)

function questions(days: number): Question[] {
  const zone = 'Europe/Berlin'
  const periods: [string, UsageFilter][] = [
    ['day', { fromMs: endMs - dayMs, toMs: endMs }],
    ['month', { fromMs: endMs - 30 * dayMs, toMs: endMs }],
    [`all ${days} days`, {}],
  ]
  const groupings: GroupName[][] = [
    [],
    ['account'],
    ['user'],
    ['key'],
    ['server'],
    ['tool'],
    ['method'],
    ['outcome'],
    ['day'],
    ['week'],
    ['month'],
    ['server', 'tool'],
    ['server', 'outcome'],
  ]
  const wide = periods.flatMap(([name, filter]) =>
    groupings.map((groupBy) => ({
      name: `${name}, by ${groupBy.join('+') || 'nothing'}`,
      filter,
      groupBy,
      timeZone: zone,
    })),
  )
  const [, month] = periods[1] ?? ['', {}]
  const own = { account: 'acc_10' }
  return [
    ...wide,
    { name: 'day, by hour', filter: periods[0]?.[1] ?? {}, groupBy: ['hour'], timeZone: zone },
    { name: 'month, by hour', filter: month, groupBy: ['hour'], timeZone: zone },
    { name: 'month, by day+server', filter: month, groupBy: ['day', 'server'], timeZone: zone },
    {
      name: `all ${days} days, by day in Kathmandu`,
      filter: {},
      groupBy: ['day'],
      timeZone: 'Asia/Kathmandu',
    },
    { name: 'month of one account, by day', filter: { ...month, ...own }, groupBy: ['day'], timeZone: zone },
    {
      name: 'month of one account, by tool',
      filter: { ...month, ...own },
      groupBy: ['tool'],
      timeZone: zone,
    },
    { name: 'all of one account, by server+tool', filter: own, groupBy: ['server', 'tool'], timeZone: zone },
    {
      name: 'month of one account, by day+server',
      filter: { ...month, ...own },
      groupBy: ['day', 'server'],
      timeZone: zone,
    },
    {
      name: 'month of one tool, by day',
      filter: { ...month, tool: 'tool-7-2' },
      groupBy: ['day'],
      timeZone: zone,
    },
    {
      name: 'month of one server, by account',
      filter: { ...month, server: 'server-7' },
      groupBy: ['account'],
      timeZone: zone,
    },
  ]
}

async function measure(
  db: Database,
  about: { days: number; records: number; tries: number },
): Promise<Row[]> {
  const queries = new UsageQueries(usageStores(db), { clock: new ManualClock(endMs) })
  const rows: Row[] = []
  for (const { name, filter, groupBy, timeZone } of questions(about.days)) {
    const times: number[] = []
    let groups = 0
    for (let n = 0; n < about.tries; n++) {
      const started = performance.now()
      const summary = await queries.summarise(filter, { groupBy, timeZone })
      times.push(performance.now() - started)
      groups = summary.groups.length
    }
    times.sort((a, b) => a - b)
    const at = (share: number) => Math.round(10 * (times[Math.ceil(share * times.length) - 1] ?? 0)) / 10
    rows.push({
      store: db.engine,
      records: about.records,
      question: name,
      groups,
      p50Ms: at(0.5),
      p95Ms: at(0.95),
    })
  }
  return rows
}

const flags = {
  records: { type: 'string', default: '1000000,10000000' },
  days: { type: 'string', default: '90' },
  stores: { type: 'string', default: 'sqlite,postgres' },
  tries: { type: 'string', default: '20' },
  /** Of an SQLite file to keep, for looking closer. */
  keep: { type: 'string' },
} as const

async function main(): Promise<void> {
  const { values } = parseArgs({ options: flags })
  const days = Number(values.days)
  const [rows, notes]: [Row[], string[]] = [[], []]
  for (const records of values.records.split(',').map(Number)) {
    for (const store of values.stores.split(',')) {
      const { db, close } = await (store === 'sqlite' ? openFile(values.keep) : openServer())
      try {
        await migrate(db, { log })
        const filled = await fillUsage(db, { records, days, endMs })
        notes.push(
          `${store}: ${records} records written at ${filled.recordsPerS}/s, cubes summed up in ${filled.cubesMs} ms`,
        )
        console.error(notes.at(-1))
        rows.push(...(await measure(db, { days, records, tries: Number(values.tries) })))
      } finally {
        await close()
      }
    }
  }
  report(rows, notes)
}

async function openFile(keep: string | undefined) {
  const folder = keep ?? mkdtempSync(join(tmpdir(), 'bench-summary-'))
  const file = join(folder, 'tollbridge.db')
  const db = await openSqlite({ file, durability: 'process', log })
  const close = async () => {
    await db.close()
    console.error(`${Math.round(statSync(file).size / 1e6)} MB`)
    if (keep === undefined) rmSync(folder, { recursive: true })
  }
  return { db, close }
}

async function openServer() {
  const cluster = await startPostgres()
  await cluster.createDatabase('bench')
  const db = await openPostgres({ url: cluster.url('bench'), durability: 'process', log })
  const close = async () => {
    await db.close()
    await cluster.stop()
  }
  return { db, close }
}

function report(rows: readonly Row[], notes: readonly string[]): void {
  const date = new Date().toISOString().slice(0, 10)
  const lines = [
    `# Usage summaries, ${date}`,
    '',
    `Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? 'CPU'}. 200 accounts, 50 servers, 500 tools; milliseconds of one summary.`,
    '',
    ...notes.map((note) => `- ${note}`),
    '',
    '| store | records | summary | groups | p50 ms | p95 ms |',
    '| --- | ---: | --- | ---: | ---: | ---: |',
    ...rows.map(
      (row) =>
        `| ${row.store} | ${row.records} | ${row.question} | ${row.groups} | ${row.p50Ms} | ${row.p95Ms} |`,
    ),
    '',
  ]
  const folder = join(import.meta.dirname, 'results')
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `summary-${date}.md`)
  writeFileSync(file, lines.join('\n'))
  console.log(lines.join('\n'))
}

await main()
