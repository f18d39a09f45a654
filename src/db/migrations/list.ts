// The schema's steps, in order. Each folder owns the tables of its own steps.
import type { Migration } from '../migration.ts'

export const migrations: readonly Migration[] = []
