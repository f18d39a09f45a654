// Finds the server that a path names, for callers who may see, manage or use it; to all others it is not there.
import { GatewayError } from '../../../base/errors.ts'
import type { Principal } from '../../../identity/principal.ts'
import { mayManage, maySee, mayUse } from '../../../policy/access.ts'
import type { Server } from '../../../registry/server.ts'
import type { Registry } from '../../../registry/servers.ts'

/** The server with this id or name; `not_found` where there is none or the caller may not know of it. */
export function getSeen(registry: Registry, idOrName: string, principal: Principal): Server {
  const server = registry.find(idOrName)
  if (!server || !maySee(server, principal)) throw new GatewayError('not_found')
  return server
}

/** As `getSeen`, and `forbidden` where the caller sees the server but may not manage it. */
export function getManaged(registry: Registry, idOrName: string, principal: Principal): Server {
  const server = getSeen(registry, idOrName, principal)
  if (!mayManage(server, principal))
    throw new GatewayError('forbidden', { detail: 'This server is not yours to manage; ask its owner.' })
  return server
}

/** As `getSeen`; `forbidden` where the caller sees the server but may not use it, `server_inactive` while it is off. */
export function getUsable(registry: Registry, idOrName: string, principal: Principal): Server {
  const server = getSeen(registry, idOrName, principal)
  if (!mayUse(server, principal)) throw new GatewayError('forbidden')
  if (server.status === 'inactive') throw new GatewayError('server_inactive')
  return server
}
