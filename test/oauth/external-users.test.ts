// Users of other issuers, on SQLite and on PostgreSQL: made once, tied to one subject, never to a name.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLog as log } from '../../src/base/log.ts'
import { ExternalUserStore } from '../../src/oauth/issuers/external-user-store.ts'
import { IssuerKeys } from '../../src/oauth/issuers/issuer-keys.ts'
import { Issuers } from '../../src/oauth/issuers/issuers.ts'
import { engines, identityOn, publicUrl, type Identity } from '../harness/identity.ts'
import { newIssuerKey, signToken } from '../harness/issuer.ts'

const issuer = 'https://idp.example'

describe.each(engines)('on %s', (engine) => {
  const store = identityOn(engine)
  const key = newIssuerKey()
  let it: Identity
  let issuers: Issuers
  beforeAll(async () => {
    await store.open()
    it = await store.start()
    const documents: Record<string, unknown> = { [`${issuer}/keys`]: { keys: [key.publicJwk] } }
    const keys = new IssuerKeys({
      issuer,
      jwksUri: `${issuer}/keys`,
      fetchJson: (url) => Promise.resolve({ value: documents[url] }),
      clock: it.clock,
      log,
    })
    const terms = {
      issuer,
      keys,
      identityAssertions: true,
      algorithms: ['ES256'] as const,
      usernameClaim: 'preferred_username',
      groupsClaim: 'groups',
      keepsGroups: true,
      roles: { root: 'admin' } as const,
    }
    const users = new ExternalUserStore(it.database)
    const parts = { store: users, users: it.users, clock: it.clock, log, publicUrl: () => publicUrl }
    issuers = new Issuers({ issuers: [terms], ...parts })
  })
  afterAll(async () => {
    await it.stop()
    await store.close()
  })

  const token = (claims: object): string => {
    const nowS = Math.floor(it.clock.now() / 1000)
    const usual = { iss: issuer, sub: 's', aud: `${publicUrl}/mcp/one`, iat: nowS, exp: nowS + 60 }
    return signToken(key, { ...usual, ...claims })
  }

  test('many first sights of one subject make one user', async () => {
    const seen = await Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        issuers.verify(token({ sub: 'crowd', preferred_username: 'crowd', n })),
      ),
    )
    expect(new Set(seen.map((each) => each?.userId)).size).toBe(1)
    expect(seen[0]).toMatchObject({ username: 'crowd', via: 'oauth', resource: `${publicUrl}/mcp/one` })
    expect(seen[0]?.scopes).toBeUndefined()
  })

  test('a name that is taken goes to nobody else, and each subject keeps its user', async () => {
    const local = await it.member('dora')
    const first = await issuers.verify(token({ sub: 'd1', preferred_username: 'dora' }))
    const second = await issuers.verify(token({ sub: 'd2', preferred_username: 'dora' }))
    expect(new Set([local.id, first?.userId, second?.userId]).size).toBe(3)
    expect((await issuers.verify(token({ sub: 'd1', preferred_username: 'renamed' })))?.userId).toBe(
      first?.userId,
    )
  })

  test('the newest token says the roles; the last administrator stays one', async () => {
    const nowS = Math.floor(it.clock.now() / 1000)
    const rolesOf = async (groups: string[], iat: number) =>
      (await issuers.verify(token({ sub: 'boss', groups, iat })))?.roles
    expect(await rolesOf(['root'], nowS - 30)).toEqual(['admin', 'member'])
    expect(await rolesOf([], nowS - 40)).toEqual(['admin', 'member'])
    expect(await rolesOf([], nowS - 20)).toEqual(['admin', 'member'])
    const other = await it.member('deputy')
    await it.users.patch(other.id, { roles: ['admin'] })
    expect(await rolesOf([], nowS - 10)).toEqual(['member'])
  })
})
