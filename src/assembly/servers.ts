// Builds what reaches upstreams: the registry, the ways to the servers, and their catalogues.
import manifest from '../../package.json' with { type: 'json' }
import { type Clock } from '../base/clock.ts'
import { Keyring } from '../base/keyring.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import { type Log } from '../base/log.ts'
import { buildConsents } from './consents.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import { demoCommand } from '../demo/sample-command.ts'
import { Ledger } from '../ledger/ledger.ts'
import { NamedSecrets } from '../references/named-secrets.ts'
import { Bundles } from '../registry/bundles.ts'
import { BundleStore } from '../registry/bundle-store.ts'
import { Endpoints } from '../registry/endpoints.ts'
import { Registry } from '../registry/servers.ts'
import { ServerStore } from '../registry/store.ts'
import { SeenEras } from '../upstreams/seen-eras.ts'
import { ChildWatch } from '../upstreams/child-watch.ts'
import { Catalogues } from '../upstreams/catalogue.ts'
import { Egress } from '../upstreams/egress.ts'
import { Upstreams } from '../upstreams/pool.ts'

interface ServerParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly clock: Clock
  readonly log: Log
  readonly keyring: Keyring
  readonly ledger: Ledger
  readonly lifecycle: Lifecycle
  readonly publicUrl: () => string
}

/** The registered servers, the ways to them, and what they offer. */
export async function buildServers(parts: ServerParts) {
  const { config, db, clock, log, keyring, ledger, lifecycle, publicUrl } = parts
  const egress = new Egress(config.egress.allow)
  const secrets = new NamedSecrets({
    secrets: config.secrets,
    variables: config.secretVariables,
    environment: config.childEnvironment,
    clock,
    log,
  })
  const endCommands = () => secrets.close()
  process.on('exit', endCommands)
  lifecycle.onStop('secrets', () => {
    secrets.close()
    process.off('exit', endCommands)
  })
  const registry = new Registry({
    store: new ServerStore(db, keyring),
    rules: {
      stdioAllow: config.demo ? [...config.stdio.allow, demoCommand] : config.stdio.allow,
      checkUrl: (url) => egress.checkUrl(url),
      secretProblem: (secret, server) => secrets.problem(secret, server),
    },
    clock,
    log,
    accountExists: (id) => ledger.findAccount(id) !== undefined,
  })
  await registry.load()
  const bundles = new Bundles({
    store: new BundleStore(db),
    registry,
    clock,
    log,
    accountExists: (id) => ledger.findAccount(id) !== undefined,
  })
  await bundles.load()
  lifecycle.onStop('registry', () => registry.close())
  const { userTokens, consents } = await buildConsents({
    db,
    log,
    keyring,
    egress,
    registry,
    publicUrl,
    secrets,
  })
  const upstreams = new Upstreams({
    egress,
    clock,
    environment: config.childEnvironment,
    userTokens,
    secrets,
    childWatch: new ChildWatch({
      maxMemoryBytes: config.stdio.maxMemoryMib * 1024 * 1024,
      maxProcesses: config.stdio.maxProcesses,
    }),
    identity: {
      clock,
      issuer: publicUrl,
      key: () => ({ privateKey: keyring.signingKey, kid: keyring.publicJwk.kid }),
    },
  })
  registry.onChange((change) => upstreams.onServerChange(change))
  const killAllNow = () => upstreams.killAllNow()
  process.on('exit', killAllNow)
  lifecycle.onStop('upstreams', async () => {
    await upstreams.closeAll()
    process.off('exit', killAllNow)
  })
  const catalogues = new Catalogues({
    upstreams,
    clock,
    version: manifest.version,
  })
  const seenEras = new SeenEras()
  catalogues.onHandshake((server, { ok, era, error }) => {
    if (era) seenEras.note(server, era)
    if (ok) registry.recordSuccess(server.id)
    else if (error) registry.recordFailure(server.id, error)
  })
  // A newer revision has a catalogue of its own; only what is gone must be forgotten.
  registry.onChange((change) => {
    if (change.kind !== 'removed') return
    catalogues.invalidate(change.id)
    seenEras.forget(change.id)
  })
  const endpoints = new Endpoints({ registry, bundles })
  return { egress, registry, bundles, endpoints, upstreams, catalogues, seenEras, userTokens, consents }
}
