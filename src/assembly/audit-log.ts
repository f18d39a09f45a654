// Builds the audit log: its writer, the sums of refusals, and what looks after both.
import { formatPlace, type ChainPlace } from '../audit/chain.ts'
import { AuditLog } from '../audit/log.ts'
import { Refusals } from '../audit/refusals.ts'
import { dropOldEvents } from '../audit/retention.ts'
import { AuditStore } from '../audit/store.ts'
import { verifyAudit, type AuditVerification } from '../audit/verify.ts'
import type { Clock } from '../base/clock.ts'
import type { Keyring } from '../base/keyring.ts'
import type { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'

interface AuditParts {
  readonly config: Pick<RunnableConfig, 'audit'>
  readonly db: Database
  readonly keyring: Pick<Keyring, 'auditMac'>
  readonly clock: Clock
  readonly log: Log
  readonly lifecycle: Pick<Lifecycle, 'onStop'>
}

const retryMs = 5000
const hourMs = 3_600_000
const gateway = { actor: { via: 'gateway' }, outcome: 'success' } as const

/** The log goes on until everything that could still write to it has stopped: build it early. */
export function buildAuditLog({ config, db, keyring, clock, log, lifecycle }: AuditParts) {
  const store = new AuditStore(db)
  const mac = (text: string) => keyring.auditMac(text)
  const audit = new AuditLog({ store, mac, clock, log })
  const refusals = new Refusals({ log: audit, clock })
  const retry = setInterval(() => {
    // Whoever asks next is told; until then the log says it.
    if (audit.isBehind) audit.flush().catch(() => {})
  }, retryMs)
  const drop = () =>
    dropOldEvents({ store, mac, clock, days: config.audit.days }).catch((err: unknown) =>
      log.warn({ err }, 'old events of the audit log could not be dropped'),
    )
  const dropping = setInterval(() => void drop(), hourMs)
  audit.note({ action: 'gateway.start', ...gateway })
  lifecycle.onStop('audit log', async () => {
    clearInterval(retry)
    clearInterval(dropping)
    refusals.flush()
    audit.note({ action: 'gateway.stop', ...gateway })
    await audit.flush()
    log.info({ head: formatPlace(audit.seen) }, 'the audit log ends here')
  })
  return {
    auditEvents: store,
    audit: { log: audit, refusals },
    verifyAudit: (signal: AbortSignal, expected: readonly ChainPlace[]): Promise<AuditVerification> =>
      verifyAudit({ store, mac, signal, expected: [audit.seen, ...expected] }),
  }
}
