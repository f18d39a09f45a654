// What an operator sees in the morning: streams that are open now, and what waits for somebody.
import { expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { McpClient } from '../trust/bench.ts'
import { useStage } from './stage.ts'

const stage = useStage({ isRegistered: true })

test('live streams are counted, shown with their users and closed by hand', async () => {
  const { page } = stage
  const ida = await stage.gateway.member('ida')
  const client = new McpClient({ url: stage.gateway.url, credential: ida.credential }, '/mcp/stub')
  await client.open()
  const stream = await client.get()
  await stage.open('/')
  await page.locator('.figure', { hasText: 'Live streams' }).getByText('1', { exact: true }).waitFor()
  await stage.goto('/sessions')
  await page.getByRole('table', { name: 'Open streams' }).getByText('ida').waitFor()
  await page.getByRole('button', { name: /^Close use_/ }).click()
  await page.getByRole('button', { name: /^Close use_.* now$/ }).click()
  await page.getByText('None. A client').waitFor()
  await until(() => stream.isClosed(), 'the end of the stream')
})

test('tools that are held back and invoices past due are told of, and lead to where one acts', async () => {
  const { page } = stage
  const { admin } = stage.gateway
  const ivo = await stage.gateway.member('ivo')
  await stage.callAs(ivo.credential)
  const day = 86_400_000
  const draft = await admin.ok('POST', '/api/v1/billing/invoices', {
    accountId: ivo.accountId,
    period: { start: new Date(Date.now() - day), end: new Date(Date.now() - 1000) },
    dueDays: 0,
  })
  await admin.ok('POST', `/api/v1/billing/invoices/${draft.id}/finalize`)
  await admin.ok('POST', '/api/v1/servers', {
    name: 'strict',
    definitions: { approval: 'all' },
    transport: { type: 'streamable-http', url: stage.upstream.url },
  })
  await admin.ok('POST', '/api/v1/servers/strict/test-connection')
  await stage.open('/')
  const attention = page.locator('.attention')
  await attention.getByText(/^INV-.* was due /).waitFor()
  await attention.getByText('2 tools of strict are held back').waitFor()
  await attention.getByRole('link', { name: 'strict' }).click()
  await page.getByRole('button', { name: /^Approve work/ }).click()
  await page.getByRole('button', { name: /^Approve ok/ }).click()
  await page
    .getByRole('heading', { name: 'Held back until somebody approves' })
    .waitFor({ state: 'detached' })
  await stage.goto('/')
  await attention.getByText(/^INV-/).waitFor()
  expect(await attention.getByText('strict').count()).toBe(0)
})
