// The fixture's processes for a test run: one for the network, and how stdio ones are started; with their journal.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Destination } from './conversation.ts'
import { Journal } from './journal.ts'
import type { Revision, Side } from './revisions.ts'

export interface Fixture {
  readonly journal: Journal
  /** Straight to the fixture. */
  destination(revision: Revision): Destination
  /** As it is registered with the gateway. */
  registration(side: Side): object
  stop(): Promise<void>
}

const program = (name: string): string => join(import.meta.dirname, name)

export async function startFixture(): Promise<Fixture> {
  const folder = mkdtempSync(join(tmpdir(), 'matrix-'))
  const journal = new Journal(join(folder, 'journal'))
  const child = spawn(process.execPath, [program('fixture-network.ts'), '--journal', journal.path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  let base = ''
  for await (const line of createInterface(child.stdout)) {
    base = /^ready (\S+)$/.exec(line)?.[1] ?? ''
    if (base !== '') break
  }
  if (base === '') throw new Error('the fixture did not start')
  const stdio = (revision: Revision): string[] => [
    program('fixture-stdio.ts'),
    '--revision',
    revision,
    '--journal',
    journal.path,
  ]
  const destination = (revision: Revision): Destination => ({
    streamableHttp: `${base}/${revision}/mcp`,
    sse: `${base}/${revision}/sse`,
    websocket: `${base.replace('http', 'ws')}/${revision}/ws`,
    stdio: [process.execPath, ...stdio(revision)],
    headers: {},
  })
  return {
    journal,
    destination,
    registration({ transport, revision }) {
      if (transport === 'stdio') return { type: 'stdio', command: process.execPath, args: stdio(revision) }
      const { streamableHttp, sse, websocket } = destination(revision)
      return { type: transport, url: { 'streamable-http': streamableHttp, sse, websocket }[transport] }
    },
    async stop() {
      child.stdin.end()
      child.kill('SIGTERM')
      await ended
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
