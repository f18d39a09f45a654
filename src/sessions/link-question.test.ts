// Proves that the state of a question with a link is good for one caller and one call, for a while, and changes nothing else.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../base/errors.ts'
import { derivedKeys, Keyring } from '../base/keyring.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { alice, testServer } from '../../test/harness/calls.ts'
import { runs } from '../../test/harness/fuzz.ts'
import { forged, tampering } from '../../test/harness/tampering.ts'
import type { Incoming } from './incoming.ts'
import { TopUpLinks } from './top-up-links.ts'
import { LinkQuestion } from './link-question.ts'

const keyring = new Keyring(derivedKeys(Buffer.alloc(32, 7)))
const seal = {
  seal: (text: string) => keyring.seal(text, 'test'),
  open: (text: string) => {
    try {
      return keyring.open(text, 'test')
    } catch {
      return undefined
    }
  },
}
let nowMs = 1_800_000_000_000
const clock = { now: () => nowMs, monotonicMs: () => nowMs }
const question = new LinkQuestion({ seal, clock, ttlMs: 1000 })
const data = { balance: '1.000000001', held: '0.5', required: '2', currency: 'USD' }
const refusal = new TopUpLinks('https://pay.example/{account}?a={amount}').explain(
  new GatewayError('balance_exhausted', { data }),
  'acc_1',
)
const meta = { 'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } } }
const args = '{"big":12345678901234567890,"one":1.0}'

function incoming(params: string, more: Partial<Incoming> = {}): Incoming {
  const body = Buffer.from(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`)
  const message = JSON.parse(body.toString()) as JsonRpcMessage
  const client = { ip: '', userAgent: '' }
  const base = { principal: alice, server: testServer, client, transport: 'streamable-http' } as const
  return { ...base, message, body, headers: {}, era: 'modern', ...more }
}

const paramsOf = (more: object = {}, name = 't'): string =>
  `{"name":"${name}","arguments":${args},${JSON.stringify({ _meta: meta, ...more }).slice(1)}`

function stateOf(asked = incoming(paramsOf())): string {
  const answer = question.ask(asked, refusal, 'use_1')
  const { result } = JSON.parse(answer?.text ?? '{}') as { result: { requestState: string } }
  return result.requestState
}

const back = (requestState: string, more: Partial<Incoming> = {}, name = 't') =>
  question.reopen(
    incoming(paramsOf({ requestState, inputResponses: { topUp: { action: 'accept' } } }, name), more),
  )

describe('the link', () => {
  test('asks for what is missing, rounded up to what can be paid', () => {
    expect(refusal.data['topUpUrl']).toBe('https://pay.example/acc_1?a=1.5')
    const small = new GatewayError('balance_exhausted', {
      data: { ...data, required: '0.500000002', held: '0', balance: '0.5' },
    })
    const links = new TopUpLinks('https://pay.example/{account}?a={amount}&c={currency}')
    expect(links.explain(small, 'a&b').data['topUpUrl']).toBe('https://pay.example/a%26b?a=0.01&c=USD')
    const yen = new GatewayError('budget_exhausted', { data: { required: '2.1', currency: 'JPY' } })
    expect(links.explain(yen, 'acc_1').data['topUpUrl']).toBe('https://pay.example/acc_1?a=3&c=JPY')
  })

  test('goes with no other refusal', () => {
    const other = new GatewayError('rate_limited')
    expect(new TopUpLinks('https://pay.example/').explain(other, 'acc_1')).toBe(other)
  })
})

describe('the question', () => {
  test('comes back as the call that was first sent, with every number as it was', () => {
    const first = back(stateOf())
    if (first instanceof GatewayError) throw first
    expect(first.linkAsked).toBe(true)
    expect(Buffer.from(first.body).toString()).toContain(`"arguments":${args}`)
    expect(first.message.params).toEqual(incoming(paramsOf()).message.params)
    expect(JSON.parse(Buffer.from(first.body).toString())).toEqual(first.message)
  })

  test('is asked once', () => {
    expect(question.ask(incoming(paramsOf(), { linkAsked: true }), refusal, 'use_1')).toBeUndefined()
  })

  test('is not asked in a round of another question, whose state would be lost', () => {
    const round = incoming(paramsOf({ requestState: 'the-server’s-own' }))
    expect(question.ask(round, refusal, 'use_1')).toBeUndefined()
    expect(question.reopen(round)).toBe(round)
  })

  test.each(['2025-06-18', undefined])('is not asked of a session at revision %s', (protocolVersion) => {
    const initializeBody = Buffer.from('{"params":{"capabilities":{"elicitation":{"url":{}}}}}')
    const session = { protocolVersion, initializeBody } as unknown as Incoming['session']
    const legacy = incoming(paramsOf(), { era: 'legacy', ...(session && { session }) })
    expect(question.ask(legacy, refusal, 'use_1')).toBeUndefined()
  })

  test('another user, account, server, tool, and a changed or old state are refused', () => {
    const state = stateOf()
    const refused = [
      back(state, { principal: { ...alice, userId: 'usr_other' } }),
      back(state, { principal: { ...alice, accountId: 'acc_other' } }),
      back(state, { server: { ...testServer, id: 'srv_other' } }),
      back(state, {}, 'other'),
      back(forged(state)),
      back('tollbridge-link.nothing'),
    ]
    for (const one of refused) expect(one).toMatchObject({ code: 'invalid_params' })
    nowMs += 1000
    expect(back(state)).toMatchObject({ code: 'invalid_params' })
  })
})

test('no state that was tampered with makes another call, or another caller, of the one it was given to', () => {
  const seed = Date.now() % 2 ** 31
  console.log(`fast-check seed ${seed}`)
  const prefix = 'tollbridge-link.'
  const bob = { ...alice, userId: 'usr_bob' }
  const outcomes = { refused: 0, foreign: 0 }
  fc.assert(
    fc.property(tampering, fc.boolean(), (tamper, inSeal) => {
      const state = stateOf()
      const tampered = inSeal ? prefix + tamper(state.slice(prefix.length)) : tamper(state)
      const found = back(tampered)
      if (!tampered.startsWith(prefix)) {
        // It may be the server's own, and is left to it as it came.
        outcomes.foreign++
        expect(found).toMatchObject({ message: { params: { requestState: tampered } } })
        expect(found).not.toHaveProperty('linkAsked')
        return
      }
      // Base64 can be spelled in several ways; the one that opens says what it said.
      if (found instanceof GatewayError) {
        outcomes.refused++
        expect(found.code).toBe('invalid_params')
      } else expect(found.message.params).toEqual(incoming(paramsOf()).message.params)
      for (const other of [back(tampered, { principal: bob }), back(tampered, {}, 'another')])
        expect(other).toBeInstanceOf(GatewayError)
    }),
    { seed, numRuns: runs(1000) },
  )
  expect(outcomes.refused).toBeGreaterThan(runs(300))
  expect(outcomes.foreign).toBeGreaterThan(runs(20))
})
