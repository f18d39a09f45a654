// The demo: the official sample server with prices, and a funded account to call it with.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { randomToken } from '../base/id.ts'
import { parseAmount } from '../base/money.ts'
import { assert, GatewayError } from '../base/errors.ts'
import type { Keys } from '../identity/keys.ts'
import type { User } from '../identity/user-store.ts'
import type { Users } from '../identity/users.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { AccessRules } from '../policy/access-rules/access-rules.ts'
import type { Limits } from '../policy/limits/limits.ts'
import type { RuleBook } from '../pricing/rules.ts'
import type { Registry } from '../registry/servers.ts'
import { makePolicy } from './policy.ts'
import { demoCommand } from './sample-command.ts'

export interface DemoParts {
  readonly dataDir: string
  /** Of the people whose month was made before this. */
  readonly password?: string | undefined
  readonly users: Users
  readonly keys: Keys
  readonly ledger: Ledger
  readonly rules: RuleBook
  readonly registry: Registry
  readonly accessRules: AccessRules
  readonly limits: Limits
}

/** What the start prints: where to call and with what. */
export interface Demo {
  readonly server: string
  readonly username: string
  /** An API key of the demo user; the same at every start. */
  readonly key: string
}

const server = 'everything'
const username = 'demo'
/** Decimal string in the accounts' currency. */
const credit = '5'

const keyFileOf = (dataDir: string): string => join(dataDir, 'demo-key')

/** Whether an earlier start has made the demo. */
export const isDemoMade = (dataDir: string): boolean => existsSync(keyFileOf(dataDir))

/** Makes what is missing of the demo; what is there stays as it is, also when it was changed since. */
export async function prepareDemo(parts: DemoParts): Promise<Demo> {
  const keyFile = keyFileOf(parts.dataDir)
  if (isDemoMade(parts.dataDir)) return { server, username, key: readFileSync(keyFile, 'utf8').trim() }
  const user = await createUser(parts.users)
  await parts.ledger.changeAccount(user.accountId, { mode: 'prepaid' })
  const amount = parseAmount(credit)
  assert(amount !== undefined, 'the credit of the demo is a decimal')
  await parts.ledger.grant(user.accountId, { amount, priority: 0, reason: 'demo credit', createdBy: user.id })
  await registerServer(parts.registry, user.id)
  await addPrices(parts.rules, parts.ledger.findAccount(user.accountId)?.currency ?? 'USD')
  const { key } = await parts.keys.create(user.id, { name: 'demo' })
  if (parts.password !== undefined) {
    await makePolicy(parts.accessRules, parts.limits)
    writeFileSync(join(parts.dataDir, 'demo-password'), `${parts.password}\n`, { mode: 0o600 })
  }
  writeFileSync(keyFile, `${key}\n`, { mode: 0o600 })
  return { server, username, key }
}

/** The key file is written last: a user without it is what an interrupted start left. */
async function createUser(users: Users): Promise<User> {
  try {
    return await users.create({ username, password: randomToken(15), roles: ['member'] })
  } catch (cause) {
    if (!(cause instanceof GatewayError) || cause.code !== 'conflict') throw cause
    const detail =
      'There is a user named demo that this demo did not finish; start it with a fresh --data folder.'
    throw new GatewayError('conflict', { detail, cause })
  }
}

async function registerServer(registry: Registry, ownerId: string): Promise<void> {
  if (registry.findByName(server)) return
  const args = [serverPath(), 'stdio']
  const transport = { type: 'stdio', command: demoCommand, args }
  const description = 'The official sample server: echo, sums, images, progress.'
  await registry.create(
    { name: server, description, transport, access: 'authenticated' },
    { ownerId, allowStdio: true },
  )
}

/** Where the sample server was installed; it comes with the development dependencies. */
function serverPath(): string {
  try {
    return createRequire(import.meta.url).resolve('@modelcontextprotocol/server-everything/dist/index.js')
  } catch (cause) {
    const detail = 'The demo needs @modelcontextprotocol/server-everything; run npm install in the clone.'
    throw new GatewayError('unprocessable', { detail, cause })
  }
}

async function addPrices(rules: RuleBook, currency: string): Promise<void> {
  const common = { active: true, currency }
  await rules.create({
    ...common,
    name: 'Demo: tools',
    priority: 0,
    match: { server, tool: '*' },
    price: { perCall: '0.001', perKb: '0.0001' },
  })
  await rules.create({
    ...common,
    name: 'Demo: echo',
    priority: 10,
    match: { server, tool: 'echo' },
    price: { perCall: '0.002' },
  })
  await rules.create({
    ...common,
    name: 'Demo: the rest is free',
    priority: -10,
    match: { server },
    price: { perCall: '0' },
  })
}
