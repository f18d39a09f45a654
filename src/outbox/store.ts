// Webhooks and their deliveries at rest.
import { sql } from 'kysely'
import type { Compilable, Database } from '../db/database.ts'
import type {
  Delivery,
  DeliveryState,
  DueDelivery,
  EventKind,
  NewDelivery,
  Position,
  SealedSecrets,
  StoredWebhook,
  Webhook,
  WebhookFormat,
} from './webhook.ts'

interface WebhookRow {
  id: string
  name: string | null
  url: string
  format: WebhookFormat
  settings: string
  secret: string | null
  former_secret: string | null
  former_until: bigint | null
  active: bigint
  disabled_reason: string | null
  position: bigint | null
  waiting: string
  created_by: string
  created_at: bigint
  updated_at: bigint
}

interface DeliveryRow {
  webhook: string
  id: string
  kind: EventKind
  events: bigint
  body: string | null
  state: DeliveryState
  created_at: bigint
  next_at: bigint
  attempts: bigint
  first_at: bigint | null
  last_at: bigint | null
  last_status: bigint | null
  last_error: string | null
}

interface Tables {
  webhook: WebhookRow
  webhook_delivery: DeliveryRow
}

/** Rows in one statement: PostgreSQL and SQLite bound the number of parameters. */
const rowsAtOnce = 500
const triedOften = 6n
const hurriedMs = 10 * 60_000

export class WebhookStore {
  readonly #db: Database
  readonly #sql

  constructor(db: Database) {
    this.#db = db
    this.#sql = db.builder<Tables>()
  }

  async load(): Promise<StoredWebhook[]> {
    const rows = await this.#db.read(this.#sql.selectFrom('webhook').selectAll().orderBy('id'))
    return rows.map(toStored)
  }

  async insert({ webhook, secrets, position }: StoredWebhook): Promise<void> {
    const row = {
      ...webhookRow(webhook, secrets),
      id: webhook.id,
      created_by: webhook.createdBy,
      created_at: BigInt(webhook.createdAtMs),
      ...positionRow(position),
    }
    await this.#db.write(this.#sql.insertInto('webhook').values(row))
  }

  async update({ webhook, secrets, position }: StoredWebhook): Promise<void> {
    const row = { ...webhookRow(webhook, secrets), ...positionRow(position) }
    await this.#db.write(this.#sql.updateTable('webhook').set(row).where('id', '=', webhook.id))
  }

