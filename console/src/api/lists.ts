// Lists that several screens show, under one name each, so that they are asked for once.
import { queryOptions } from '@tanstack/react-query'
import { call } from './client.ts'
import { allPages } from './pages.ts'

export const serversQuery = queryOptions({
  queryKey: ['servers'],
  queryFn: () => allPages((query) => call('GET /servers', { query })),
  refetchInterval: 15_000,
})

export const budgetsQuery = queryOptions({
  queryKey: ['budgets'],
  queryFn: () => allPages((query) => call('GET /billing/budgets', { query })),
  refetchInterval: 30_000,
})

export const accountsQuery = queryOptions({
  queryKey: ['accounts', 'all'],
  queryFn: () => allPages((query) => call('GET /billing/accounts', { query })),
})

export const streamsQuery = queryOptions({
  queryKey: ['streams'],
  queryFn: () => allPages((query) => call('GET /streams', { query })),
  refetchInterval: 5000,
})
