// What sessions/ keeps of sessions and of the events of their streams, so that both go on after a restart.
import type { Migration } from '../migration.ts'

/**
 * Of a session's token there is only a hash, and the server's own session id is sealed. `client` is JSON. A row of
 * `kept_event` names the event before it in its stream, so that a gap is seen; an empty frame is an event that was
 * lost. Times in milliseconds.
 */
export const resumptionTables: Migration = {
  name: '0010-resumption',
  statements: ({ integer, blob, strict }) => [
    'ALTER TABLE session ADD COLUMN token_hash TEXT',
    'ALTER TABLE session ADD COLUMN login_id TEXT',
    `ALTER TABLE session ADD COLUMN ephemeral ${integer}`,
    'ALTER TABLE session ADD COLUMN client TEXT',
    `ALTER TABLE session ADD COLUMN idle_ms ${integer}`,
    'ALTER TABLE session ADD COLUMN way TEXT',
    'ALTER TABLE session ADD COLUMN protocol_version TEXT',
    `ALTER TABLE session ADD COLUMN initialize_body ${blob}`,
    'ALTER TABLE session ADD COLUMN upstream_session TEXT',
    `CREATE TABLE kept_event (
      session_id TEXT NOT NULL, stream TEXT NOT NULL, seq ${integer} NOT NULL, previous ${integer} NOT NULL,
      at ${integer} NOT NULL, request_id TEXT, last ${integer} NOT NULL, frame ${blob} NOT NULL,
      PRIMARY KEY (session_id, stream, seq))${strict}`,
  ],
}
