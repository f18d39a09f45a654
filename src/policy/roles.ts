// What each role may do: the one table that the API's routes and the tests read.
import { roles, type Principal, type Role } from '../identity/principal.ts'

/**
 * Permission → the roles that have it. What a caller does with things of its own (its keys, sessions, usage,
 * account) needs no more than a `member`; permissions that end in `-all` reach what belongs to others.
 */
export const permissions = {
  'keys:manage': roles,
  'keys:manage-all': ['admin'],
  'users:read': ['admin', 'auditor'],
  'users:manage': ['admin'],
  'servers:register': ['admin', 'operator'],
  'servers:stdio': ['admin'],
  'servers:manage-all': ['admin'],
  'servers:read-all': ['admin', 'auditor'],
  'sessions:read-all': ['admin', 'auditor'],
  'sessions:manage-all': ['admin'],
  'rules:read': ['admin', 'auditor'],
  'rules:manage': ['admin'],
  'accounts:read-all': ['admin', 'auditor'],
  'accounts:manage': ['admin'],
  'usage:read-all': ['admin', 'auditor'],
  'webhooks:read': ['admin', 'auditor'],
  'webhooks:manage': ['admin'],
  'access-rules:read': ['admin', 'auditor'],
  'access-rules:manage': ['admin'],
  'limits:read': ['admin', 'auditor'],
  'limits:manage': ['admin'],
  'secrets:read': ['admin', 'auditor'],
  'secrets:manage': ['admin'],
  'audit:read': ['admin', 'auditor'],
  'payloads:read': ['auditor'],
  'settings:read': ['admin', 'auditor'],
  verify: ['admin', 'auditor'],
} as const satisfies Record<string, readonly Role[]>

export type Permission = keyof typeof permissions

/** An API key may call and read. It cannot make credentials or change who may do what (trust A 22). */
export const notByKey: ReadonlySet<Permission> = new Set<Permission>([
  'keys:manage',
  'keys:manage-all',
  'users:manage',
  'access-rules:manage',
  'secrets:manage',
])

/** Whether a caller has a permission. */
export function may(principal: Principal, permission: Permission): boolean {
  if (principal.via === 'public') return false
  if (principal.via !== 'token' && notByKey.has(permission)) return false
  const holders: readonly Role[] = permissions[permission]
  return principal.roles.some((role) => holders.includes(role))
}
