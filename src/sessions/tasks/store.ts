// Whose tasks are whose, kept over restarts: tasks outlive them, and clients come back for their results.
import type { HotRow, HotTable } from '../../db/batch.ts'
import type { Database } from '../../db/database.ts'

interface Tables {
  task_owner: { server: string; task: string; user_id: string; started_at: bigint }
}

/** Who started a task at a server; commits with the record of the call that started it. */
export interface TaskOwner {
  readonly serverId: string
  readonly taskId: string
  readonly userId: string
  readonly startedAtMs: number
}

/** Deleted in one commit: records of calls wait behind it. */
const rowsAtOnce = 500

const ownerTable: HotTable = {
  name: 'task_owner',
  mode: 'once',
  keys: ['server', 'task'],
  columns: { server: 'text', task: 'text', user_id: 'text', started_at: 'integer' },
}

export const taskOwnerRow = ({ serverId, taskId, userId, startedAtMs }: TaskOwner): HotRow => ({
  table: ownerTable,
  values: [serverId, taskId, userId, startedAtMs],
})

export class TaskOwnerStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  /** Those that started since, oldest first. */
  async list(sinceMs: number): Promise<TaskOwner[]> {
    const rows = await this.#db.read(
      this.#sql
        .selectFrom('task_owner')
        .selectAll()
        .where('started_at', '>=', BigInt(sinceMs))
        .orderBy('started_at'),
    )
    return rows.map(({ server, task, user_id: userId, started_at: startedAt }) => ({
      serverId: server,
      taskId: task,
      userId,
      startedAtMs: Number(startedAt),
    }))
  }

  /** Forgets those that started before, a few at a time. */
  async dropBefore(beforeMs: number): Promise<void> {
    for (;;) {
      const before = BigInt(beforeMs)
      const rows = await this.#db.read(
        this.#sql
          .selectFrom('task_owner')
          .select('started_at')
          .where('started_at', '<', before)
          .orderBy('started_at')
          .limit(rowsAtOnce),
      )
      const last = rows.at(-1)?.started_at
      if (last === undefined) return
      await this.#db.write(this.#sql.deleteFrom('task_owner').where('started_at', '<=', last))
    }
  }
}
