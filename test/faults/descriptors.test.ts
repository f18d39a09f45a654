// F31: out of file descriptors, the gateway turns connections away, does not crash, and recovers when they are free.
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { eras, isAnswered } from './callers.ts'
import {
  cleanUp,
  client,
  expectClean,
  furnish,
  onEnd,
  startGateway,
  startUpstream,
  statusOf,
  toolCalls,
} from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

const limit = 256
const connections = 600

/** Opens a connection that asks for nothing; resolves once it is open or was turned away. */
function occupy(port: number): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (): void => resolve(socket)
    socket.once('connect', done).once('close', done).on('error', done)
  })
}

test(`${connections} connections with ${limit} descriptors: no crash, and normal work within 5 s of their end`, async () => {
  const upstream = await startUpstream()
  const gateway = await startGateway({ wrap: ['sh', '-c', `ulimit -n ${limit}; exec "$@"`, 'sh'] })
  const { key } = await furnish(gateway, upstream.url)
  const clients = await Promise.all(eras.map((era) => client(gateway, key, era).open()))
  for (const caller of clients) expect(isAnswered(await caller.call())).toBe(true)
  const port = Number(new URL(gateway.url).port)
  const sockets: Socket[] = []
  onEnd(() => sockets.forEach((socket) => socket.destroy()))
  for (let n = 0; n < connections; n += 50) {
    sockets.push(...(await Promise.all(Array.from({ length: 50 }, () => occupy(port)))))
  }
  // Who is connected already is still served, on the store's descriptors that are open already.
  const pressed = await Promise.allSettled(clients.map((caller) => caller.call({ id: 'pressed' })))
  for (const outcome of pressed) {
    if (outcome.status === 'fulfilled') expect(outcome.value.message.id).toBe('pressed')
  }
  expect(gateway.process.exitCode).toBe(null)

  for (const socket of sockets) socket.destroy()
  await until(async () => (await statusOf(gateway, '/livez', 500)) === 200, 'it is alive', 5000)
  await until(async () => (await statusOf(gateway, '/readyz', 500)) === 200, 'it is ready', 5000)
  for (const era of eras) {
    const caller = await client(gateway, key, era).open()
    expect(isAnswered(await caller.call())).toBe(true)
  }
  expect((await toolCalls(gateway)).length).toBeGreaterThanOrEqual(4)
  await expectClean(gateway)
  expect(await gateway.stop()).toEqual({ code: 0, signal: null })
})
