// The audit log of a real gateway: complete after kill -9, free of secrets, and nothing in it can be changed unseen.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { runCli } from '../../src/commands/program.ts'
import { eras, McpClient, newKey } from '../faults/callers.ts'
import { cleanUp, furnish, newFolder, startGateway, startUpstream } from '../faults/rig.ts'
import { recordingIo } from '../harness/cli.ts'
import { ApiCaller, type TestGateway } from '../harness/gateway.ts'

afterEach(cleanUp)

const path = '/api/v1/audit'

interface Event {
  readonly seq: number
  readonly action: string
  readonly actor: { readonly userId?: string; readonly keyId?: string }
  readonly resource?: { readonly type: string; readonly id: string }
  readonly outcome: string
  readonly code?: string
  readonly count: number
  readonly fields?: readonly string[]
}

const events = async (gateway: TestGateway, query = ''): Promise<Event[]> =>
  (await gateway.admin.all(`${path}${query}`)) as Event[]

const verification = (gateway: TestGateway) => gateway.admin.ok('GET', `${path}/verify`)

test('every MCP refusal is in the log, summed up by caller; a key, a token or a password never is', async () => {
  const upstream = await startUpstream({ tools: ['work', 'secret'] })
  const data = newFolder()
  const gateway = await startGateway({ data })
  const { key } = await furnish(gateway, upstream.url)
  await gateway.admin.ok('POST', '/api/v1/access-rules', { name: 'hide', effect: 'deny', item: 'secret' })
  const other = await newKey(await gateway.member('ben'))
  await gateway.admin.ok('PATCH', '/api/v1/servers/stub', {
    access: 'private',
    description: 'Sentinel-d3scription',
  })
  for (const era of eras) {
    for (let n = 0; n < 3; n++) {
      const wrong = `${key.slice(0, -6)}wrong${n}`
      expect((await new McpClient(`${gateway.url}/mcp/stub`, wrong, 'modern').call()).status).toBe(401)
      expect((await new McpClient(`${gateway.url}/mcp/stub`, other, 'modern').call()).status).toBe(404)
    }
    const admin = await newKey(gateway.admin)
    const caller = await new McpClient(`${gateway.url}/mcp/stub`, admin, era).open()
    expect((await caller.call({ tool: 'secret' })).message.error.code).toBe(-32602)
  }
  const guess = { username: 'Sentinel-typed-as-name', password: 'Sentinel-passw0rd' }
  expect((await new ApiCaller(gateway.url).call('POST', '/api/v1/auth/authenticate', guess)).status).toBe(401)
  expect((await gateway.stop('SIGTERM')).code).toBe(0)
  const again = await startGateway({ data })
  const all = await events(again)
  const refused = (action: string, code: string) =>
    all
      .filter((event) => event.action === action && event.code === code)
      .reduce((sum, { count }) => sum + count, 0)
  expect(refused('mcp.connect', 'unauthorized')).toBe(6)
  expect(refused('mcp.connect', 'not_found')).toBe(6)
  expect(refused('mcp.call', 'access_denied')).toBe(2)
  expect(refused('auth.authenticate', 'unauthorized')).toBe(1)
  expect(all.find(({ action }) => action === 'servers.update')?.fields).toEqual(['access', 'description'])
  const text = JSON.stringify(all)
  for (const secret of [key, other, key.slice(0, -6), 'Sentinel', gateway.admin.credential ?? '-'])
    expect(text).not.toContain(secret)
  expect(await verification(again)).toMatchObject({ ok: true, differences: [] })
})

