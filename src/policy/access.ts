// Who may use, see and manage a server: one rule for listing and for calling.
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import { may } from './roles.ts'

type Target = Pick<Server, 'name' | 'ownerId' | 'access' | 'transport'>

/**
 * Whether a caller may open sessions with a server and call it. `private`: its owner and administrators;
 * `authenticated`: every signed-in caller; `public`: everyone. A key limited to servers reaches only these.
 * What may not be used is answered as if it did not exist. Plain `/mcp` is for every signed-in caller, whatever their
 * key is limited to: each member has to be allowed by itself.
 */
export function mayUse(server: Target, principal: Principal): boolean {
  if (isEverything(server)) return principal.via !== 'public'
  if (!isInKeyScope(server, principal)) return false
  if (server.access === 'public') return true
  if (principal.via === 'public') return false
  return server.access === 'authenticated' || ownsOrManagesAll(server, principal)
}

/** Whether a caller sees the registration: whoever may use it, and auditors. */
export function maySee(server: Target, principal: Principal): boolean {
  return mayUse(server, principal) || (isInKeyScope(server, principal) && may(principal, 'servers:read-all'))
}

/**
 * Whether a caller may change, test, switch or delete a server: administrators, and its owner while the owner may
 * register servers. A stdio server runs commands on our machine, so it is for those who may register one.
 */
export function mayManage(server: Target, principal: Principal): boolean {
  if (!isInKeyScope(server, principal) || !may(principal, 'servers:register')) return false
  if (server.transport.type === 'stdio' && !may(principal, 'servers:stdio')) return false
  return ownsOrManagesAll(server, principal)
}

const isEverything = ({ transport }: Target): boolean =>
  transport.type === 'aggregate' && transport.bundle === undefined

const isInKeyScope = (server: Target, principal: Principal): boolean =>
  principal.servers === undefined || principal.servers.includes(server.name)

const ownsOrManagesAll = (server: Target, principal: Principal): boolean =>
  server.ownerId === principal.userId || may(principal, 'servers:manage-all')