  async delete(id: string): Promise<void> {
    await this.#db.write(
      this.#sql.deleteFrom('webhook_delivery').where('webhook', '=', id),
      this.#sql.deleteFrom('webhook').where('id', '=', id),
    )
  }

  /** New deliveries and how far they reach, together or not at all. One that is there already stays as it is. */
  async advance(webhookId: string, deliveries: readonly NewDelivery[], position: Position): Promise<void> {
    const move = this.#sql.updateTable('webhook').set(positionRow(position)).where('id', '=', webhookId)
    await this.#db.write(...this.addDeliveries(webhookId, deliveries), move)
  }

  /** Commits statements of `addDeliveries` with others. */
  async write(...statements: Compilable[]): Promise<void> {
    await this.#db.write(...statements)
  }

  addDeliveries(webhookId: string, deliveries: readonly NewDelivery[]): Compilable[] {
    const rows = deliveries.map(({ id, kind, events, body, createdAtMs }) => ({
      webhook: webhookId,
      id,
      kind,
      events: BigInt(events),
      body,
      state: 'pending' as const,
      created_at: BigInt(createdAtMs),
      next_at: 0n,
      attempts: 0n,
    }))
    const statements: Compilable[] = []
    for (let start = 0; start < rows.length; start += rowsAtOnce) {
      const insert = this.#sql.insertInto('webhook_delivery').values(rows.slice(start, start + rowsAtOnce))
      statements.push(insert.onConflict((conflict) => conflict.columns(['webhook', 'id']).doNothing()))
    }
    return statements
  }

  /** How many deliveries wait, and since when the oldest of their events has. */
  async queue(webhookId: string): Promise<{ pending: number; oldestMs: number | undefined }> {
    const query = this.#sql
      .selectFrom('webhook_delivery')
      .select((e) => [e.fn.countAll<bigint>().as('pending'), e.fn.min('created_at').as('oldest')])
      .where('webhook', '=', webhookId)
      .where('state', '=', 'pending')
    const [row] = (await this.#db.read(query)) as { pending: bigint; oldest: bigint | null }[]
    return {
      pending: Number(row?.pending ?? 0),
      oldestMs: row?.oldest == null ? undefined : Number(row.oldest),
    }
  }

  /** Deliveries whose time has come, the longest due first. */
  async due(webhookId: string, nowMs: number, limit: number): Promise<DueDelivery[]> {
    const query = this.#sql
      .selectFrom('webhook_delivery')
      .selectAll()
      .where('webhook', '=', webhookId)
      .where('state', '=', 'pending')
      .where('next_at', '<=', BigInt(nowMs))
    const rows = await this.#db.read(query.orderBy('next_at').orderBy('id').limit(limit))
    return rows.map((row) => ({ ...toDelivery(row), body: row.body ?? '' }))
  }

  /** When the next delivery is due. */
  async nextAt(webhookId: string): Promise<number | undefined> {
    const query = this.#sql
      .selectFrom('webhook_delivery')
      .select((e) => e.fn.min('next_at').as('next'))
      .where('webhook', '=', webhookId)
      .where('state', '=', 'pending')
    const [row] = (await this.#db.read(query)) as { next: bigint | null }[]
    return row?.next == null ? undefined : Number(row.next)
  }

  /** What became of attempts; the body of what has arrived goes. */
  async record(webhookId: string, deliveries: readonly Delivery[]): Promise<void> {
    await this.#db.write(
      ...deliveries.map((delivery) =>
        this.#sql
          .updateTable('webhook_delivery')
          .set({
            state: delivery.state,
            attempts: BigInt(delivery.attempts),
            next_at: BigInt(delivery.nextAtMs),
            first_at: optional(delivery.firstAtMs),
            last_at: optional(delivery.lastAtMs),
            last_status: optional(delivery.lastStatus),
            last_error: delivery.lastError ?? null,
            ...(delivery.state === 'delivered' && { body: null }),
          })
          .where('webhook', '=', webhookId)
          .where('id', '=', delivery.id),
      ),
    )
  }

  /**
   * What waits for its next attempt may have it now; what was tried often already, in ten minutes at the latest: it may be
   * that the receiver takes everything but this.
   */
  async hurry(webhookId: string, nowMs: number): Promise<void> {
    const soon = BigInt(nowMs + hurriedMs)
    const waiting = this.#sql
      .updateTable('webhook_delivery')
      .where('webhook', '=', webhookId)
      .where('state', '=', 'pending')
    await this.#db.write(
      waiting.set({ next_at: 0n }).where('attempts', '<', triedOften),
      waiting.set({ next_at: soon }).where('attempts', '>=', triedOften).where('next_at', '>', soon),
    )
  }

  /** Dead deliveries, or the named one, begin anew; what waits is tried now. Returns how many. */
  async revive(webhookId: string, id?: string): Promise<number> {
    let change = this.#sql
      .updateTable('webhook_delivery')
      .set({ state: 'pending', attempts: 0n, next_at: 0n, first_at: null })
      .where('webhook', '=', webhookId)
      .where('state', '<>', 'delivered')
    change = id === undefined ? change.where('state', '=', 'dead') : change.where('id', '=', id)
    const [changed = 0] = await this.#db.write(change)
    return changed
  }

  /** Newest first, at most `limit` of those older than the delivery `before`. */
  async list(
    webhookId: string,
    page: {
      readonly limit: number
      readonly before?: string | undefined
      readonly state?: DeliveryState | undefined
    },
  ): Promise<Delivery[]> {
    let query = this.#sql.selectFrom('webhook_delivery').selectAll().where('webhook', '=', webhookId)
    if (page.state !== undefined) query = query.where('state', '=', page.state)
    if (page.before !== undefined) query = query.where('id', '<', page.before)
    return (await this.#db.read(query.orderBy('id', 'desc').limit(page.limit))).map(toDelivery)
  }

  /** Forgets delivered ones but the newest `keep`, and dead ones from before a time. */
  async prune(
    webhookId: string,
    { keep, deadBeforeMs }: { keep: number; deadBeforeMs: number },
  ): Promise<void> {
    const mine = this.#sql.deleteFrom('webhook_delivery').where('webhook', '=', webhookId)
    const statements: Compilable[] = [
      mine.where('state', '=', 'dead').where('last_at', '<', BigInt(deadBeforeMs)),
    ]
    const query = this.#sql
      .selectFrom('webhook_delivery')
      .select('id')
      .where('webhook', '=', webhookId)
      .where('state', '=', 'delivered')
    const [last] = await this.#db.read(query.orderBy('id', 'desc').limit(1).offset(keep))
    if (last) statements.push(mine.where('state', '=', 'delivered').where('id', '<=', last.id))
    await this.#db.write(...statements)
  }

  /** The furthest that any webhook has read. */
  async furthest(): Promise<bigint> {
    const query = this.#sql.selectFrom('webhook').select(sql<bigint | null>`max(position)`.as('position'))
    const [row] = await this.#db.read(query)
    return row?.position ?? 0n
  }
}

