// Tables of outbox/: who is told of events, events that are not dealt out yet, and what is to be delivered.
import type { Migration } from '../migration.ts'

/**
 * `position` is the last usage record that was turned into deliveries, absent where calls are not asked for; `waiting`
 * lists the ids before it whose calls had not ended. `outbox_event` is written with the change that it tells of, and
 * its row goes when the event has become deliveries. `body` of a delivery goes when it has arrived.
 */
export const outboxTables: Migration = {
  name: '0018-outbox',
  statements: ({ integer, strict }) => [
    `CREATE TABLE webhook (
      id TEXT PRIMARY KEY, name TEXT, url TEXT NOT NULL, format TEXT NOT NULL, settings TEXT NOT NULL,
      secret TEXT, former_secret TEXT, former_until ${integer}, active ${integer} NOT NULL, disabled_reason TEXT,
      position ${integer}, waiting TEXT NOT NULL, created_by TEXT NOT NULL, created_at ${integer} NOT NULL,
      updated_at ${integer} NOT NULL)${strict}`,
    `CREATE TABLE outbox_event (
      id TEXT PRIMARY KEY, kind TEXT NOT NULL, account TEXT NOT NULL, body TEXT NOT NULL,
      at ${integer} NOT NULL)${strict}`,
    `CREATE TABLE webhook_delivery (
      webhook TEXT NOT NULL REFERENCES webhook(id), id TEXT NOT NULL, kind TEXT NOT NULL, events ${integer} NOT NULL,
      body TEXT, state TEXT NOT NULL, created_at ${integer} NOT NULL, next_at ${integer} NOT NULL,
      attempts ${integer} NOT NULL, first_at ${integer}, last_at ${integer}, last_status ${integer}, last_error TEXT,
      PRIMARY KEY (webhook, id))${strict}`,
    `CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook, state, next_at)`,
  ],
}
