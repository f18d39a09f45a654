// A stdio MCP server that behaves as badly as the tool it is asked for: hangs, dies, floods, or will not stop.
import { spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const [pidFile = ''] = process.argv.slice(2)
appendFileSync(pidFile, `${process.pid}\n`)

interface Request {
  readonly id?: string | number
  readonly method?: string
  readonly params?: { readonly name?: string; readonly protocolVersion?: string; readonly arguments?: object }
}

const say = (message: object): void =>
  void process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
const answer = (id: Request['id'], text: string): void =>
  say({ id, result: { content: [{ type: 'text', text }] } })

const tools: Record<string, (request: Request) => void> = {
  work: ({ id, params }) => answer(id, `done ${JSON.stringify(params?.arguments)}`),
  pid: ({ id }) => answer(id, String(process.pid)),
  hang: () => {},
  die: () => process.exit(3),
  // Standard error that nobody asked for, far over any pipe's size; the answer comes after it.
  flood: ({ id }) => {
    for (let line = 0; line < 2000; line++) process.stderr.write(`${'e'.repeat(1000)}\n`)
    answer(id, 'flooded')
  },
  // From here on it ignores SIGTERM, has a child of its own that does too, and says nothing more.
  cling: () => {
    process.on('SIGTERM', () => {})
    const idle = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"
    const { pid } = spawn(process.execPath, ['-e', idle], { stdio: 'ignore' })
    appendFileSync(pidFile, `${pid}\n`)
    setInterval(() => {}, 1000)
  },
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const request = JSON.parse(line) as Request
  if (request.method === 'initialize') {
    const serverInfo = { name: 'stubborn', version: '1' }
    const protocolVersion = request.params?.protocolVersion
    say({ id: request.id, result: { protocolVersion, capabilities: { tools: {} }, serverInfo } })
  } else if (request.method === 'tools/call') tools[request.params?.name ?? '']?.(request)
  else if (request.id !== undefined) say({ id: request.id, result: {} })
})
