// A process that commits until it is killed, and says on standard output what was acknowledged; for database.test.ts.
import { writeSync } from 'node:fs'
import { HotBatch, type HotTable } from '../../src/db/batch.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { silentLog } from '../../src/base/log.ts'

const { file, url, item, total } = JSON.parse(process.argv[2] ?? '{}') as {
  file?: string
  url?: string
  item: HotTable
  total: HotTable
}
const log = silentLog
const db = url
  ? await openPostgres({ url, log })
  : await openSqlite({ file: file ?? '', durability: 'disk', log })

const rowsPerCommit = 7
for (let first = Number(process.argv[3] ?? 0); ; first += rowsPerCommit) {
  const batch = new HotBatch()
  for (let id = first; id < first + rowsPerCommit; id++) {
    batch.add(item, [id, `item ${id}`, 1, null])
    batch.add(total, [id % 3, 'killed', 1, 10n])
  }
  await db.commit(batch)
  writeSync(1, `${first + rowsPerCommit - 1}\n`)
}
