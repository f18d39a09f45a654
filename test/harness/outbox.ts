// Webhooks over the money of a harness, with short pauses.
import { buildOutbox } from '../../src/assembly/outbox.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { Lifecycle } from '../../src/base/lifecycle.ts'
import { silentLog as log } from '../../src/base/log.ts'
import { MetricRegistry } from '../../src/http/metric.ts'
import { Egress } from '../../src/upstreams/egress.ts'

type Parts = Pick<
  Parameters<typeof buildOutbox>[0],
  'db' | 'clock' | 'queries' | 'openCalls' | 'settled' | 'writer'
>

export const openOutbox = ({ db, clock, queries, openCalls, settled, writer }: Parts) =>
  buildOutbox({
    db,
    clock,
    queries,
    openCalls,
    settled,
    writer,
    config: { webhooks: { timeoutMs: 1000, retryMs: 20, giveUpMs: 2000 } },
    egress: new Egress(['loopback']),
    keyring: new Keyring(derivedKeys(Buffer.alloc(32, 7))),
    log,
    metrics: { registry: new MetricRegistry() },
    lifecycle: new Lifecycle(log),
    publicUrl: () => 'http://gateway.test',
  })
