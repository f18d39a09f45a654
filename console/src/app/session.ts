// Who is logged in: asked once, known to every screen.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { ApiError, call, rememberCsrfToken } from '../api/client.ts'
import type { Schemas } from '../api/types.ts'

export type User = Schemas['BrowserSession']
export type Role = User['roles'][number]

const key = ['session'] as const

async function ask(): Promise<User | null> {
  try {
    const user = await call('GET /auth/session')
    rememberCsrfToken(user.csrfToken ?? '')
    return user
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return null
    throw error
  }
}

/** `user` is null where nobody is logged in, undefined while that is not known. */
export function useSession() {
  const { data: user, error } = useQuery({ queryKey: key, queryFn: ask, staleTime: 60_000 })
  return { user, error }
}

/** The user of a screen that is only shown to users. */
export function useUser(): User {
  const { user } = useSession()
  if (!user) throw new Error('this screen is for users')
  return user
}

export const has = ({ roles }: User, ...wanted: readonly Role[]): boolean =>
  wanted.some((role) => roles.includes(role))

/** Takes note of a login, or with null of a logout: nothing of another user stays on the screen. */
export function useNoteSession(): (user: User | null) => void {
  const queries = useQueryClient()
  return (user) => {
    rememberCsrfToken(user?.csrfToken ?? '')
    queries.setQueryData(key, user)
    queries.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== key[0] })
  }
}
