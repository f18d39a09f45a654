// The thread that a SQLite connection lives in: takes requests one by one and answers each.
import { parentPort, workerData } from 'node:worker_threads'
import { SqliteConnection } from './sqlite-connection.ts'
import { faultOf } from './sqlite-errors.ts'
import type { SqliteAnswer, SqliteMessage, SqliteRequest, SqliteThreadOptions } from './sqlite-protocol.ts'

const connection = new SqliteConnection(workerData as SqliteThreadOptions)

function carryOut(request: SqliteRequest): unknown {
  switch (request.kind) {
    case 'open':
      return connection.open()
    case 'read':
      return connection.read(request.statement)
    case 'write':
      return connection.write(request.statements)
    case 'commit':
      return connection.commit(request.buffer, request.newTables)
    default:
      return connection.close()
  }
}

function answer({ id, request }: SqliteMessage): SqliteAnswer {
  try {
    return { id, result: carryOut(request) }
  } catch (error) {
    return { id, fault: faultOf(error) }
  }
}

parentPort?.on('message', (message: SqliteMessage) => parentPort?.postMessage(answer(message), []))
