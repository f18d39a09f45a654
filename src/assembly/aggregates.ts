// Who is behind an aggregate, for a caller: what the caller may use of the servers, or of a bundle of them.
import type { Aggregates } from '../bridges/aggregate/routes.ts'
import type { Principal } from '../identity/principal.ts'
import { mayUse } from '../policy/access.ts'
import { builtInName } from '../base/built-in-name.ts'
import { builtInServer } from '../registry/built-in-server.ts'
import type { Bundle, Member } from '../registry/bundle.ts'
import type { Bundles } from '../registry/bundles.ts'
import type { Server } from '../registry/server.ts'
import type { Registry } from '../registry/servers.ts'

/** The same rule as for a server by itself; one that is switched off is not there. */
export function aggregatesOf({
  registry,
  bundles,
}: {
  registry: Registry
  bundles: Bundles
}): Aggregates<Principal> {
  const isUsable = (server: Server, caller: Principal): boolean =>
    server.status !== 'inactive' && mayUse(server, caller)
  const bundleOf = ({ transport }: Server): Bundle | undefined =>
    transport.type === 'aggregate' && transport.bundle !== undefined
      ? bundles.findById(transport.bundle)
      : undefined
  const isEverything = ({ transport }: Server): boolean =>
    transport.type === 'aggregate' && transport.bundle === undefined
  const all = (aggregate: Server): readonly Member[] => {
    if (isEverything(aggregate)) return [...registry.all(), builtInServer].map((server) => ({ server }))
    const bundle = bundleOf(aggregate)
    return bundle ? bundles.membersOf(bundle) : []
  }
  return {
    members: (aggregate, caller) => all(aggregate).filter(({ server }) => isUsable(server, caller)),
    findMember: (aggregate, caller, serverName) => {
      const isOwn = serverName === builtInName && isEverything(aggregate)
      const server = isOwn ? builtInServer : registry.findByName(serverName)
      if (!server || !isUsable(server, caller)) return undefined
      if (isEverything(aggregate)) return { server }
      return all(aggregate).find((member) => member.server.id === server.id)
    },
    onChange: (listener) => {
      const ends = [registry.onChange(listener), bundles.onChange(listener)]
      return () => {
        for (const end of ends) end()
      }
    },
  }
}
