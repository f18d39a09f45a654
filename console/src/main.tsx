// The console starts here: its data, its routes, its look.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from './api/client.ts'
import { router } from './app/routes.tsx'
import './styles/base.css'
import './styles/parts.css'

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5000,
      // What the gateway refuses it refuses again; a gateway that is away may be back.
      retry: (count, error) => !(error instanceof ApiError) && count < 2,
    },
  },
})

const root = document.querySelector('#root')
if (root)
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>,
  )
