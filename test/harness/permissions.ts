// Permissions that keep nothing from anybody.
import type { Permissions } from '../../src/policy/permissions.ts'

export const openToAll = {
  restricts: () => false,
  isPermitted: () => true,
  shows: (_caller, _server, { items }) => items.map(() => true),
  findHold: () => undefined,
  findMisfit: () => undefined,
} satisfies Pick<Permissions, 'restricts' | 'isPermitted' | 'shows' | 'findHold' | 'findMisfit'>
