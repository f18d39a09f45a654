// The calls of the demo's month: when each came, who sent it, and how it ended. Nothing here knows prices.
import { assert } from '../base/errors.ts'
import type { CallEnd } from '../sessions/charge.ts'
import { actors, habits, trouble, type Actor, type Habit } from './cast.ts'
import { Chance } from './chance.ts'

export const dayMs = 86_400_000
const hourMs = 3_600_000

export interface DemoCall {
  readonly atMs: number
  readonly actor: Actor
  readonly server: string
  readonly tool: string
  readonly requestBytes: number
  readonly durationMs: number
  readonly end: CallEnd
}

/** What was called on the UTC day that begins at `dayStartMs`, in order. `daysAgo` counts from the last day. */
export function callsOfDay(dayStartMs: number, daysAgo: number): DemoCall[] {
  const chance = new Chance(dayStartMs / dayMs)
  const isWeekend = [0, 6].includes(new Date(dayStartMs).getUTCDay())
  // They use it more from week to week.
  const growth = 1.25 - daysAgo * 0.015
  const calls = actors.flatMap((actor) => {
    const usual = isWeekend ? (actor.everyDay ? 0.6 : 0) : 1
    const many = Math.round(actor.callsADay * usual * growth * (0.8 + chance.next() * 0.4))
    return Array.from({ length: many }, () => callOf(actor, { chance, dayStartMs, daysAgo }))
  })
  return calls.sort((one, other) => one.atMs - other.atMs)
}

function habitOf(name: string): Habit {
  const habit = habits[name]
  assert(habit, 'every tool of the cast has its habits')
  return habit
}

interface Day {
  readonly chance: Chance
  readonly dayStartMs: number
  readonly daysAgo: number
}

function callOf(actor: Actor, { chance, dayStartMs, daysAgo }: Day): DemoCall {
  const [opens, closes] = actor.hours
  // Two dice: most of it around the middle of the day.
  const hour = opens + ((chance.next() + chance.next()) / 2) * (closes - opens)
  const name = chance.pick(actor.tools)
  const [server = '', tool = ''] = name.split(' ')
  const habit = habitOf(name)
  const isTrouble = server === trouble.server && daysAgo === trouble.daysAgo
  return {
    atMs: Math.floor(dayStartMs + hour * hourMs),
    actor,
    server,
    tool,
    requestBytes: Math.round(chance.around(habit.requestBytes)),
    ...endingOf(habit, chance, isTrouble ? trouble.errors : habit.errors),
  }
}

/** Nobody waits longer for an answer: the usual limit of a server. */
const timeoutMs = 60_000

function endingOf(
  habit: Habit,
  chance: Chance,
  errors: number,
): { readonly durationMs: number; readonly end: CallEnd } {
  const durationMs = Math.min(chance.around(habit.durationMs), timeoutMs - 1)
  if (chance.isHit(errors)) return failure(chance, durationMs)
  const isWrong = chance.isHit(habit.toolErrors)
  const responseBytes = isWrong ? 120 : Math.round(chance.around(habit.responseBytes))
  const tokens = habit.tokens === undefined || isWrong ? undefined : Math.round(chance.around(habit.tokens))
  const end = { statusCode: 200, responseBytes, free: false, ...(tokens !== undefined && { tokens }) }
  return { durationMs, end: { ...end, outcome: isWrong ? 'tool_error' : 'success' } }
}

function failure(chance: Chance, durationMs: number): { durationMs: number; end: CallEnd } {
  const common = { responseBytes: 0, free: false }
  if (chance.isHit(300))
    return {
      durationMs: timeoutMs,
      end: { ...common, outcome: 'timeout', statusCode: 504, error: 'upstream_timeout' },
    }
  return { durationMs, end: { ...common, outcome: 'error', statusCode: 502, error: 'upstream_unavailable' } }
}
