// F17: one idempotency key runs once, however many send it at once.
import { afterEach, expect, test } from 'vitest'
import { delayed } from '../upstreams/replies.ts'
import { eras, isAnswered, refusalCode } from './callers.ts'
import { cleanUp, costOf, expectClean, nameIn, nano, price, setStage, toolCalls } from './rig.ts'

afterEach(cleanUp)

test.each(eras)(
  'the same key 50 times at once: one execution, one charge, 50 equal answers (%s)',
  async (era) => {
    const { gateway, upstream, clients } = await setStage()
    upstream.reply(delayed(50))
    const headers = { 'idempotency-key': 'once' }
    const ids = Array.from({ length: 50 }, (_, n) => n)
    const answers = await Promise.all(
      ids.map((id) => clients[era].call({ id, headers, arguments: { body: 'same' } })),
    )
    expect(upstream.calls()).toHaveLength(1)
    expect(answers.map(({ message }) => message.id)).toEqual(ids)
    expect(answers.every(isAnswered)).toBe(true)
    expect(new Set(answers.map(({ message }) => JSON.stringify(message.result))).size).toBe(1)
    expect(new Set(answers.map(({ callId }) => callId)).size).toBe(1)
    const records = await toolCalls(gateway)
    expect(records.map(({ id }) => id)).toEqual([answers[0]?.callId])
    expect(costOf(records)).toBe(nano(price))

    const other = await clients[era].call({ id: 'other', headers, arguments: { body: 'another' } })
    expect([other.message.id, refusalCode(other)]).toEqual(['other', 'idempotency_conflict'])
    expect(other.status).toBe(409)
    expect(upstream.calls()).toHaveLength(1)
    expect(await toolCalls(gateway)).toHaveLength(1)
    await expectClean(gateway)
  },
)

test('two requests with one key, 25 times each at once: one of them runs, the other conflicts', async () => {
  const { gateway, upstream, clients } = await setStage()
  upstream.reply(delayed(50))
  const headers = { 'idempotency-key': 'raced' }
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, n) => clients.modern.call({ id: n, headers, arguments: { name: n % 2 } })),
  )
  expect(upstream.calls()).toHaveLength(1)
  const ran = Number(upstream.calls().map(nameIn)[0])
  for (const [n, given] of answers.entries()) {
    expect(given.message.id).toBe(n)
    expect(n % 2 === ran ? isAnswered(given) : refusalCode(given)).toBe(
      n % 2 === ran ? true : 'idempotency_conflict',
    )
  }
  expect(await toolCalls(gateway)).toHaveLength(1)
  await expectClean(gateway)
})
