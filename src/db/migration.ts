// One step of the schema, written once for both engines.

/** The few words that differ between the engines. */
export interface Dialect {
  readonly engine: 'sqlite' | 'postgres'
  /** 64-bit integer. */
  readonly integer: 'INTEGER' | 'BIGINT'
  readonly blob: 'BLOB' | 'BYTEA'
  /** Ends a CREATE TABLE: makes SQLite check types; nothing on PostgreSQL. */
  readonly strict: ' STRICT' | ''
}

/** Applied once, in the order of the list in `migrations/list.ts`; never changed after a release. */
export interface Migration {
  /** For example `0001-identity`. */
  readonly name: string
  statements(dialect: Dialect): string[]
}
