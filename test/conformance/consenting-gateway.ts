// The gateway as the suite's OAuth client: `consenting-gateway.ts URL` registers the server, lets a user agree, and calls it.
import { startTestGateway, type ApiCaller } from '../harness/gateway.ts'
import { Browser } from '../harness/browser.ts'
import { McpClient, newKey } from '../faults/callers.ts'

interface Context {
  readonly client_id?: string
  readonly client_secret?: string
  readonly private_key_pem?: string
  readonly signing_algorithm?: string
}

const url = process.argv[2] ?? ''
const scenario = process.env['MCP_CONFORMANCE_SCENARIO'] ?? ''
const version = process.env['MCP_CONFORMANCE_PROTOCOL_VERSION'] ?? '2025-11-25'
const context = JSON.parse(process.env['MCP_CONFORMANCE_CONTEXT'] ?? '{}') as Context
const isMachine = scenario.startsWith('auth/client-credentials')

const { client_id: clientId, client_secret: clientSecret, private_key_pem: privateKey } = context
const auth = {
  type: 'oauth2',
  grant: isMachine ? 'client-credentials' : 'authorization-code',
  ...(clientId !== undefined && { clientId }),
  ...(clientSecret !== undefined && { clientSecret }),
  ...(privateKey !== undefined && { privateKey, algorithm: context.signing_algorithm ?? 'ES256' }),
}

/** As a user's browser would: logs in at the link, and follows the authorization server back. */
async function consent(user: ApiCaller, name: string): Promise<void> {
  const { url: link } = await user.ok('POST', '/api/v1/servers/scenario/authorization', {})
  const browser = new Browser()
  const credentials = { username: name, password: `Member-passw0rd-${name}` }
  let page = await browser.submit(await browser.open(link), credentials)
  while (page.answer.status === 302 || page.answer.status === 303)
    page = await browser.open(new URL(page.answer.headers.location ?? '', page.url))
  if (page.answer.status !== 200) throw new Error(`no consent: ${page.answer.status} ${page.answer.text}`)
}

const gateway = await startTestGateway()
try {
  await gateway.admin.ok('POST', '/api/v1/servers', {
    name: 'scenario',
    access: 'authenticated',
    auth,
    transport: { type: 'streamable-http', url },
  })
  const user = await gateway.member('ada', { grant: '100' })
  const key = await newKey(user)
  if (!isMachine) await consent(user, 'ada')
  const era = version >= '2026-07-28' ? 'modern' : 'legacy'
  const client = await new McpClient(`${gateway.url}/mcp/scenario`, key, era).open()
  const { message } = await client.request('tools/list')
  if (JSON.stringify(message).includes('authorization_required')) await consent(user, 'ada')
  for (const { name } of (message.result?.tools ?? []) as { name: string }[])
    for (let tries = 0; tries < 2; tries++) {
      const answer = JSON.stringify((await client.call({ tool: name })).message)
      console.log(name, answer)
      if (!answer.includes('authorization_required')) break
      await consent(user, 'ada')
    }
} finally {
  await gateway.stop()
}
process.exit(0)
