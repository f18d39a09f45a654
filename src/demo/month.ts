// A month of usage for the demo, made by the gateway's own pricing, ledger and budgets under a clock set in the past.
import { extname, join } from 'node:path'
import { buildIdentity } from '../assembly/identity.ts'
import { buildBilling } from '../assembly/invoicing.ts'
import { buildMoney } from '../assembly/money.ts'
import { buildServers } from '../assembly/servers.ts'
import { assert } from '../base/errors.ts'
import { CallIds, randomToken } from '../base/id.ts'
import type { Keyring } from '../base/keyring.ts'
import { Lifecycle } from '../base/lifecycle.ts'
import type { Log } from '../base/log.ts'
import { parseAmount } from '../base/money.ts'
import { monthOf } from '../base/zone.ts'
import type { RunnableConfig } from '../commands/settings.ts'
import type { Database } from '../db/database.ts'
import type { GatewayMetrics } from '../http/metrics.ts'
import { denied } from '../sessions/charge.ts'
import { Metering } from '../sessions/metering.ts'
import { OpenCalls } from '../usage/open-calls.ts'
import { demoBudgets } from './budgets.ts'
import { callsOfDay, dayMs, type DemoCall } from './calls.ts'
import { actors, type Actor } from './cast.ts'
import { PastClock } from './past-clock.ts'
import { makePrices, raisePrice } from './prices.ts'
import { demoCommand } from './sample-command.ts'
import { sampleTools, tokensKey, type SampleServer } from './sample-tools.ts'

const days = 31
const hourMs = 3_600_000
/** Submitted before their commits are waited for. */
const together = 256

export interface MonthParts {
  readonly config: RunnableConfig
  readonly db: Database
  readonly keyring: Keyring
  readonly metrics: GatewayMetrics
  readonly log: Log
  readonly nowMs: number
}

/** Who was made for the month; the passwords are nobody's but the reader's of the data folder. */
export interface Month {
  /** The administrator's, where it was made now. */
  readonly firstPassword?: string
  /** One for all people of the demo. */
  readonly password: string
}

/**
 * Fills an empty store; one that was used is left alone. Everything that was opened for it is closed again when this
 * resolves.
 */
export async function makeMonth(parts: MonthParts): Promise<Month | undefined> {
  const lifecycle = new Lifecycle(parts.log)
  try {
    const built = await build(parts, lifecycle)
    const isUsed = built.lastRecord !== 0n || (await built.users.find('admin')) !== undefined
    if (isUsed) parts.log.info({}, 'the store was used before: no month of sample usage is made in it')
    return isUsed ? undefined : await new MonthMaker(built).run()
  } finally {
    await lifecycle.stop()
  }
}

/** What happened in the past is no news: of the month only what goes wrong is told. */
const onlyTrouble = (log: Log): Log => ({
  error: (fields, message) => log.error(fields, message),
  warn: (fields, message) => log.warn(fields, message),
  info: () => {},
  debug: () => {},
})

async function build(parts: MonthParts, lifecycle: Lifecycle) {
  const { config, db, keyring, metrics, nowMs } = parts
  const log = onlyTrouble(parts.log)
  const startMs = Math.floor(nowMs / dayMs - days + 1) * dayMs
  const clock = new PastClock(startMs)
  const publicUrl = () => 'http://localhost'
  const shared = { config, db, keyring, clock, log, lifecycle, publicUrl }
  const money = await buildMoney({ ...shared, metrics })
  const servers = await buildServers({ ...shared, ledger: money.ledger })
  const { egress } = servers
  const identity = buildIdentity({ ...shared, ledger: money.ledger, egress, adminUrl: publicUrl })
  const billing = buildBilling({ ...shared, money })
  const openCalls = new OpenCalls(new CallIds(clock, { last: money.lastRecord }), clock)
  const metering = new Metering({ ...money, clock, openCalls, onSettled: () => {} })
  return { config, clock, startMs, nowMs, ...money, ...servers, ...identity, ...billing, metering }
}

type Parts = Awaited<ReturnType<typeof build>>

/** Someone as the gateway knows them. */
interface Person {
  readonly userId: string
  readonly accountId: string
  readonly keyId: string
}

class MonthMaker {
  readonly #parts: Parts
  readonly #people = new Map<Actor, Person>()
  readonly #serverIds = new Map<string, string>()
  readonly #password = randomToken(12)
  #adminId = ''
  #waiting: Promise<void>[] = []

  constructor(parts: Parts) {
    this.#parts = parts
  }

