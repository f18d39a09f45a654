// Proves that logins begin with the right password only, go on by rotation, and end for good.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { password, engines, identityOn, type Identity } from '../harness/identity.ts'
import type { Principal } from '../../src/identity/principal.ts'

const from = { ip: '192.0.2.1' }
const day = 24 * 60 * 60 * 1000

describe.each(engines)('logins on %s', (engine) => {
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

  const refusal = async (attempt: Promise<unknown>) => {
    const error = (await attempt.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )) as { code: string; message: string; fields: unknown; data: unknown; retryAfterS: unknown }
    const { code, message, fields, data, retryAfterS } = error
    return { code, message, fields, data, retryAfterS }
  }

  test('the right password gives tokens that work, in any case of the name', async () => {
    const user = await it.member('ann')
    const answer = await it.logins.login({ username: 'ANN', password }, from)
    expect(answer).toEqual({
      token: expect.stringMatching(/^eyJ/),
      refreshToken: expect.stringMatching(/^rt_[\w-]{43}$/),
      expiresIn: 900,
      userId: user.id,
      username: 'ann',
      roles: ['member'],
    })
    expect(await it.authenticator.authenticate(answer.token)).toMatchObject({
      userId: user.id,
      accountId: user.accountId,
      via: 'token',
    })
  })

  test('unknown user, impossible name, wrong password, disabled and deleted user get one and the same answer', async () => {
    await it.member('known')
    const disabled = await it.member('disabled')
    const deleted = await it.member('deleted')
    await it.users.patch(disabled.id, { disabled: true })
    await it.users.delete(deleted.id)
    const wrong = await refusal(it.logins.login({ username: 'known', password: 'wrong password' }, from))
    expect(wrong.code).toBe('unauthorized')
    for (const username of ['unknown', "' OR '1'='1", 'disabled', 'deleted'])
      expect(await refusal(it.logins.login({ username, password }, from))).toEqual(wrong)
  })

  test('the eleventh bad login in a minute is refused with a time, for names that exist and that do not', async () => {
    const fresh = await store.start()
    try {
      await fresh.member('victim')
      const answers: unknown[] = []
      for (const username of ['victim', 'nobody']) {
        const bad = () => fresh.logins.login({ username, password: 'wrong password' }, { ip: '198.51.100.7' })
        for (let i = 0; i < 10; i++) expect((await refusal(bad())).code).toBe('unauthorized')
        answers.push(await refusal(bad()))
      }
      expect(answers[0]).toMatchObject({ code: 'locked_out', retryAfterS: 30 })
      expect(answers[1]).toEqual(answers[0])
      const right = { username: 'victim', password }
      expect((await refusal(fresh.logins.login(right, { ip: '198.51.100.7' }))).code).toBe('locked_out')
      await fresh.logins.login(right, { ip: '198.51.100.8' })
      fresh.clock.advance(30_000)
      await fresh.logins.login(right, { ip: '198.51.100.7' })
    } finally {
      await fresh.stop()
    }
  })

  test('guesses sent all at once are not counted less', async () => {
    const fresh = await store.start()
    try {
      await fresh.member('victim')
      const guesses = Array.from({ length: 40 }, (_, i) =>
        refusal(fresh.logins.login({ username: 'victim', password: `wrong password ${i}` }, from)),
      )
      const codes = (await Promise.all(guesses)).map((answer) => answer.code)
      // One more than ten may be in the second thread when the tenth fails.
      expect(codes.filter((code) => code === 'unauthorized').length).toBeLessThanOrEqual(11)
    } finally {
      await fresh.stop()
    }
  })

  test('a refresh token works once; its second use ends the whole login, access tokens included', async () => {
    await it.member('bob')
    const first = await it.logins.login({ username: 'bob', password }, from)
    const second = await it.logins.refresh(first.refreshToken)
    expect(second.refreshToken).not.toBe(first.refreshToken)
    const third = await it.logins.refresh(second.refreshToken)
    expect(await it.authenticator.authenticate(third.token)).toBeDefined()
    const other = await it.logins.login({ username: 'bob', password }, from)

    await expect(it.logins.refresh(first.refreshToken)).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(it.logins.refresh(third.refreshToken)).rejects.toMatchObject({ code: 'unauthorized' })
    for (const { token } of [first, second, third])
      expect(await it.authenticator.authenticate(token)).toBeUndefined()
    expect(await it.authenticator.authenticate(other.token)).toBeDefined()
  })

  test('of parallel uses of one refresh token at most one succeeds, and the login ends', async () => {
    await it.member('carl')
    const { refreshToken } = await it.logins.login({ username: 'carl', password }, from)
    const uses = await Promise.allSettled(Array.from({ length: 8 }, () => it.logins.refresh(refreshToken)))
    const answers = uses.filter((use) => use.status === 'fulfilled')
    expect(answers.length).toBeLessThanOrEqual(1)
    for (const { value } of answers) expect(await it.authenticator.authenticate(value.token)).toBeUndefined()
    await expect(it.logins.refresh(refreshToken)).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('a login ends 30 days after its password, however often it is refreshed', async () => {
    const fresh = await store.start()
    try {
      await fresh.member('dora')
      let { refreshToken } = await fresh.logins.login({ username: 'dora', password }, from)
      for (let i = 0; i < 29; i++) {
        fresh.clock.advance(day)
        ;({ refreshToken } = await fresh.logins.refresh(refreshToken))
      }
      fresh.clock.advance(day)
      await expect(fresh.logins.refresh(refreshToken)).rejects.toMatchObject({ code: 'unauthorized' })
      fresh.clock.advance(2 * day)
      await fresh.logins.purge()
      const { sql } = await import('kysely')
      const builder = fresh.database.builder()
      const left = await fresh.database.read({
        compile: () =>
          sql<{
            n: bigint
          }>`select count(*) + (select count(*) from logins) as n from refresh_tokens`.compile(builder),
      })
      expect(Number(left[0]?.n)).toBe(0)
    } finally {
      await fresh.stop()
    }
  })

  test('logging out ends the login at once, by access token or by refresh token, and no other', async () => {
    await it.member('emma')
    const login = () => it.logins.login({ username: 'emma', password }, from)
    const [one, two, three] = [await login(), await login(), await login()]
    const principal = (await it.authenticator.authenticate(one.token)) as Principal
    await it.authenticator.authenticate(two.token)
    await it.logins.logout(principal)
    await it.logins.logout(undefined, two.refreshToken)
    for (const { token, refreshToken } of [one, two]) {
      expect(await it.authenticator.authenticate(token)).toBeUndefined()
      await expect(it.logins.refresh(refreshToken)).rejects.toMatchObject({ code: 'unauthorized' })
    }
    expect(await it.authenticator.authenticate(three.token)).toBeDefined()
  })

  test('a new password ends all logins; the old one and a wrong current one do not work', async () => {
    await it.member('fred')
    const old = await it.logins.login({ username: 'fred', password }, from)
    const principal = (await it.authenticator.authenticate(old.token)) as Principal
    const newPassword = 'staple battery horse'
    await expect(
      it.logins.changePassword(principal, { currentPassword: 'wrong password', newPassword }, from),
    ).rejects.toMatchObject({ code: 'validation_failed' })
    await it.logins.changePassword(principal, { currentPassword: password, newPassword }, from)
    expect(await it.authenticator.authenticate(old.token)).toBeUndefined()
    await expect(it.logins.refresh(old.refreshToken)).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(it.logins.login({ username: 'fred', password }, from)).rejects.toMatchObject({
      code: 'unauthorized',
    })
    await it.logins.login({ username: 'fred', password: newPassword }, from)
  })

  test('a malformed refresh token costs no query', async () => {
    const { reads } = it.database
    for (const text of ['', 'rt_', `rt_${"'".repeat(43)}`, `rt_${'a'.repeat(44)}`])
      await expect(it.logins.refresh(text)).rejects.toMatchObject({ code: 'unauthorized' })
    expect(it.database.reads).toBe(reads)
  })

  test('while registration is closed nobody registers; while it is open, everybody becomes a member', async () => {
    const closed = await store.start({ registration: 'closed' })
    try {
      await expect(closed.logins.register({ username: 'gus', password })).rejects.toMatchObject({
        code: 'registration_closed',
      })
      const answer = await it.logins.register({ username: 'gus', password })
      expect(answer.roles).toEqual(['member'])
      expect(await it.authenticator.authenticate(answer.token)).toBeDefined()
    } finally {
      await closed.stop()
    }
  })
})