test('after kill -9 in the middle of changes the chain is whole, and every answered change is in it once', async () => {
  const data = newFolder()
  const answered: string[] = []
  for (let round = 0; round < 4; round++) {
    const gateway = await startGateway({ data })
    const change = async (lane: number): Promise<void> => {
      try {
        for (let n = 0; ; n++) {
          const made = await gateway.admin.call('POST', '/api/v1/limits', {
            name: `r${round}-l${lane}-${n}`,
            concurrent: 1,
          })
          if (made.status !== 201) return
          answered.push(made.json.id as string)
        }
      } catch {
        // The gateway is gone.
      }
    }
    const lanes = [0, 1, 2, 3].map(change)
    const least = answered.length + 20
    const deadline = Date.now() + 20_000
    while (answered.length < least && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 5))
    await gateway.stop('SIGKILL')
    await Promise.all(lanes)
  }
  const gateway = await startGateway({ data })
  expect(await verification(gateway)).toMatchObject({ ok: true })
  const made = (await events(gateway, '?action=limits.create')).map(({ resource }) => resource?.id)
  expect(answered.length).toBeGreaterThan(50)
  expect(new Set(made).size).toBe(made.length)
  expect(answered.filter((id) => !made.includes(id))).toEqual([])
})

test('whatever is changed, removed, put in, moved or cut off is named by the gateway and offline', async () => {
  const data = newFolder()
  const gateway = await startGateway({ data })
  for (let n = 0; n < 10; n++)
    await gateway.admin.ok('POST', '/api/v1/limits', { name: `limit-${n}`, concurrent: 1 })
  const { head } = await verification(gateway)
  expect((await gateway.stop('SIGTERM')).code).toBe(0)
  const file = join(data, readdirSync(data).find((name) => name.endsWith('.db')) ?? '')
  const secret = readFileSync(join(data, 'secret.key'), 'utf8').trim()
  const offline = async (expected = head) => {
    const { io, out } = recordingIo({ TOLLBRIDGE_SECRET_KEY: secret })
    const code = await runCli(
      ['audit', 'verify', '--offline', '--json', '--data', data, '--expect', expected],
      io,
    )
    return { code, found: JSON.parse(out.join('')) }
  }
  expect(await offline()).toMatchObject({ code: 0, found: { ok: true } })
  const tampered: [string, string[], number, string][] = [
    ['changed', [`UPDATE audit_event SET actor_id = 'usr_x' WHERE seq = 5`], 5, 'changed'],
    ['removed', ['DELETE FROM audit_event WHERE seq = 6'], 6, 'missing'],
    ['cut off', ['DELETE FROM audit_event WHERE seq > 7'], 7, 'end'],
    [
      'moved',
      [
        'UPDATE audit_event SET seq = -1 WHERE seq = 3',
        'UPDATE audit_event SET seq = 3 WHERE seq = 4',
        'UPDATE audit_event SET seq = 4 WHERE seq = -1',
      ],
      3,
      'changed',
    ],
    [
      'put in',
      [
        `INSERT INTO audit_event SELECT max(seq) + 1, 'aud_x', max(at), 'users.delete', NULL, NULL, NULL, '{}', 'x' FROM audit_event`,
      ],
      0,
      'changed',
    ],
  ]
  for (const [what, statements, seq, kind] of tampered) {
    const db = new DatabaseSync(file)
    db.exec('SAVEPOINT before_it')
    const kept = db.prepare('SELECT * FROM audit_event ORDER BY seq').all()
    for (const statement of statements) db.exec(statement)
    db.exec('RELEASE before_it')
    const { code, found } = await offline()
    expect([what, code, found.ok]).toEqual([what, 1, false])
    if (seq > 0) expect(found.differences).toContainEqual(expect.objectContaining({ kind, seq }))
    db.exec('DELETE FROM audit_event')
    for (const row of kept) {
      const columns = Object.keys(row)
      const marks = columns.map(() => '?').join(', ')
      db.prepare(`INSERT INTO audit_event (${columns.join(', ')}) VALUES (${marks})`).run(
        ...Object.values(row),
      )
    }
    db.close()
    expect((await offline()).code).toBe(0)
  }
  const db = new DatabaseSync(file)
  db.exec(`UPDATE audit_event SET detail = replace(detail, 'limit', 'l1mit') WHERE seq = 4`)
  db.exec(`UPDATE audit_event SET action = 'limits.delete' WHERE seq = 4`)
  db.close()
  const again = await startGateway({ data })
  const found = await verification(again)
  expect(found.ok).toBe(false)
  expect(found.differences).toContainEqual(expect.objectContaining({ kind: 'changed', seq: 4 }))
})
