// Everything of identity/ over a real store, wired as the program wires it, with a clock that tests move.
import { BrowserSessions } from '../../src/identity/browser-sessions.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ManualClock } from '../../src/base/clock.ts'
import { derivedKeys, Keyring } from '../../src/base/keyring.ts'
import { silentLog as log } from '../../src/base/log.ts'
import type { Compilable, Database } from '../../src/db/database.ts'
import { migrate } from '../../src/db/migrate.ts'
import { openPostgres } from '../../src/db/postgres.ts'
import { openSqlite } from '../../src/db/sqlite.ts'
import { Authenticator, type AuthenticatorLimits } from '../../src/identity/authenticate.ts'
import { KeyStore } from '../../src/identity/key-store.ts'
import { Keys } from '../../src/identity/keys.ts'
import { Lockout } from '../../src/identity/lockout.ts'
import { LoginStore } from '../../src/identity/login-store.ts'
import { Logins } from '../../src/identity/logins.ts'
import { Passwords } from '../../src/identity/passwords.ts'
import { Revocations } from '../../src/identity/revocations.ts'
import { Tokens } from '../../src/identity/tokens.ts'
import { UserStore } from '../../src/identity/user-store.ts'
import { Users } from '../../src/identity/users.ts'
import { GrantStore } from '../../src/oauth/grant-store.ts'
import { Grants } from '../../src/oauth/grants.ts'
import { startPostgres, type TestPostgres } from './postgres.ts'

export const publicUrl = 'http://gateway.test'
export const password = 'correct horse battery'

/** The store as it is, counting what it is asked. */
class CountingDatabase implements Database {
  reads = 0
  writes = 0
  /** Called before each read goes to the store and after its rows are back. */
  onRead: ((moment: 'before' | 'after') => Promise<void> | void) | undefined
  readonly #inner: Database
  readonly engine: Database['engine']

  constructor(inner: Database) {
    this.#inner = inner
    this.engine = inner.engine
  }

  builder<Tables>() {
    return this.#inner.builder<Tables>()
  }

  async read<Row>(query: Compilable<Row>): Promise<Row[]> {
    this.reads++
    await this.onRead?.('before')
    const rows = await this.#inner.read(query)
    await this.onRead?.('after')
    return rows
  }

  write(...queries: Compilable[]): Promise<number[]> {
    this.writes++
    return this.#inner.write(...queries)
  }

  commit: Database['commit'] = (batch) => this.#inner.commit(batch)
  probe: Database['probe'] = () => this.#inner.probe()
  close: Database['close'] = () => this.#inner.close()
}

export interface IdentityOptions {
  readonly registration?: 'open' | 'closed'
  readonly limits?: Partial<AuthenticatorLimits>
  readonly openAccount?: (account: { accountId: string; userId: string; username: string }) => Compilable[]
}

export const engines = ['sqlite', 'postgres'] as const

/** Identity on one engine: `open` before the tests, `close` after them, `start` for each empty store between. */
export function identityOn(engine: (typeof engines)[number]) {
  let postgres: TestPostgres | undefined
  let databases = 0
  const openEmpty = async (folder: string): Promise<Database> => {
    if (!postgres) return openSqlite({ file: join(folder, 'test.db'), durability: 'process', log })
    const name = `identity_${databases++}`
    await postgres.createDatabase(name)
    return openPostgres({ url: postgres.url(name), durability: 'process', log })
  }
  return {
    open: async () => {
      if (engine === 'postgres') postgres = await startPostgres()
    },
    start: async (options: IdentityOptions = {}) => {
      const folder = mkdtempSync(join(tmpdir(), 'tollbridge-identity-'))
      return startIdentity(await openEmpty(folder), folder, options)
    },
    close: async () => postgres?.stop(),
  }
}

/** Starts identity over an empty store; `stop` closes the store and removes the folder. */
async function startIdentity(store: Database, folder: string, options: IdentityOptions) {
  const database = new CountingDatabase(store)
  await migrate(database, { log })
  const clock = new ManualClock()
  const keyring = new Keyring(derivedKeys(Buffer.from('0123456789abcdef0123456789abcdef')))
  const revocations = new Revocations(log)
  const userStore = new UserStore(database)
  const loginStore = new LoginStore(database)
  const grantStore = new GrantStore(database)
  const passwords = new Passwords()
  const openAccount = options.openAccount ?? (() => [])
  const endGrants = (userId: string, atMs: number) => [grantStore.endOfUser(userId, atMs)]
  const users = new Users({ store: userStore, passwords, revocations, clock, openAccount, endGrants })
  const keys = new Keys({ store: new KeyStore(database), keyring, revocations, clock, log })
  const tokens = new Tokens({
    store: loginStore,
    grants: grantStore,
    keyring,
    clock,
    publicUrl: () => publicUrl,
  })
  const grants = new Grants({
    store: grantStore,
    tokens,
    keyring,
    revocations,
    clock,
    log,
    lifetimeS: 600,
    grantMs: 30 * 86_400_000,
    maxPerUser: 5,
  })
  const limits = options.limits ?? {}
  const browserSessions = new BrowserSessions({ store: loginStore, keyring, clock, lifetimeMs: 43_200_000 })
  const authenticator = new Authenticator({ tokens, keys, browserSessions, revocations, clock, limits })
  const logins = new Logins({
    store: loginStore,
    userStore,
    users,
    passwords,
    tokens,
    keyring,
    lockout: new Lockout(clock),
    revocations,
    clock,
    log,
    registration: options.registration ?? 'open',
  })
  const stop = async () => {
    await database.close()
    rmSync(folder, { recursive: true, force: true })
  }
  const member = (username: string) => users.create({ username, password, roles: ['member'] })
  return {
    folder,
    database,
    clock,
    keyring,
    revocations,
    users,
    keys,
    tokens,
    authenticator,
    browserSessions,
    logins,
    loginStore,
    grantStore,
    grants,
    member,
    stop,
  }
}

export type Identity = Awaited<ReturnType<typeof startIdentity>>
