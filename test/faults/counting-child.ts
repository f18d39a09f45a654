// The counting server on stdio. `say` makes it say something unasked, now and then.
import { createInterface } from 'node:readline'
import { count, initialized, type CountRequest } from './counting.ts'

const say = (message: object): void =>
  void process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as CountRequest & { params?: { name?: string } }
  if (request.method === 'initialize') say({ id: request.id, result: initialized(request) })
  else if (request.method === 'tools/call' && request.params?.name === 'say') speak(request)
  else if (request.method === 'tools/call') void count(request, say)
  else if (request.id !== undefined) say({ id: request.id, result: {} })
})

/** Counts unasked: nothing of it belongs to a call. The call itself is answered at once. */
function speak(request: CountRequest): void {
  say({ id: request.id, result: { content: [] } })
  const { to = 10, everyMs = 1 } = request.params?.arguments ?? {}
  let said = 0
  const timer = setInterval(() => {
    said++
    say({ method: 'notifications/message', params: { level: 'info', data: said } })
    if (said >= to) clearInterval(timer)
  }, everyMs)
}
