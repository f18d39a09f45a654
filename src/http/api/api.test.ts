// The API framework over real sockets: what is accepted, every refusal, and the shape of problems.
import { request as httpRequest } from 'node:http'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { good, json, problemOf, startSampleApi, type SampleApi } from '../../../test/harness/sample-api.ts'

let sample: SampleApi
beforeEach(async () => {
  sample = await startSampleApi()
})
afterEach(() => sample.stop())

describe('an accepted request', () => {
  test('is answered with the documented status, its headers, and a request id', async () => {
    const response = await sample.post({ name: 'ab' })
    expect(response.status).toBe(201)
    expect(await response.json()).toEqual({ id: 'w1', name: 'ab' })
    expect(response.headers.get('location')).toBe('/api/v1/widgets/1')
    expect(response.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{26}$/)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(response.headers.get('access-control-allow-origin')).toBeNull()
  })

  test('may come by the alias and with X-API-Key', async () => {
    const response = await fetch(`${sample.base}/widgets`, {
      method: 'POST',
      headers: { ...json, 'x-api-key': 'good' },
      body: '{"name":"ab"}',
    })
    expect(response.status).toBe(201)
  })

  test('pages through a list with the cursor of the page before', async () => {
    const seen: string[] = []
    let cursor: string | null = ''
    while (cursor !== null) {
      const response: Response = await fetch(
        `${sample.base}/api/v1/widgets?limit=2${cursor && `&cursor=${cursor}`}`,
        {
          headers: good,
        },
      )
      const page = (await response.json()) as { items: { id: string }[]; nextCursor: string | null }
      seen.push(...page.items.map(({ id }) => id))
      cursor = page.nextCursor
    }
    expect(seen).toEqual(['w0', 'w1', 'w2', 'w3', 'w4'])
  })

  test('with HEAD gets the head of GET, and OPTIONS tells the methods', async () => {
    const head = await fetch(`${sample.base}/api/v1/widgets`, { method: 'HEAD', headers: good })
    expect([head.status, await head.text()]).toEqual([200, ''])
    const options = await fetch(`${sample.base}/api/v1/widgets`, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, POST, OPTIONS'])
  })
})

describe('a body that is not what the schema wants', () => {
  test.each([
    ['an unknown field', { name: 'ab', nmae: 'x' }, '/nmae', 'unknown field'],
    [
      'an unknown field deep down',
      { name: 'ab', shape: { type: 'flat', 'a/b': 1 } },
      '/shape/a~1b',
      'unknown field',
    ],
    ['__proto__', '{"name":"ab","__proto__":{"admin":true}}', '/__proto__', 'unknown field'],
    ['a missing field', {}, '/name', 'required'],
    ['a wrong type', { name: 7 }, '/name', 'invalid input: expected string, received number'],
    ['no body', '', '', 'required'],
  ])('is refused with the place: %s', async (_name, body, field, message) => {
    const response = await sample.post(body)
    expect(response.status).toBe(400)
    const problem = await problemOf(response)
    expect(problem).toMatchObject({ code: 'validation_failed', status: 400, title: 'Validation failed' })
    expect(problem.type).toBe('/docs#error-validation_failed')
    expect(problem.requestId).toBe(response.headers.get('x-request-id'))
    expect(problem.errors).toEqual([{ field, message }])
    expect(sample.counts.executions).toBe(0)
  })

  test('names all faults at once', async () => {
    const problem = await problemOf(await sample.post({ name: 'a', size: 0, x: 1, y: 2 }))
    expect(problem.errors?.map(({ field }) => field).toSorted()).toEqual(['/name', '/size', '/x', '/y'])
  })

  test.each([
    ['not JSON', '{"name":', 'invalid_request'],
    ['too deep', `{"name":${'['.repeat(9)}${']'.repeat(9)}}`, 'invalid_request'],
  ])('is refused: %s', async (_name, body, code) => {
    const response = await sample.post(body)
    expect(response.status).toBe(400)
    expect((await problemOf(response)).code).toBe(code)
  })

  test('is refused where a query parameter is unknown, out of range or no cursor', async () => {
    for (const [query, field] of [
      ['ofset=3', 'ofset'],
      ['limit=101', 'limit'],
      ['limit=0', 'limit'],
      ['cursor=abc', 'cursor'],
      ['limit=1&limit=2', 'limit'],
    ]) {
      const response = await fetch(`${sample.base}/api/v1/widgets?${query}`, { headers: good })
      expect(response.status, query).toBe(400)
      expect((await problemOf(response)).errors?.map((error) => error.field)).toEqual([field])
    }
  })

  test('is refused as bytes that are not UTF-8', async () => {
    const response = await fetch(`${sample.base}/api/v1/widgets`, {
      method: 'POST',
      headers: { ...good, ...json },
      body: new Uint8Array([0x22, 0xff, 0x22]),
    })
    expect(response.status).toBe(400)
  })
})

describe('refusals', () => {
  test('401 challenges without an error code where nothing was sent, with one where the credential is wrong', async () => {
    const none = await fetch(`${sample.base}/api/v1/widgets`)
    expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="tollbridge"'])
    const wrong = await fetch(`${sample.base}/api/v1/widgets`, { headers: { authorization: 'Bearer bad' } })
    expect(wrong.status).toBe(401)
    expect(wrong.headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect((await problemOf(wrong)).code).toBe('unauthorized')
  })

  test('401 comes before the body is looked at', async () => {
    const response = await sample.post('x'.repeat(5000), { authorization: 'Bearer bad' })
    expect(response.status).toBe(401)
  })

  test('403 where the policy does not grant the permission', async () => {
    const response = await fetch(`${sample.base}/api/v1/widgets/1`, { method: 'DELETE', headers: good })
    expect([response.status, (await problemOf(response)).code]).toEqual([403, 'forbidden'])
  })

  test.each([
    '/api/v1/nothing',
    '//api/v1/widgets',
    '/api/v1/widgets/',
    '/api/v1/widgets/?x',
    '/API/v1/widgets',
    '/api/v1/./widgets;x',
    '/api%2fv1/widgets',
  ])('404 for %s', async (path) => {
    const status = await new Promise((resolve, reject) => {
      httpRequest(sample.base, { path, headers: { 'x-http-method-override': 'GET' } }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .once('error', reject)
        .end()
    })
    expect(status).toBe(404)
  })

  test('400 for a path that cannot be decoded', async () => {
    const response = await fetch(`${sample.base}/api/v1/widgets/%zz`, { headers: good })
    expect(response.status).toBe(400)
    expect((await problemOf(response)).requestId).toMatch(/^req_/)
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
  })

  test('405 names what is allowed, even with a body that nobody would read', async () => {
    const response = await fetch(`${sample.base}/api/v1/widgets`, {
      method: 'PUT',
      headers: { 'content-type': 'text/x' },
      body: 'x',
    })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST, OPTIONS'])
    expect((await problemOf(response)).code).toBe('method_not_allowed')
  })

  test('413 for a body over the limit', async () => {
    const response = await sample.post({ name: 'x'.repeat(2000) })
    expect([response.status, (await problemOf(response)).code]).toEqual([413, 'payload_too_large'])
  })

  test.each([
    ['text', { 'content-type': 'text/plain' }],
    ['compressed JSON', { 'content-encoding': 'gzip' }],
  ])('415 for %s', async (_name, headers) => {
    const response = await sample.post('{"name":"ab"}', headers)
    expect([response.status, (await problemOf(response)).code]).toEqual([415, 'unsupported_media_type'])
  })

  test('402 carries its data and Retry-After', async () => {
    const response = await sample.post({ name: 'broke' })
    expect([response.status, response.headers.get('retry-after')]).toEqual([402, '7'])
    expect(await problemOf(response)).toMatchObject({ code: 'balance_exhausted', balance: '0' })
  })

  test('500 shows nothing of what happened', async () => {
    const response = await sample.post({ name: 'crash' })
    expect(response.status).toBe(500)
    expect(JSON.stringify(await problemOf(response))).not.toMatch(/select|passwd|Error|\.ts/)
  })

  test('an answer that is not as documented fails where answers are checked', async () => {
    expect((await fetch(`${sample.base}/api/v1/liar`)).status).toBe(500)
  })
})
