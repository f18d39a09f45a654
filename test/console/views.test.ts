// Every view of the console by its address: at once, in narrow windows, for who cannot see; and what its files give away.
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { until } from '../harness/until.ts'
import { send } from '../trust/bench.ts'
import { useStage } from './stage.ts'

const dist = resolve(import.meta.dirname, '../../console/dist')
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
// With the demo's month in it, so that every view has something to show.
const stage = useStage({ isRegistered: true, args: ['--demo'] })

const routes = [
  '/',
  '/servers',
  '/servers/stub',
  '/calls',
  '/sessions',
  '/usage',
  '/usage?by=server&days=7',
  '/prices',
  '/prices/drafts',
  '/prices/explain?server=stub&tool=work',
  '/prices/simulate?days=7',
  '/accounts',
  '/budgets',
  '/invoices',
  '/keys',
  '/users',
  '/policy',
  '/policy/explain',
  '/audit?action=users.create',
  '/me',
  '/connect',
  '/settings?find=http',
]

/** Views of one thing each: the newest of its list. */
const details = {
  '/servers/': ['/servers', 'name'],
  '/calls/': ['/billing/usage', 'id'],
  '/prices/': ['/billing/rules', 'id'],
  '/accounts/': ['/billing/accounts', 'id'],
  '/users/': ['/users', 'id'],
  '/invoices/': ['/billing/invoices', 'id'],
} as const

beforeAll(async () => {
  for (const [view, [list, member]] of Object.entries(details)) {
    const { items } = await stage.gateway.admin.ok('GET', `/api/v1${list}?limit=1`)
    routes.push(`${view}${items[0][member]}`)
  }
})

describe('every view', () => {
  test('opens cold by its address, without a fault, in a window of 320 pixels too', async () => {
    await stage.open('/')
    await stage.heading('Overview').waitFor()
    for (const width of [1280, 320])
      for (const route of routes) {
        await stage.page.setViewportSize({ width, height: 800 })
        await stage.goto(route)
        await stage.page.locator('#main h1').waitFor()
        await until(
          async () => (await stage.page.locator('[aria-busy]').count()) === 0,
          `${route} to be there`,
        )
        const wide = await stage.page.evaluate('document.documentElement.scrollWidth')
        expect([route, wide]).toEqual([route, expect.toSatisfy((px: number) => px <= width)])
        expect([route, await stage.page.getByRole('alert').count()]).toEqual([route, 0])
      }
    await stage.goto('/there-is-no-such-view')
    await stage.page.getByText('There is no such page').waitFor()
  })

  test.each(['light', 'dark'])(
    'has no serious fault for who cannot see or point, in the %s theme',
    async (theme) => {
      await stage.context.addInitScript(`localStorage.setItem('theme', '${theme}')`)
      await stage.goto('/')
      await stage.heading('Log in to Tollbridge').waitFor()
      const faults = [...(await serious('login'))]
      await stage.open('/')
      for (const route of routes) {
        await stage.goto(route)
        await stage.page.locator('#main h1').waitFor()
        await until(
          async () => (await stage.page.locator('[aria-busy]').count()) === 0,
          `${route} to be there`,
        )
        expect(await stage.page.evaluate('getComputedStyle(document.documentElement).colorScheme')).toBe(
          theme,
        )
        faults.push(...(await serious(route)))
      }
      expect(faults).toEqual([])
    },
  )
})

/** What axe finds that is serious or critical. */
async function serious(where: string): Promise<string[]> {
  await stage.page.evaluate(axeSource)
  const { violations } = await stage.page.evaluate<{
    violations: { id: string; impact: string; nodes: { html: string }[] }[]
  }>('axe.run()')
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${where}: ${id} ${nodes[0]?.html}`)
}

describe('the files of the console', () => {
  test('are less than 200 kB on the wire, and there in a second', async () => {
    const names = readdirSync(dist, { recursive: true, withFileTypes: true }).filter(
      (entry) => entry.isFile() && !entry.name.startsWith('.'),
    )
    const sizes = names.map(({ parentPath, name }) => gzipSync(readFileSync(join(parentPath, name))).length)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(200_000)
    // The best of a few: what else runs on the machine is not the console's fault.
    const tookMs: number[] = []
    for (let load = 0; load < 5; load++) {
      await stage.closePage()
      await stage.newPage()
      const from = performance.now()
      await stage.goto('/')
      await stage.heading('Log in to Tollbridge').waitFor()
      tookMs.push(performance.now() - from)
    }
    expect(Math.min(...tookMs)).toBeLessThan(1000)
  })

  test('come with a policy that lets nothing else in, and only by their own names', async () => {
    const index = await send(stage.origin, { path: '/' })
    expect(index.headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; /)
    expect(index.headers['content-security-policy']).not.toContain('unsafe')
    const script = /src="(\/assets\/[^"]+)"/.exec(index.text)?.[1] ?? ''
    const asset = await send(stage.origin, { path: script, headers: { 'accept-encoding': 'gzip' } })
    expect([asset.status, asset.headers['content-encoding']]).toEqual([200, 'gzip'])
    expect(asset.headers['cache-control']).toContain('immutable')
    const again = await send(stage.origin, {
      path: script,
      headers: { 'if-none-match': String(asset.headers['etag']) },
    })
    expect([again.status, again.text]).toEqual([304, ''])
    for (const path of [
      '/..%2f..%2fetc/passwd',
      '/assets/..%2f..%2fpackage.json',
      '/assets/../../package.json',
      '/assets/%2e%2e/index.html',
      '/assets/..%5cindex.html',
      '/assets/%00',
      '/assets/',
      '/assets',
      '/.sources',
      '/index.html',
      '/console/dist/index.html',
    ]) {
      const refused = await send(stage.origin, { path })
      expect([path, refused.status]).toEqual([path, expect.toSatisfy((status: number) => status >= 400)])
      expect(refused.text).not.toMatch(/root:|tollbridge"|<div/)
    }
    expect(
      (await send(stage.origin, { method: 'POST', path: '/', headers: { 'content-length': '0' } })).status,
    ).toBe(405)
  })
})
