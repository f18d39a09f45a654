// Builds the gateway's own MCP server: which tools it has, and what they may see.
import manifest from '../../package.json' with { type: 'json' }
import type { Clock } from '../base/clock.ts'
import { getBalance } from '../built-in/get-balance.ts'
import { getPrice } from '../built-in/get-price.ts'
import { getUsage } from '../built-in/get-usage.ts'
import { listServers } from '../built-in/list-servers.ts'
import { BuiltInWay } from '../built-in/way.ts'
import type { Principal } from '../identity/principal.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { mayUse } from '../policy/access.ts'
import { builtInName } from '../base/built-in-name.ts'
import { builtInServer } from '../registry/built-in-server.ts'
import { aggregateServer } from '../registry/bundle-server.ts'
import type { Bundles } from '../registry/bundles.ts'
import type { Server } from '../registry/server.ts'
import type { Registry } from '../registry/servers.ts'
import type { PriceTags } from '../sessions/price-tags.ts'
import type { TopUpLinks } from '../sessions/top-up-links.ts'
import type { Upstream } from '../upstreams/upstream.ts'
import type { UsageQueries } from '../usage/queries.ts'

interface BuiltInParts {
  readonly clock: Clock
  readonly ledger: Ledger
  readonly queries: UsageQueries
  readonly registry: Registry
  readonly bundles: Bundles
  readonly priceTags: PriceTags
  readonly topUpLinks: TopUpLinks | undefined
  readonly publicUrl: () => string
}

const maxBundles = 1000

/** The way to the built-in server for one caller. */
export function buildBuiltIn(parts: BuiltInParts): (caller: Principal) => Upstream {
  const { clock, ledger, queries, registry, bundles, priceTags, topUpLinks, publicUrl } = parts
  const isUsable = (server: Server, caller: Principal) => mayUse(server, caller)
  const tools = [
    getBalance({
      ledger,
      topUpUrl: (accountId, currency) => topUpLinks?.urlFor(accountId, { currency }),
    }),
    getUsage({ ledger, queries, clock }),
    getPrice({
      priceTags,
      findServer: (name, caller) => {
        const server = name === builtInName ? builtInServer : registry.findByName(name)
        return server && isUsable(server, caller) ? server : undefined
      },
    }),
    listServers({
      listServers: (caller) =>
        [
          builtInServer,
          ...registry.all(),
          ...bundles
            .list({ limit: maxBundles, after: undefined, visible: () => true })
            .map((bundle) => aggregateServer(bundle)),
        ].filter((server) => isUsable(server, caller)),
      publicUrl,
    }),
  ]
  return (caller) => new BuiltInWay({ tools, caller, version: manifest.version })
}
