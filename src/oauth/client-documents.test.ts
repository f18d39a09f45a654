// Clients known by the URL of their metadata: what is believed, what is kept, and how much is asked for.
import { expect, test } from 'vitest'
import { ManualClock } from '../base/clock.ts'
import { ClientDocuments, type FetchedJson } from './client-documents.ts'

const url = 'https://app.example/client.json'
const document = { client_id: url, client_name: 'App', redirect_uris: ['https://app.example/cb'] }

function open(fetchJson: (url: string) => Promise<FetchedJson>, limits: object = {}) {
  const clock = new ManualClock()
  const asked: string[] = []
  const documents = new ClientDocuments({
    fetchJson: (each) => {
      asked.push(each)
      return fetchJson(each)
    },
    clock,
    ...limits,
  })
  return { clock, asked, documents }
}
const serving = (value: unknown, maxAgeS?: number) => () => Promise.resolve({ value, maxAgeS })

test('a client is what its document says, vouched for by its host', async () => {
  const { documents } = open(serving(document))
  expect(await documents.find(url)).toMatchObject({
    id: url,
    name: 'App',
    host: 'app.example',
    authMethod: 'none',
  })
})

test.each([
  ['of another client', { ...document, client_id: 'https://app.example/other.json' }],
  ['without an id', { ...document, client_id: undefined }],
  ['with a secret', { ...document, client_secret: 'x' }],
  ['that wants a shared secret', { ...document, token_endpoint_auth_method: 'client_secret_basic' }],
  ['with a bad redirect', { ...document, redirect_uris: ['http://app.example/cb'] }],
  ['that is a list', [document]],
  ['that is nothing', null],
])('a document %s is refused', async (_name, value) => {
  await expect(open(serving(value)).documents.find(url)).rejects.toMatchObject({ code: 'invalid_client' })
})

test.each([
  ['an hour where it does not say', undefined, 3600],
  ['as long as it says', 600, 600],
  ['a minute at least', 0, 60],
  ['a day at most', 10_000_000, 86_400],
])('a document is kept for %s', async (_name, maxAgeS, keptS) => {
  const { documents, asked, clock } = open(serving(document, maxAgeS))
  await documents.find(url)
  clock.advance(keptS * 1000 - 1)
  await documents.find(url)
  expect(asked).toHaveLength(1)
  clock.advance(1)
  await documents.find(url)
  expect(asked).toHaveLength(2)
})

test('what cannot be fetched is not asked for again for a minute', async () => {
  const { documents, asked, clock } = open(() => Promise.reject(new Error('refused')))
  for (let n = 0; n < 3; n++)
    await expect(documents.find(url)).rejects.toMatchObject({ code: 'invalid_client' })
  expect(asked).toHaveLength(1)
  clock.advance(60_000)
  await expect(documents.find(url)).rejects.toMatchObject({ code: 'invalid_client' })
  expect(asked).toHaveLength(2)
})

test('many who ask at once share one fetch, and only so many fetches run', async () => {
  const { promise, resolve } = Promise.withResolvers<FetchedJson>()
  const { documents, asked } = open(() => promise, { maxFetching: 2 })
  const same = [documents.find(url), documents.find(url), documents.find(url)]
  const other = documents.find('https://b.example/c').catch((error: unknown) => error)
  const refused = await documents.find('https://c.example/c').catch((error: unknown) => error)
  expect(refused).toMatchObject({ code: 'overloaded' })
  expect(asked).toEqual([url, 'https://b.example/c'])
  resolve({ value: document })
  expect(new Set(await Promise.all(same)).size).toBe(1)
  expect(await other).toMatchObject({ code: 'invalid_client' })
})

test('so many documents are remembered', async () => {
  const { documents, asked } = open((each) => Promise.resolve({ value: { ...document, client_id: each } }), {
    maxCached: 2,
  })
  for (const name of ['a', 'b', 'c', 'c', 'b']) await documents.find(`https://${name}.example/c`)
  expect(asked).toHaveLength(3)
  await documents.find('https://a.example/c')
  expect(asked).toHaveLength(4)
})
