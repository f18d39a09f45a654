// Whether a store works right now: a counter that is written, committed and read back.
import { sql } from 'kysely'
import { GatewayError } from '../base/errors.ts'
import type { Database } from './database.ts'
import { rawQuery } from './raw-query.ts'

interface Tables {
  store_probe: { id: number; count: bigint }
}

/** The probe's table, made together with `schema_migration`. */
export const probeTable = (integer: string): string[] => [
  `CREATE TABLE IF NOT EXISTS store_probe (id ${integer} PRIMARY KEY, count ${integer} NOT NULL)`,
  'INSERT INTO store_probe (id, count) VALUES (1, 0) ON CONFLICT (id) DO NOTHING',
]

/** Rejects with `store_unavailable` where the store does not write, commit and read back. Other nodes may count too. */
export async function probeStore(db: Database): Promise<void> {
  try {
    const before = await readCount(db)
    await db.write(
      db
        .builder<Tables>()
        .updateTable('store_probe')
        .set({ count: sql<bigint>`count + 1` })
        .where('id', '=', 1),
    )
    const after = await readCount(db)
    if (after <= before) throw new Error('the store did not give back what was written')
    if (db.engine === 'sqlite') await checkPages(db)
  } catch (cause) {
    if (cause instanceof GatewayError && cause.code === 'store_unavailable') throw cause
    throw new GatewayError('store_unavailable', { cause })
  }
}

async function readCount(db: Database): Promise<bigint> {
  const [row] = await db.read(
    db.builder<Tables>().selectFrom('store_probe').select('count').where('id', '=', 1),
  )
  if (!row) throw new Error('the store has lost its probe row')
  return row.count
}

/** The pages of one small table: whole files are checked when they are opened. */
async function checkPages(db: Database): Promise<void> {
  const [row] = await db.read(rawQuery<{ quick_check: string }>('PRAGMA quick_check(store_probe)'))
  if (row?.quick_check !== 'ok') throw new Error(`quick_check: ${row?.quick_check ?? 'no answer'}`)
}
