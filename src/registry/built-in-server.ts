// The gateway's own MCP server in the shape of a registered one, so that sessions and records know it as any other.
import { builtInName } from '../base/built-in-name.ts'
import type { Server } from './server.ts'

const builtInId = `srv_${builtInName.padStart(26, '0')}`

/** It tells each signed-in caller of their own account, and of nothing else. It is never registered. */
export const builtInServer: Server = {
  id: builtInId,
  name: builtInName,
  description: 'What your account has, what your calls cost, and which MCP servers you may use.',
  ownerId: '',
  transport: { type: 'built-in' },
  auth: { type: 'none' },
  access: 'authenticated',
  sharing: 'session',
  timeouts: { connectMs: 10_000, callMs: 60_000, idleMs: 1_800_000 },
  limits: { maxResponseBytes: 1_048_576, maxConnections: 64, maxSessions: 100_000 },
  reportCost: false,
  status: 'active',
  createdAtMs: 0,
  updatedAtMs: 0,
  revision: 1,
}
