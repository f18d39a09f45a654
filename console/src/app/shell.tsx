// The frame of every screen: where one can go, who is logged in, light or dark.
import { Link, type LinkProps } from '@tanstack/react-router'
import { useMutation } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { call } from '../api/client.ts'
import { Failure, Skeleton } from '../parts/states.tsx'
import { Palette } from './palette.tsx'
import { Login } from './login.tsx'
import { has, useNoteSession, useSession, type Role, type User } from './session.ts'

interface Place {
  readonly to: NonNullable<LinkProps['to']>
  readonly title: string
  /** Absent where it is for everybody. */
  readonly roles?: readonly Role[]
}

const overseers: readonly Role[] = ['admin', 'auditor']
const places: readonly Place[] = [
  { to: '/', title: 'Overview' },
  { to: '/servers', title: 'Servers' },
  { to: '/calls', title: 'Calls' },
  { to: '/sessions', title: 'Sessions' },
  { to: '/usage', title: 'Usage and cost' },
  { to: '/prices', title: 'Prices', roles: overseers },
  { to: '/accounts', title: 'Accounts' },
  { to: '/budgets', title: 'Budgets' },
  { to: '/invoices', title: 'Invoices' },
  { to: '/keys', title: 'Keys' },
  { to: '/users', title: 'Users', roles: overseers },
  { to: '/policy', title: 'Policy', roles: overseers },
  { to: '/audit', title: 'Audit', roles: overseers },
  { to: '/connect', title: 'Connect' },
]

export function Shell({ children }: { readonly children: ReactNode }) {
  const { user, error } = useSession()
  if (user === undefined)
    return <main className="login">{error ? <Failure error={error} /> : <Skeleton lines={3} />}</main>
  if (user === null) return <Login />
  const own = places.filter(({ roles }) => !roles || has(user, ...roles))
  return (
    <div className="shell">
      <Palette places={own} />
      <a className="skip" href="#main">
        To the content
      </a>
      <nav aria-label="Main">
        <p className="brand">
          <img src="/icon.svg" alt="" width="24" height="24" /> Tollbridge
        </p>
        <ul>
          {own.map(({ to, title }) => (
            <li key={to}>
              <Link to={to} activeOptions={{ exact: to === '/', includeSearch: false }}>
                {title}
              </Link>
            </li>
          ))}
        </ul>
        <div className="foot">
          <ThemeButton />
          <Who user={user} />
        </div>
      </nav>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </div>
  )
}

function Who({ user }: { readonly user: User }) {
  const note = useNoteSession()
  const leave = useMutation({
    mutationFn: () => call('DELETE /auth/session'),
    onSuccess: () => note(null),
  })
  return (
    <div className="who">
      <span title={user.roles.join(', ')}>{user.username}</span>
      <button type="button" onClick={() => leave.mutate()}>
        Log out
      </button>
    </div>
  )
}

const themes = ['system', 'light', 'dark'] as const
type Theme = (typeof themes)[number]

/** Kept by the browser: it is of the screen, not of the user. */
function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(
    () => themes.find((each) => each === localStorage.getItem('theme')) ?? 'system',
  )
  useEffect(() => {
    document.documentElement.dataset['theme'] = theme
    localStorage.setItem('theme', theme)
  }, [theme])
  const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system'
  return (
    <button type="button" onClick={() => setTheme(next)} title={`Change to ${next}`}>
      Theme: {theme}
    </button>
  )
}