const optional = (value: number | undefined): bigint | null => (value === undefined ? null : BigInt(value))

const positionRow = (position: Position | undefined) => ({
  position: position ? position.cursor : null,
  waiting: JSON.stringify(position?.waiting.map(String) ?? []),
})

function webhookRow(webhook: Webhook, { current, former }: SealedSecrets) {
  const { kinds, batch, stripe } = webhook
  return {
    name: webhook.name ?? null,
    url: webhook.url,
    format: webhook.format,
    settings: JSON.stringify({ kinds, batch, stripe }),
    secret: current ?? null,
    former_secret: former?.sealed ?? null,
    former_until: optional(former?.untilMs),
    active: webhook.active ? 1n : 0n,
    disabled_reason: webhook.disabledReason ?? null,
    updated_at: BigInt(webhook.updatedAtMs),
  }
}

function toStored(row: WebhookRow): StoredWebhook {
  const settings = JSON.parse(row.settings) as Pick<Webhook, 'kinds' | 'batch' | 'stripe'>
  const webhook: Webhook = {
    id: row.id,
    url: row.url,
    format: row.format,
    ...settings,
    active: row.active !== 0n,
    createdBy: row.created_by,
    createdAtMs: Number(row.created_at),
    updatedAtMs: Number(row.updated_at),
    ...(row.name !== null && { name: row.name }),
    ...(row.disabled_reason !== null && { disabledReason: row.disabled_reason }),
  }
  const secrets: SealedSecrets = {
    ...(row.secret !== null && { current: row.secret }),
    ...(row.former_secret !== null && {
      former: { sealed: row.former_secret, untilMs: Number(row.former_until ?? 0n) },
    }),
  }
  if (row.position === null) return { webhook, secrets }
  const waiting = (JSON.parse(row.waiting) as string[]).map(BigInt)
  return { webhook, secrets, position: { cursor: row.position, waiting } }
}

const toDelivery = (row: DeliveryRow): Delivery => ({
  id: row.id,
  kind: row.kind,
  events: Number(row.events),
  state: row.state,
  createdAtMs: Number(row.created_at),
  nextAtMs: Number(row.next_at),
  attempts: Number(row.attempts),
  ...(row.first_at !== null && { firstAtMs: Number(row.first_at) }),
  ...(row.last_at !== null && { lastAtMs: Number(row.last_at) }),
  ...(row.last_status !== null && { lastStatus: Number(row.last_status) }),
  ...(row.last_error !== null && { lastError: row.last_error }),
})
