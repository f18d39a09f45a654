// Proves what holds for users: one name once, an account with each, an administrator always, and an end that ends.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { password, engines, identityOn, type Identity } from '../harness/identity.ts'
import { sql } from 'kysely'
import type { Revocation } from '../../src/identity/revocations.ts'
import { registerInput, userInput, userPatch } from '../../src/identity/users.ts'

const from = { ip: '192.0.2.1' }

describe.each(engines)('users on %s', (engine) => {
  const store = identityOn(engine)
  let it: Identity
  beforeAll(async () => {
    await store.open()
    it = await store.start()
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  test('the first start makes one administrator with a random password, later starts change nothing', async () => {
    const fresh = await store.start()
    try {
      const first = await fresh.users.ensureAdmin()
      expect(first).toEqual({ created: true, password: expect.stringMatching(/^[\w-]{20}$/) })
      const login = await fresh.logins.login({ username: 'admin', password: first.password ?? '' }, from)
      expect(login.roles).toEqual(['admin'])
      expect(await fresh.users.ensureAdmin('another password')).toEqual({ created: false })
      await expect(
        fresh.logins.login({ username: 'admin', password: 'another password' }, from),
      ).rejects.toMatchObject({ code: 'unauthorized' })
    } finally {
      await fresh.stop()
    }
  })

  test('a given administrator password is used and not shown', async () => {
    const fresh = await store.start()
    try {
      expect(await fresh.users.ensureAdmin('given password')).toEqual({ created: true })
      await fresh.logins.login({ username: 'Admin', password: 'given password' }, from)
    } finally {
      await fresh.stop()
    }
  })

  test('a name belongs to one user, whatever its case, also after the user is deleted', async () => {
    const input = userInput.parse({ username: 'Carol', password })
    const carol = await it.users.create(input)
    expect(carol).toMatchObject({ username: 'carol', roles: ['member'], disabled: false })
    const again = () => it.users.create(userInput.parse({ username: 'CAROL', password }))
    await expect(again()).rejects.toMatchObject({ code: 'conflict', fields: [{ field: '/username' }] })
    await it.users.delete(carol.id)
    await expect(again()).rejects.toMatchObject({ code: 'conflict' })
    await expect(it.users.get(carol.id)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('a user and its account are made together or not at all', async () => {
    const opened: string[] = []
    const fresh = await store.start({
      openAccount: ({ accountId, username }) => {
        opened.push(accountId)
        return [
          { compile: () => sql`insert into opened values (${accountId}, ${username})`.compile(builder()) },
        ]
      },
    })
    const builder = () => fresh.database.builder()
    try {
      await expect(fresh.member('dave')).rejects.toMatchObject({ code: 'internal' })
      await fresh.database.write({
        compile: () => sql`create table opened (id text primary key, name text)`.compile(builder()),
      })
      const dave = await fresh.member('dave')
      expect(opened).toContain(dave.accountId)
      const rows = await fresh.database.read({
        compile: () => sql<{ id: string }>`select id from opened`.compile(builder()),
      })
      expect(rows).toEqual([{ id: dave.accountId }])
    } finally {
      await fresh.stop()
    }
  })

  test('disabling, deleting, new roles and a new password end what is open, an email does not', async () => {
    const heard: Revocation[] = []
    it.revocations.onRevoked((revocation) => heard.push(revocation))
    const { id } = await it.member('erin')
    await it.users.patch(id, { email: 'erin@example.com' })
    expect(heard).toEqual([])
    await it.users.patch(id, { roles: ['operator'] })
    await it.users.patch(id, { password: 'another password' })
    await it.users.patch(id, { disabled: true })
    await it.users.delete(id)
    expect(heard).toEqual(Array.from({ length: 4 }, () => ({ userId: id })))
  })

  test('the last administrator who can log in cannot be removed, disabled or demoted', async () => {
    const fresh = await store.start()
    try {
      await fresh.users.ensureAdmin(password)
      const [admin] = await fresh.users.list({ limit: 1 })
      const { id } = await fresh.users.create({ username: 'second', password, roles: ['admin', 'member'] })
      await fresh.users.patch(id, { disabled: true })
      const refused = { code: 'unprocessable' }
      const adminId = admin?.id ?? ''
      await expect(fresh.users.patch(adminId, { roles: ['member'] })).rejects.toMatchObject(refused)
      await expect(fresh.users.patch(adminId, { disabled: true })).rejects.toMatchObject(refused)
      await expect(fresh.users.delete(adminId)).rejects.toMatchObject(refused)
      expect((await fresh.users.get(adminId)).roles).toEqual(['admin'])
      await fresh.users.patch(id, { disabled: false })
      await fresh.users.delete(adminId)
    } finally {
      await fresh.stop()
    }
  })

  test('pages hold every user once, in the order they came', async () => {
    const fresh = await store.start()
    try {
      const made: string[] = []
      for (const name of ['a', 'b', 'c', 'd', 'e']) {
        fresh.clock.advance(1)
        made.push((await fresh.member(name)).id)
      }
      const seen: string[] = []
      for (let afterId: string | undefined; ; afterId = seen.at(-1)) {
        const page = await fresh.users.list({ limit: 2, afterId })
        if (page.length === 0) break
        seen.push(...page.map((user) => user.id))
      }
      expect(seen).toEqual(made)
      expect(await fresh.users.list({ limit: 100, afterId: "' OR 1=1--" })).toHaveLength(5)
    } finally {
      await fresh.stop()
    }
  })

  test('input with fields that are not its own is refused by name', () => {
    for (const [schema, input] of [
      [registerInput, { username: 'x', password, roles: ['admin'] }],
      [userInput, { username: 'x', password, accountId: 'acc_1' }],
      [userPatch, { username: 'y' }],
    ] as const) {
      const parsed = schema.safeParse(input)
      expect(parsed.error?.issues.map((issue) => issue.code)).toEqual(['unrecognized_keys'])
    }
    for (const username of ['', 'a b', 'é', "' OR 1=1--", 'x'.repeat(65)])
      expect(registerInput.safeParse({ username, password }).success).toBe(false)
    expect(userInput.parse({ username: 'X', password, roles: ['admin', 'admin'] })).toMatchObject({
      username: 'x',
      roles: ['admin'],
    })
  })
})
