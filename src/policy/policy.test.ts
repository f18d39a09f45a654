// Proves who may do what: the roles' table, and the one rule for seeing and calling a server.
import { describe, expect, test } from 'vitest'
import { roles, type Principal, type Role } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import { mayManage, maySee, mayUse } from './access.ts'
import { may, notByKey, permissions, type Permission } from './roles.ts'

function caller(role: Role, more: Partial<Principal> = {}): Principal {
  return { userId: `usr_${role}`, username: role, roles: [role], accountId: 'acc_1', via: 'token', ...more }
}

const anonymous: Principal = {
  userId: 'public',
  username: 'public',
  roles: [],
  accountId: 'acc_1',
  via: 'public',
}

const http = { type: 'streamable-http', url: 'https://mcp.example/' } as const
const stdio = { type: 'stdio', command: 'node', args: [], env: {} } as const

function server(access: Server['access'], more: Partial<Server> = {}) {
  return { name: 'weather', ownerId: 'usr_owner', access, transport: http, ...more }
}

const all = Object.keys(permissions) as Permission[]

describe('roles', () => {
  test('an administrator has every permission but for what was kept of calls, a member none that reaches beyond itself', () => {
    expect(all.filter((permission) => !may(caller('admin'), permission))).toEqual(['payloads:read'])
    expect(all.filter((permission) => may(caller('member'), permission))).toEqual(['keys:manage'])
  })

  test('an operator registers servers, but none that runs a command', () => {
    expect(all.filter((permission) => may(caller('operator'), permission))).toEqual([
      'keys:manage',
      'servers:register',
    ])
  })

  test('an auditor reads everything and changes nothing', () => {
    const held = all.filter((permission) => may(caller('auditor'), permission))
    expect(held).toEqual(expect.arrayContaining(['usage:read-all', 'verify', 'servers:read-all']))
    expect(held.filter((permission) => /:(?!read)/.test(permission))).toEqual(['keys:manage'])
  })

  test("an administrator's API key manages no keys, users, secrets and access rules", () => {
    const key = caller('admin', { via: 'key', keyId: 'key_1' })
    const held = all.filter((permission) => may(caller('admin'), permission))
    expect(held.filter((permission) => !may(key, permission))).toEqual([...notByKey])
    expect([...notByKey]).toEqual([
      'keys:manage',
      'keys:manage-all',
      'users:manage',
      'access-rules:manage',
      'secrets:manage',
    ])
  })

  test('without a credential nothing is permitted, whatever roles are claimed', () => {
    expect(all.filter((permission) => may({ ...anonymous, roles }, permission))).toEqual([])
  })
})

describe('access to a server', () => {
  const owner = caller('operator', { userId: 'usr_owner' })

  test.each([
    { access: 'private', using: ['owner', 'admin'] },
    { access: 'authenticated', using: ['owner', 'admin', 'operator', 'auditor', 'member'] },
    { access: 'public', using: ['owner', 'admin', 'operator', 'auditor', 'member', 'anonymous'] },
  ] as const)('$access servers are used by $using', ({ access, using }) => {
    const callers = { owner, ...Object.fromEntries(roles.map((role) => [role, caller(role)])), anonymous }
    const able = Object.entries(callers).filter(([, principal]) => mayUse(server(access), principal))
    expect(able.map(([name]) => name).sort()).toEqual([...using].sort())
  })

  test('what may be used may be seen; an auditor sees more but calls no more', () => {
    for (const access of ['private', 'authenticated', 'public'] as const)
      for (const principal of [owner, anonymous, ...roles.map((role) => caller(role))])
        if (mayUse(server(access), principal)) expect(maySee(server(access), principal)).toBe(true)
    expect(maySee(server('private'), caller('auditor'))).toBe(true)
    expect(mayUse(server('private'), caller('auditor'))).toBe(false)
    expect(maySee(server('private'), caller('operator'))).toBe(false)
  })

  test('a key that is limited to servers reaches no other, even as administrator', () => {
    for (const access of ['private', 'authenticated', 'public'] as const) {
      const key = caller('admin', { via: 'key', servers: ['other'] })
      expect([mayUse, maySee, mayManage].some((rule) => rule(server(access), key))).toBe(false)
      expect(mayUse(server(access), caller('admin', { via: 'key', servers: ['weather'] }))).toBe(true)
    }
  })

  test('a server is managed by administrators and by its owner while that is an operator', () => {
    const managers = (target: ReturnType<typeof server>) =>
      [
        owner,
        { ...owner, roles: ['member'] as const },
        anonymous,
        ...roles.map((role) => caller(role)),
      ].filter((principal) => mayManage(target, principal))
    expect(managers(server('public'))).toEqual([owner, caller('admin')])
    expect(managers(server('public', { transport: stdio }))).toEqual([caller('admin')])
  })
})
