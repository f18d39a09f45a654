// Guarantees of what is kept for a caller that is away: in order, once, and never more than so much.
import { expect, test } from 'vitest'
import { Unheard } from './unheard.ts'
import type { Said } from './session.ts'

const said = (data: unknown): Said => {
  const message = { jsonrpc: '2.0', method: 'notifications/message', params: { data } } as const
  return { message, written: message }
}
const dataOf = (unheard: Unheard) => unheard.take().map(({ message }) => message.params?.['data'])

test('everything is told in order, and once', () => {
  const unheard = new Unheard()
  for (const data of [1, 2, 3]) unheard.keep(said(data))
  expect(dataOf(unheard)).toEqual([1, 2, 3])
  expect(dataOf(unheard)).toEqual([])
})

test('of many the newest hundred are left', () => {
  const unheard = new Unheard()
  for (let data = 0; data < 250; data++) unheard.keep(said(data))
  expect(dataOf(unheard)).toEqual(Array.from({ length: 100 }, (_, index) => 150 + index))
})

test('of large ones those are left that take 256 KiB together', () => {
  const unheard = new Unheard()
  for (let data = 0; data < 9; data++) unheard.keep(said(`${data}${'x'.repeat(60 * 1024)}`))
  expect(dataOf(unheard).map((data) => String(data)[0])).toEqual(['5', '6', '7', '8'])
  unheard.keep(said('x'.repeat(300 * 1024)))
  expect(dataOf(unheard)).toEqual([])
})
