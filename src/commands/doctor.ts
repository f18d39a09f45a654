// `doctor`: one finding for each thing that a gateway needs, without changing any of them.
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { parseMasterSecret } from '../base/master-secret.ts'
import { silentLog } from '../base/log.ts'
import { secretPath } from '../base/secret-file.ts'
import { loadConfig, type Config } from '../config/config.ts'
import type { ConfigFlags } from '../config/leaves.ts'
import { readSchemaState } from '../db/migrate.ts'
import { openStore, sqliteFile } from '../db/open.ts'

export interface Finding {
  readonly name: 'node' | 'config' | 'data' | 'secret' | 'port' | 'adminPort' | 'store'
  readonly ok: boolean
  /** One sentence: what is, and where that is a fault what to do. */
  readonly found: string
}

const minNode = 24

/** All findings. A gateway that runs already is one of them, not a fault. */
export async function examine(
  flags: ConfigFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Finding[]> {
  const config = loadConfig(flags, env)
  const node = examineNode(process.versions.node)
  if ('faults' in config) {
    const faults = config.faults.map(({ where, message }) => fault('config', `${where}: ${message}`))
    return [node, ...faults]
  }
  const running = await isGateway(config)
  return [
    node,
    fine('config', config.warnings.join(' ') || 'no fault'),
    examineData(config.data),
    examineSecret(config),
    await examinePort(config, running),
    ...(await examineAdminPort(config, running)),
    await examineStore(config, running),
  ]
}

const fine = (name: Finding['name'], found: string): Finding => ({ name, ok: true, found })
const fault = (name: Finding['name'], found: string): Finding => ({ name, ok: false, found })

/** Exported for its test. */
export const examineNode = (version: string): Finding =>
  Number(version.split('.')[0]) >= minNode
    ? fine('node', `v${version}`)
    : fault('node', `v${version} is too old; run it through npm, or install Node ${minNode}`)

function examineData(folder: string): Finding {
  const there = existsSync(folder)
  try {
    if (there && !statSync(folder).isDirectory())
      return fault('data', `${folder} is a file; pass another --data`)
    accessSync(there ? folder : firstThere(folder), constants.W_OK)
    return fine('data', there ? `${folder} can be written` : `${folder} will be made`)
  } catch {
    return fault('data', `${folder} cannot be written; change its owner, or pass another --data`)
  }
}

const firstThere = (folder: string): string => (existsSync(folder) ? folder : firstThere(dirname(folder)))

function examineSecret(config: Config): Finding {
  if (config.secretKey) return fine('secret', 'from TOLLBRIDGE_SECRET_KEY')
  const path = secretPath(config.data)
  try {
    if (!existsSync(path)) return fine('secret', `${path} will be made`)
    const mode = statSync(path).mode & 0o777
    if (mode & 0o077) return fault('secret', `${path} can be read by others; run chmod 600 on it`)
    const [line = ''] = readFileSync(path, 'utf8').trim().split('\n')
    const secret = parseMasterSecret(line)
    return 'problem' in secret
      ? fault('secret', `${path}: ${secret.problem}`)
      : fine('secret', `${path} is private`)
  } catch {
    return fault('secret', `${path} cannot be read; change its owner`)
  }
}

async function isGateway({ host, port }: Config): Promise<boolean> {
  if (port === 0) return false
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  const url = `http://${name.includes(':') ? `[${name}]` : name}:${port}/livez`
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) }).catch(() => undefined)
  return response?.ok === true && response.headers.has('x-request-id')
}

async function examinePort(config: Config, running: boolean): Promise<Finding> {
  const where = `${config.host}:${config.port}`
  if (running) return fine('port', `a gateway runs at ${where}`)
  const code = await tryListening(config.port, config.host)
  if (code === undefined) return fine('port', `${where} is free`)
  if (code === 'EADDRINUSE')
    return fault('port', `${where} is in use; stop what listens there, or pass --port`)
  return fault('port', `${where} cannot be listened on (${code}); pass another --host or --port`)
}

/** Nothing where administration has no listener of its own. */
async function examineAdminPort({ admin }: Config, running: boolean): Promise<Finding[]> {
  const { host, port } = admin
  if (port === undefined) return []
  const where = `${host}:${port}`
  const code = running ? undefined : await tryListening(port, host)
  if (code === undefined) return [fine('adminPort', running ? `is ${where}` : `${where} is free`)]
  return [
    fault('adminPort', `${where} cannot be listened on (${code}); set another admin.host or admin.port`),
  ]
}

/** The code of what goes wrong; undefined where nothing does. */
const tryListening = (port: number, host: string): Promise<string | undefined> =>
  new Promise((resolve) => {
    const probe = createServer()
      .once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
      .listen(port, host, () => probe.close(() => resolve(undefined)))
  })

async function examineStore(config: Config, running: boolean): Promise<Finding> {
  const file = sqliteFile(config.data)
  if (config.databaseUrl === undefined) {
    if (!existsSync(file)) return fine('store', `${file} will be made`)
    if (running) return fine('store', `${file} is in use by the gateway that runs`)
  }
  try {
    const { data: dataDir, databaseUrl, durability } = config
    const database = await openStore({ dataDir, databaseUrl, durability, log: silentLog })
    try {
      const { missing, unknown, foreign } = await readSchemaState(database)
      if (unknown.length > 0) return fault('store', 'was made by a newer version; start that one')
      if (foreign.length > 0) return fault('store', 'belongs to another program; pass another database')
      const state = missing.length > 0 ? `${missing.length} steps will be applied at the start` : 'up to date'
      return fine('store', `${database.engine} opens; ${state}`)
    } finally {
      await database.close()
    }
  } catch (error) {
    return fault('store', error instanceof Error ? error.message : String(error))
  }
}
