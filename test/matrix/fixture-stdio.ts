// The fixture as a program on stdio: `fixture-stdio.ts --revision R --journal FILE`.
import { parseArgs } from 'node:util'
import { serveStdio } from '@modelcontextprotocol/server/stdio'
import type { Transport } from '@modelcontextprotocol/server'
import { createFixture, handleSubscriptions, journalTo, Updates } from './fixture-server.ts'
import { eraOf, type Revision } from './revisions.ts'

/** Serves one connection of a revision, over stdio or over what is given. */
export function serveConnection(
  revision: Revision,
  {
    journal,
    updates,
    transport,
  }: { journal: (line: string) => void; updates: Updates; transport?: Transport },
): void {
  const modern = eraOf(revision) === 'modern'
  const outside = { journal, updated: (uri: string) => updates.publish(uri) }
  serveStdio(
    () => {
      const server = createFixture(revision, outside)
      if (!modern) handleSubscriptions(server, updates)
      // The modern connection's own filter decides who hears it.
      else
        server.onclose = updates.listen(
          (uri) => void server.sendResourceUpdated({ uri }).catch(() => undefined),
        )
      return server
    },
    { legacy: modern ? 'reject' : 'serve', ...(transport && { transport }) },
  )
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { revision: { type: 'string' }, journal: { type: 'string' } } })
  const journal = journalTo(values.journal ?? '/dev/null')
  serveConnection(values.revision as Revision, { journal, updates: new Updates() })
  process.stdin.once('end', () => process.exit(0))
}
