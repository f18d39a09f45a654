// In which eras a server is said to speak: those in which it has answered calls, or the question for its tools.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startBench, toolCall, type Bench } from '../trust/bench.ts'

let bench: Bench
beforeAll(async () => {
  bench = await startBench()
})
afterAll(() => bench.stop())

const eras = async (): Promise<unknown> => (await bench.a.ok('GET', '/api/v1/servers/stub')).eras

test('is told of calls as they are answered, until the registration changes', async () => {
  expect(await eras()).toEqual([])
  const client = bench.client(bench.a)
  await client.ask('legacy', toolCall('ok'))
  expect(await eras()).toEqual(['legacy'])
  await client.ask('modern', toolCall('ok'))
  expect(await eras()).toEqual(['legacy', 'modern'])
  expect((await bench.a.all('/api/v1/servers')).map((server) => server.eras)).toEqual([['legacy', 'modern']])
  await bench.gateway.admin.ok('PATCH', '/api/v1/servers/stub', { description: 'Another one, perhaps.' })
  expect(await eras()).toEqual([])
  await bench.gateway.admin.ok('POST', '/api/v1/servers/stub/test-connection')
  expect(await eras()).toEqual(['modern'])
})
