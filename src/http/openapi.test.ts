// The document agrees with the routes, is whole in itself, and the pages show it.
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { Answer, defineRoute, type Context, type Route } from './api/route.ts'
import { healthRoutes, runChecks } from './health.ts'
import { looseBodies, openApiDocument } from './openapi.ts'
import { pageRoutes } from './pages.ts'

const thing = z.strictObject({ id: z.string(), size: z.int().default(1) }).meta({ id: 'Thing' })

const routes: Route[] = [
  defineRoute({
    method: 'POST',
    path: '/api/v1/things/{id}',
    aliases: ['/things/{id}'],
    summary: 'Makes a <thing>',
    permission: 'servers:register',
    params: z.object({ id: z.string().describe('Which.') }),
    query: z.strictObject({ dry: z.string().optional().describe('Only looks.') }),
    body: thing,
    response: z.strictObject({ thing, others: z.array(thing) }),
    status: 201,
    errors: [409],
    handler: ({ body }) => ({ thing: body, others: [] }),
  }),
  defineRoute({
    method: 'DELETE',
    path: '/api/v1/things/{id}',
    summary: 'Deletes',
    permission: 'signed-in',
    handler: () => undefined,
  }),
  ...healthRoutes({ checks: [], isDraining: () => false, timeoutMs: 100 }),
]
const document = openApiDocument(routes, '9.9.9')

describe('the OpenAPI document', () => {
  test('has an operation for every route and alias, with unique ids', () => {
    const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
    expect(operations.length).toBe(5)
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(5)
    expect(document.paths['/api/v1/things/{id}']?.['post']).toMatchObject({
      operationId: 'post_things_id',
      tags: ['things'],
      'x-permission': 'servers:register',
      parameters: [
        { name: 'id', in: 'path', required: true, description: 'Which.' },
        { name: 'dry', in: 'query', description: 'Only looks.' },
        { name: 'Idempotency-Key', in: 'header' },
      ],
      requestBody: { required: true },
    })
  })

  test('says which answers a route has', () => {
    const responses = document.paths['/api/v1/things/{id}']?.['post']?.['responses'] as Record<
      string,
      unknown
    >
    expect(Object.keys(responses).toSorted()).toEqual(['201', '401', '409', 'default'])
    expect(document.paths['/api/v1/things/{id}']?.['delete']?.['responses']).toHaveProperty('204')
    expect(document.paths['/livez']?.['get']).toMatchObject({ security: [] })
  })

  test('resolves every reference it makes', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(
      ([, path = '']) => path,
    )
    expect(references.length).toBeGreaterThan(5)
    for (const path of references) {
      let node: unknown = document
      for (const key of path.split('/')) node = (node as Record<string, unknown>)[key]
      expect(node, path).toBeTypeOf('object')
    }
  })

  test('keeps apart what a schema accepts and what it answers', () => {
    expect(document.components.schemas['Thing']).toMatchObject({ required: ['id'] })
    expect(document.components.schemas['ThingOutput']).toMatchObject({ required: ['id', 'size'] })
  })

  test('finds request bodies that would let unknown fields through', () => {
    expect(looseBodies(document)).toEqual([])
    const loose = defineRoute({
      method: 'PUT',
      path: '/loose',
      summary: 'Loose',
      permission: 'public',
      body: z.strictObject({ a: z.object({ b: z.string() }) }),
      handler: () => undefined,
    })
    expect(looseBodies(openApiDocument([loose], '1'))).toEqual(['PUT /loose'])
  })
})

describe('the pages', () => {
  const open = (path: string): { headers: Answer['headers']; body: string } => {
    const route = pageRoutes({
      document: () => document,
      publicUrl: () => 'http://gate',
      adminUrl: () => 'http://gate',
    }).find((each) => each.path === path)
    return route?.handler({} as Context) as Answer & { body: string }
  }

  test('list every route and every error code, escaped', () => {
    const html = open('/docs').body
    expect(html).toContain('POST /api/v1/things/{id}')
    expect(html).toContain('Makes a &lt;thing&gt;')
    expect(html).toContain('id="error-balance_exhausted"')
  })

  test('load nothing from elsewhere and run nothing', () => {
    for (const path of ['/', '/docs']) {
      const answer = open(path)
      expect(answer.body).not.toMatch(/<script|src=|@import|url\(/)
      expect(answer.headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-/)
    }
  })

  test('give the document as it is', () => {
    expect(JSON.parse(open('/openapi.json').body)).toEqual(JSON.parse(JSON.stringify(document)))
  })
})

describe('readiness', () => {
  const verdicts = async (draining: boolean, ...checks: (() => Promise<void> | void)[]) => {
    const options = {
      checks: checks.map((check, n) => ({ name: `c${n}`, check })),
      isDraining: () => draining,
      timeoutMs: 30,
    }
    return (await runChecks(options)).map(({ ok }) => ok)
  }

  test('fails while draining, and where a check throws, rejects or hangs', async () => {
    expect(await verdicts(false, () => {})).toEqual([true, true])
    expect(await verdicts(true, () => {})).toEqual([false, true])
    const failing = () => Promise.reject(new Error('no'))
    const throwing = () => {
      throw new Error('no')
    }
    expect(await verdicts(false, failing, throwing, () => new Promise(() => {}))).toEqual([
      true,
      false,
      false,
      false,
    ])
  })

  test('names the failed check and not its reason', async () => {
    const route = healthRoutes({
      checks: [{ name: 'store', check: () => Promise.reject(new Error('secret path')) }],
      isDraining: () => false,
      timeoutMs: 100,
    })[1]
    const answer = (await route?.handler({ query: { verbose: '' } } as unknown as Context)) as Answer
    expect(answer.status).toBe(503)
    expect(answer.body).toBe('[+]not-draining ok\n[-]store failed\nnot ready\n')
  })
})
