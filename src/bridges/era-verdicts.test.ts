// What is believed of a server's eras ends: with time, with a new registration, and with evidence.
import { beforeEach, expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import type { Server } from '../registry/server.ts'
import { EraVerdicts } from './era-verdicts.ts'

const server = { id: 'srv_1', revision: 3 } as Server
let clock: ManualClock
let verdicts: EraVerdicts

beforeEach(() => {
  clock = new ManualClock()
  verdicts = new EraVerdicts({ clock, ttlMs: 1000 })
})

test('what was seen is added up, and nothing is known of others', () => {
  verdicts.learn(server, { legacy: true })
  verdicts.learn(server, { modern: false })
  expect(verdicts.find(server)).toEqual({ legacy: true, modern: false })
  expect(verdicts.find({ ...server, id: 'srv_2' })).toEqual({})
})

test('a verdict ends with its oldest part, however often it is confirmed', () => {
  verdicts.learn(server, { modern: false })
  clock.advance(999)
  verdicts.learn(server, { modern: false, legacy: true })
  expect(verdicts.find(server)).toEqual({ modern: false, legacy: true })
  clock.advance(1)
  expect(verdicts.find(server)).toEqual({})
  verdicts.learn(server, { legacy: true })
  expect(verdicts.find(server)).toEqual({ legacy: true })
})

test('a changed registration is another server, and evidence ends a verdict at once', () => {
  verdicts.learn(server, { modern: false })
  expect(verdicts.find({ ...server, revision: 4 })).toEqual({})
  verdicts.learn({ ...server, revision: 4 }, { legacy: true })
  expect(verdicts.find({ ...server, revision: 4 })).toEqual({ legacy: true })
  verdicts.forget(server.id)
  expect(verdicts.find({ ...server, revision: 4 })).toEqual({})
})
