// The real gateway with a fault built in: it kills itself at a write of the store that the environment names.
//
// TOLLBRIDGE_TEST_CRASH=before:7 dies when the 7th write or commit is about to start, `during:7` while it runs,
// `after:7` when it is durable and nobody knows yet. Without it nothing happens, and the number of writes is printed
// when the gateway stops. SIGUSR2 collects garbage, so that memory can be compared.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Command } from 'commander'
import type { Kysely } from 'kysely'
import { processIo } from '../../src/commands/io.ts'
import { runGateway } from '../../src/commands/serve.ts'
import { readConfig, withConfigFlags, withSecret } from '../../src/commands/settings.ts'
import type { HotBatch } from '../../src/db/batch.ts'
import type { Compilable, Database } from '../../src/db/database.ts'
import { openStore } from '../../src/db/open.ts'
import { startGateway } from '../../src/main.ts'

const [moment, number] = (process.env['TOLLBRIDGE_TEST_CRASH'] ?? 'never:0').split(':')
const fatalWrite = Number(number)

function die(): never {
  process.kill(process.pid, 'SIGKILL')
  for (;;);
}

/** A store whose nth write or commit is the last thing that this process does. */
class FatalDatabase implements Database {
  readonly #inner: Database
  writes = 0

  constructor(inner: Database) {
    this.#inner = inner
  }

  get engine(): Database['engine'] {
    return this.#inner.engine
  }

  builder<Tables>(): Kysely<Tables> {
    return this.#inner.builder<Tables>()
  }

  read<Row>(query: Compilable<Row>): Promise<Row[]> {
    return this.#inner.read(query)
  }

  write(...queries: Compilable[]): Promise<number[]> {
    return this.#survive(() => this.#inner.write(...queries))
  }

  commit(batch: HotBatch): Promise<void> {
    return this.#survive(() => this.#inner.commit(batch))
  }

  probe(): Promise<void> {
    return this.#inner.probe()
  }

  close(): Promise<void> {
    return this.#inner.close()
  }

  async #survive<Result>(write: () => Promise<Result>): Promise<Result> {
    const isFatal = ++this.writes === fatalWrite
    if (isFatal && moment === 'before') die()
    const result = write()
    // The writing thread has the request by now and is at work on it, or about to be.
    if (isFatal && moment === 'during') setTimeout(die, 1)
    const value = await result
    if (isFatal) die()
    return value
  }
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
process.on('SIGUSR2', () => collectGarbage())

let store: FatalDatabase | undefined
await withConfigFlags(new Command())
  .action(async (flags: Parameters<typeof readConfig>[1]) => {
    const io = processIo()
    const config = withSecret(io, readConfig(io, flags))
    const start = () =>
      startGateway(config, {
        openStore: async (options) => (store = new FatalDatabase(await openStore(options))),
      })
    await runGateway(io, config, { start, signals: process })
  })
  .parseAsync()
console.error(`writes: ${store?.writes ?? 0}`)
