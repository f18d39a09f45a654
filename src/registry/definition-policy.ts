// What is held back of a server's tools until somebody approves how they are described.
import type { Server } from './server.ts'

export const definitionFlagKinds = [
  'hidden-characters',
  'control-characters',
  'instructions',
  'remote-reference',
  'look-alike-name',
  'names-other-server',
  'too-large',
] as const
export type DefinitionFlagKind = (typeof definitionFlagKinds)[number]

/**
 * `off`: definitions are not compared. `changes`: what is seen first counts as approved, and what changes is held back.
 * `all`: what is new is held back, too.
 */
export const approvals = ['off', 'changes', 'all'] as const

export interface DefinitionPolicy {
  readonly approval: (typeof approvals)[number]
  /** Definitions with one of these flags are held back until they are approved. */
  readonly hold: readonly DefinitionFlagKind[]
}

/** A schema that leads elsewhere, or that is a load for whoever reads it, is nothing that a client should have to expect. */
export const usualDefinitionPolicy: DefinitionPolicy = {
  approval: 'off',
  hold: ['remote-reference', 'too-large'],
}

export const definitionPolicyOf = ({ definitions }: Pick<Server, 'definitions'>): DefinitionPolicy =>
  definitions ?? usualDefinitionPolicy
