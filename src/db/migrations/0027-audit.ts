// The tables of audit/: what was done by whom, each row bound to the one before it, and signed marks of the chain.
import type { Migration } from '../migration.ts'

/** `audit_mark` has the head of the chain, checkpoints, and the anchor where older rows were dropped. */
export const auditTables: Migration = {
  name: '0027-audit',
  statements: ({ integer, strict }) => [
    `CREATE TABLE audit_event (
      seq ${integer} PRIMARY KEY, id TEXT NOT NULL UNIQUE, at ${integer} NOT NULL, action TEXT NOT NULL, actor_id TEXT,
      resource_type TEXT, resource_id TEXT, detail TEXT NOT NULL, hash TEXT NOT NULL)${strict}`,
    'CREATE INDEX audit_event_at ON audit_event (at)',
    'CREATE INDEX audit_event_actor ON audit_event (actor_id, seq)',
    'CREATE INDEX audit_event_resource ON audit_event (resource_id, seq)',
    `CREATE TABLE audit_mark (
      name TEXT PRIMARY KEY, seq ${integer} NOT NULL, hash TEXT NOT NULL, at ${integer} NOT NULL,
      mac TEXT NOT NULL)${strict}`,
  ],
}
