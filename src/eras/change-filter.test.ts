// A legacy session hears of exactly what its server offers and it has subscribed to.
import { describe, expect, test } from 'vitest'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import {
  changeFilter,
  honoursAnything,
  isAcknowledgement,
  legacyNotification,
  subscriptionIdKey,
  subscriptionIdOf,
} from './change-filter.ts'

const note = (method: string, params?: JsonRpcMessage['params']): JsonRpcMessage => ({
  jsonrpc: '2.0',
  method,
  ...(params && { params }),
})

describe('the filter', () => {
  test.each([
    [{}, [], undefined],
    [undefined, [], undefined],
    [{ tools: {}, prompts: { listChanged: false } }, [], undefined],
    [{ tools: { listChanged: true } }, [], { toolsListChanged: true }],
    [
      { tools: { listChanged: true }, prompts: { listChanged: true }, resources: { listChanged: true } },
      ['a', 'b'],
      {
        toolsListChanged: true,
        promptsListChanged: true,
        resourcesListChanged: true,
        resourceSubscriptions: ['a', 'b'],
      },
    ],
    [{ resources: { subscribe: true } }, ['a'], { resourceSubscriptions: ['a'] }],
  ])('of %j with %j is %j', (capabilities, uris, expected) => {
    expect(changeFilter(capabilities, uris)).toEqual(expected)
  })
})

describe('a notification of the stream', () => {
  test('loses the id of the subscription and nothing else', () => {
    const params = { uri: 'a', x: 1, _meta: { [subscriptionIdKey]: 7, other: 1 } }
    const message = note('notifications/resources/updated', params)
    expect(subscriptionIdOf(message)).toBe(7)
    expect(legacyNotification(message).params).toEqual({ uri: 'a', x: 1, _meta: { other: 1 } })
    const alone = note('notifications/tools/list_changed', { _meta: { [subscriptionIdKey]: 'x' } })
    expect(legacyNotification(alone)).toEqual(note('notifications/tools/list_changed', {}))
  })

  test('is the same object where it names no subscription', () => {
    for (const message of [
      note('a'),
      note('a', {}),
      note('a', { _meta: { b: 1 } }),
      note('a', { _meta: 3 }),
    ]) {
      expect(legacyNotification(message)).toBe(message)
      expect(subscriptionIdOf(message)).toBeUndefined()
    }
  })
})

test('an acknowledgement says whether anything will come', () => {
  const acknowledged = note('notifications/subscriptions/acknowledged', { notifications: {} })
  expect(isAcknowledgement(acknowledged)).toBe(true)
  expect(honoursAnything(acknowledged)).toBe(false)
  expect(honoursAnything(note('x', { notifications: { toolsListChanged: true } }))).toBe(true)
  expect(honoursAnything(note('x'))).toBe(true)
})
