// Who is behind an aggregate, for a caller: what the caller may use of the servers, or of a bundle of them.
import type { Aggregates } from '../bridges/aggregate/routes.ts'
import type { Principal } from '../identity/principal.ts'
import { mayUse } from '../policy/access.ts'
import { builtInName } from '../base/built-in-name.ts'
import { builtInServer } from '../registry/built-in-server.ts'
import type { Permissions } from '../policy/permissions.ts'
import type { Bundle, Member, Noun } from '../registry/bundle.ts'
import type { Bundles } from '../registry/bundles.ts'
import type { Server } from '../registry/server.ts'
import type { Registry } from '../registry/servers.ts'

/** The same rule as for a server by itself; one that is switched off is not there. */
export function aggregatesOf({
  registry,
  bundles,
  permissions,
}: {
  registry: Registry
  bundles: Bundles
  permissions: Permissions
}): Aggregates<Principal> {
  /** With what is kept from the caller. */
  const guarded = (member: Member, caller: Principal): Member => {
    const { server } = member
    return {
      ...member,
      shows: (noun, key, items) => permissions.shows(caller, server, { noun, key, items }),
      ...(permissions.restricts(server) && {
        isPermitted: (kind: Noun, item: string) => permissions.isPermitted(caller, server, { kind, item }),
      }),
    }
  }
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
    members: (aggregate, caller) =>
      all(aggregate)
        .filter(({ server }) => isUsable(server, caller))
        .map((member) => guarded(member, caller)),
    findMember: (aggregate, caller, serverName) => {
      const isOwn = serverName === builtInName && isEverything(aggregate)
      const server = isOwn ? builtInServer : registry.findByName(serverName)
      if (!server || !isUsable(server, caller)) return undefined
      if (isEverything(aggregate)) return guarded({ server }, caller)
      const member = all(aggregate).find((each) => each.server.id === server.id)
      return member && guarded(member, caller)
    },
    onChange: (listener) => {
      const ends = [registry.onChange(listener), bundles.onChange(listener), permissions.onChange(listener)]
      return () => {
        for (const end of ends) end()
      }
    },
  }
}
