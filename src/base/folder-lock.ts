// One gateway a data folder: a lock that ends with the process, however it ends.
import { mkdirSync, statSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'
import { GatewayError } from './errors.ts'

/**
 * Takes a folder for this process; resolves with how to give it back. Rejects with `store_refused` where another
 * process has it: balances and holds live in memory, so two gateways on one embedded store would both spend the same
 * credit. The lock is an abstract Unix socket named after the folder's inode, which the kernel frees even after
 * kill -9. Elsewhere than on Linux there is no such thing, and nothing is locked.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  if (process.platform !== 'linux') return () => Promise.resolve()
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const server = createServer((socket) => socket.destroy())
  await listen(server, nameOf(folder))
  server.unref()
  return () => new Promise((resolve) => server.close(() => resolve()))
}

/** Whether another process has a folder that is there, without getting in the way of one that wants it. */
export function isFolderLocked(folder: string): Promise<boolean> {
  if (process.platform !== 'linux') return Promise.resolve(false)
  return new Promise((resolve) => {
    const socket = connect(nameOf(folder))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function nameOf(folder: string): string {
  const { dev, ino } = statSync(folder)
  return `\0tollbridge-${dev}-${ino}`
}

function listen(server: Server, name: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', (cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'EADDRINUSE') return reject(cause)
    const detail =
      'Another gateway runs on this data folder; stop it, or give this one a folder of its own with --data.'
    reject(new GatewayError('store_refused', { detail, cause }))
  })
  server.listen(name, resolve)
  return promise
}