  async run(): Promise<Month> {
    const { users, rules, ledger, startMs, nowMs, config } = this.#parts
    const { password: firstPassword } = await users.ensureAdmin(config.adminPassword)
    const admin = await users.find('admin')
    assert(admin, 'the administrator was made just now')
    this.#adminId = admin.id
    const { currency } = ledger.defaults
    const dearer = await makePrices(this.#parts, { currency, by: admin.id })
    await this.#openServers()
    await this.#openAccounts()
    for (let day = 0; day < days; day++) {
      const dayStartMs = startMs + day * dayMs
      this.#parts.clock.set(dayStartMs)
      if (day % 7 === 0) await this.#grantAll(day === 0)
      if (day === 17) await raisePrice(rules, dearer, admin.id)
      for (const call of callsOfDay(dayStartMs, days - 1 - day)) if (call.atMs < nowMs) await this.#call(call)
    }
    await this.#settled()
    this.#parts.clock.set(nowMs)
    await this.#bill()
    return { password: this.#password, ...(firstPassword !== undefined && { firstPassword }) }
  }

  async #openServers(): Promise<void> {
    const file = join(import.meta.dirname, `sample-server${extname(import.meta.filename)}`)
    for (const [name, tools] of Object.entries(sampleTools)) {
      const report = { tokens: { key: tokensKey, max: 100_000 } }
      const server = await this.#parts.registry.create(
        {
          name,
          description: `A sample server: ${tools.map((tool) => tool.name).join(', ')}.`,
          transport: { type: 'stdio', command: demoCommand, args: [file, name satisfies string] },
          access: 'authenticated',
          ...((name as SampleServer) === 'papers' && { usageReport: report }),
        },
        { ownerId: this.#adminId, allowStdio: true },
      )
      this.#serverIds.set(name, server.id)
      this.#parts.clock.pass(1000)
    }
  }

  async #openAccounts(): Promise<void> {
    const { accounts, users, keys, budgets, ledger, invoices } = this.#parts
    const company = await accounts.create({ kind: 'organisation', name: 'Northlight' })
    const teams = {
      Field: await accounts.create({ kind: 'team', name: 'Field', parentId: company.id }),
      Research: await accounts.create({ kind: 'team', name: 'Research', parentId: company.id }),
    }
    for (const actor of actors) {
      const { username, team, isPostpaid, plan } = actor
      const user = await users.create({
        username,
        password: this.#password,
        roles: ['member'],
        groups: team ? [team.toLowerCase()] : [],
      })
      const { apiKey } = await keys.create(user.id, { name: actor.key })
      // Lists go by the time at which things were made.
      this.#parts.clock.pass(1000)
      this.#people.set(actor, { userId: user.id, accountId: user.accountId, keyId: apiKey.id })
      await accounts.change(user.accountId, {
        mode: isPostpaid ? 'postpaid' : 'prepaid',
        ...(team && { parentId: teams[team].id }),
        ...(plan !== undefined && { plan }),
      })
      if (isPostpaid)
        await invoices.changeProfile(user.accountId, {
          name: 'Harbor Travel Ltd.',
          address: '4 Quay Street\n90210 Port Clara',
          country: 'US',
          email: 'accounts@harbor-travel.example',
        })
    }
    const { currency, timeZone } = ledger.defaults
    const subjects = {
      team: (name: keyof typeof teams) => teams[name].id,
      person: (username: string) => this.#person(username),
      server: (name: string) => this.#serverIds.get(name) ?? '',
    }
    for (const budget of demoBudgets(subjects))
      await budgets.create({ ...budget, currency, timeZone, createdBy: this.#adminId })
  }

  #person(username: string): Person {
    const found = [...this.#people].find(([actor]) => actor.username === username)?.[1]
    assert(found, 'budgets are for people of the cast')
    return found
  }

  async #grantAll(isFirst: boolean): Promise<void> {
    const createdBy = this.#adminId
    for (const [{ credit }, { accountId }] of this.#people) {
      const amount = parseAmount((isFirst ? credit?.first : credit?.weekly) ?? '0') ?? 0n
      if (!credit || amount === 0n) continue
      await this.#parts.ledger.grant(accountId, { amount, priority: 0, reason: credit.reason, createdBy })
    }
  }

  /** As the relay does it: a hold that grows with the answer, the call, the record; refusals are recorded as well. */
  async #call({ atMs, actor, server, tool, requestBytes, durationMs, end }: DemoCall): Promise<void> {
    const { clock, metering, registry } = this.#parts
    const person = this.#people.get(actor)
    assert(person, 'everybody of the cast was made')
    clock.set(atMs)
    const { charge, refusal } = metering.begin(
      {
        ...person,
        serverId: this.#serverIds.get(server) ?? '',
        server,
        method: 'tools/call',
        tool,
        transport: 'streamable-http',
        upstreamTransport: 'stdio',
        era: 'modern',
        upstreamEra: 'legacy',
        requestBytes,
        client: { ip: '127.0.0.1', ...actor.client },
      },
      registry.findByName(server)?.usageReport,
    )
    if (!refusal) clock.pass(durationMs)
    const cut = refusal ? undefined : charge.cover(end.responseBytes)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    charge.settle(
      refusal ? denied(refusal) : cut ? { ...end, outcome: 'denied', error: cut.code } : end,
      (error) => (error ? reject(error) : resolve()),
    )
    this.#waiting.push(promise)
    if (this.#waiting.length >= together) await this.#settled()
  }

  async #settled(): Promise<void> {
    await Promise.all(this.#waiting)
    this.#waiting = []
  }

  /** The customer's invoices: of the last month what lies in it, and what this one has come to so far. */
  async #bill(): Promise<void> {
    const { invoices, ledger, nowMs } = this.#parts
    const actor = 'demo'
    for (const [{ isPostpaid }, { accountId }] of this.#people) {
      const account = isPostpaid ? ledger.findAccount(accountId) : undefined
      if (!account) continue
      const current = monthOf(nowMs, account.timeZone)
      const last = monthOf(current.startMs - hourMs, account.timeZone)
      const { id } = await invoices.create(account, { period: last, actor })
      await invoices.finalize(id, { actor })
      await invoices.create(account, { period: current, actor })
    }
  }
}
