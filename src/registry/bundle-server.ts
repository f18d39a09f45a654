// An aggregate in the shape of a server, so that sessions and records know it as they know any other.
import type { Bundle } from './bundle.ts'
import type { Server } from './server.ts'

/** The id of plain `/mcp`, which is no bundle: everything that its caller may use. */
const everythingId = `srv_${'mcp'.padStart(26, '0')}`
const everythingName = 'mcp'

/**
 * The server that a bundle is to its callers, or plain `/mcp` where there is none. Its id is the bundle's. Plain `/mcp`
 * is for every signed-in caller, since what it leads to each caller has to be allowed by itself.
 */
export function aggregateServer(bundle?: Bundle): Server {
  return {
    id: bundle?.id ?? everythingId,
    name: bundle?.name ?? everythingName,
    ...(bundle?.description !== undefined && { description: bundle.description }),
    ownerId: bundle?.ownerId ?? '',
    transport: { type: 'aggregate', ...(bundle && { bundle: bundle.id }) },
    auth: { type: 'none' },
    access: bundle?.access ?? 'authenticated',
    ...(bundle?.publicAccountId !== undefined && { publicAccountId: bundle.publicAccountId }),
    sharing: 'session',
    timeouts,
    limits,
    reportCost: false,
    status: 'active',
    createdAtMs: bundle?.createdAtMs ?? 0,
    updatedAtMs: bundle?.updatedAtMs ?? 0,
    revision: bundle?.revision ?? 1,
  }
}

/** Of the aggregate's own answers; a call has those of the member that it goes to. */
const timeouts: Server['timeouts'] = { connectMs: 10_000, callMs: 60_000, idleMs: 1_800_000 }
const limits: Server['limits'] = { maxResponseBytes: 268_435_456, maxConnections: 64, maxSessions: 100_000 }
