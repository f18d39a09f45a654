// Names for ids: people know each other, their servers and keys by name.
import { useQuery } from '@tanstack/react-query'
import { has, useUser } from '../app/session.ts'
import { call } from './client.ts'
import { accountsQuery, serversQuery } from './lists.ts'
import { allPages } from './pages.ts'

/** The name of a user, an account, a server or a key; its id where the name is not known here, or not yet. */
export function useNames(): (id: string) => string {
  const everybody = has(useUser(), 'admin')
  const accounts = useQuery(accountsQuery)
  const servers = useQuery(serversQuery)
  const user = everybody ? '*' : ''
  const keys = useQuery({
    queryKey: ['keys', user],
    queryFn: () =>
      allPages((query) => call('GET /keys', { query: { ...query, ...(everybody && { user }) } })),
  })
  const names = new Map<string, string>()
  for (const { id, name, ownerId } of accounts.data ?? []) {
    names.set(id, name)
    // A user's account has the user's name.
    if (ownerId !== undefined) names.set(ownerId, name)
  }
  for (const { id, name } of [...(servers.data ?? []), ...(keys.data ?? [])]) names.set(id, name)
  return (id) => names.get(id) ?? id
}
