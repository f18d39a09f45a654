// One conversation from start to end: opens it, tries every behaviour in order, and keeps how each one went.
import { Bill } from './bill.ts'
import type { Checks, Talk } from './behaviours.ts'
import { pairName, type Pair } from './cells.ts'
import type { Conversation, Destination } from './conversation.ts'
import { openFirst } from './first-client.ts'
import type { Journal } from './journal.ts'
import { openSecond } from './second-client.ts'
import { TooLate, within } from '../harness/until.ts'

/** How a behaviour went; the error where it did not hold. */
export type Verdict = { readonly held: true } | { readonly held: false; readonly error: Error }
export type Verdicts = Map<string, Verdict>

export interface Ran {
  readonly verdicts: Verdicts
  readonly bill: Bill
  /** Whether there was a conversation at all. */
  readonly opened: boolean
}

const openDeadlineMs = 20_000
const checkDeadlineMs = 12_000
/** A conversation that hangs is not worth more waiting. */
const maxTimeouts = 2

export const failed = (error: unknown): Verdict => ({
  held: false,
  error: error instanceof Error ? error : new Error(String(error)),
})

/** Opens a conversation of the kind that the pair's client is. */
const openConversation = ({ client }: Pair, destination: Destination): Promise<Conversation> =>
  client.sdk === '2.4' ? openSecond(client, destination) : openFirst(client, destination)

export interface RunOptions {
  readonly checks: Checks
  readonly destination: Destination
  readonly journal: Journal
  /** Different for every conversation. */
  readonly token: string
}

/** Runs every check. Never rejects: where nothing can be opened, every check failed for that. */
export async function runConversation(
  pair: Pair,
  { checks, destination, journal, token }: RunOptions,
): Promise<Ran> {
  const bill = new Bill()
  let conversation: Conversation
  const opening = openConversation(pair, destination)
  try {
    conversation = await within(opening, openDeadlineMs, `opening ${pairName(pair)}`)
  } catch (error) {
    opening.then(
      (late) => late.close(),
      () => undefined,
    )
    return {
      verdicts: new Map(Object.keys(checks).map((behaviour) => [behaviour, failed(error)])),
      bill,
      opened: false,
    }
  }
  try {
    return {
      verdicts: await tryAll({ pair, conversation, bill, journal, token }, checks),
      bill,
      opened: true,
    }
  } finally {
    await within(conversation.close(), checkDeadlineMs, 'closing').catch(() => undefined)
  }
}

async function tryAll(talk: Talk, checks: Checks): Promise<Verdicts> {
  const verdicts: Verdicts = new Map()
  let timeouts = 0
  for (const [behaviour, check] of Object.entries(checks)) {
    if (timeouts >= maxTimeouts) {
      verdicts.set(behaviour, failed(new Error(`not tried after ${maxTimeouts} timeouts`)))
      continue
    }
    try {
      await within(Promise.resolve(check(talk)), checkDeadlineMs, behaviour)
      verdicts.set(behaviour, { held: true })
    } catch (error) {
      if (error instanceof TooLate) timeouts++
      verdicts.set(behaviour, failed(error))
    }
  }
  return verdicts
}
