// The client of the conformance suite's client mode behind a gateway of its own: `client-through-gateway.ts URL`.
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { startTestGateway } from '../harness/gateway.ts'

const url = process.argv[2] ?? ''
const gateway = await startTestGateway()
let code: number | null = 1
try {
  const { accountId } = (await gateway.admin.ok('GET', '/api/v1/me')) as { accountId: string }
  await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'scenario',
    access: 'public',
    account: accountId,
    transport: { type: 'streamable-http', url },
  })
  const client = [join(import.meta.dirname, 'client.ts'), `${gateway.url}/mcp/scenario`]
  const child = spawn(process.execPath, client, { stdio: 'inherit' })
  code = await new Promise((resolve) => child.once('exit', resolve))
} finally {
  await gateway.stop()
}
process.exit(code ?? 1)
