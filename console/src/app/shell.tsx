// The frame of every screen: where one can go, who is logged in, light or dark.
import { Link, useLocation, type LinkProps } from '@tanstack/react-router'
import { useMutation } from '@tanstack/react-query'
import { useEffect, useState, type ReactNode } from 'react'
import { call } from '../api/client.ts'
import { Empty, Failure, Skeleton } from '../parts/states.tsx'
import { allZones, changeZone, currentZone, usualZones } from '../parts/zone.ts'
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
/** By what people come for. */
const groups: readonly { readonly title: string; readonly places: readonly Place[] }[] = [
  {
    title: 'Traffic',
    places: [
      { to: '/', title: 'Overview' },
      { to: '/servers', title: 'Servers' },
      { to: '/calls', title: 'Calls' },
      { to: '/sessions', title: 'Streams, sessions' },
    ],
  },
  {
    title: 'Money',
    places: [
      { to: '/usage', title: 'Usage and cost' },
      { to: '/prices', title: 'Prices', roles: overseers },
      { to: '/accounts', title: 'Accounts' },
      { to: '/budgets', title: 'Budgets' },
      { to: '/invoices', title: 'Invoices' },
    ],
  },
  {
    title: 'Access',
    places: [
      { to: '/connect', title: 'Connect' },
      { to: '/keys', title: 'Keys' },
      { to: '/users', title: 'Users', roles: overseers },
      { to: '/policy', title: 'Policy', roles: overseers },
      { to: '/audit', title: 'Audit', roles: overseers },
      { to: '/settings', title: 'Settings', roles: overseers },
    ],
  },
]

const mayOpen = (user: User, { roles }: Place): boolean => !roles || has(user, ...roles)

/** The place that an address belongs to. */
const placeOf = (path: string): Place | undefined =>
  groups
    .flatMap(({ places }) => places)
    .find(({ to }) => path === to || (to !== '/' && path.startsWith(`${to}/`)))

export function Shell({ children }: { readonly children: ReactNode }) {
  const { user, error } = useSession()
  const pathname = useLocation({ select: (location) => location.pathname })
  if (user === undefined)
    return <main className="login">{error ? <Failure error={error} /> : <Skeleton lines={3} />}</main>
  if (user === null) return <Login />
  const own = groups.map(({ title, places }) => ({
    title,
    places: places.filter((each) => mayOpen(user, each)),
  }))
  const place = placeOf(pathname)
  return (
    <div className="shell">
      <Palette places={own.flatMap(({ places }) => places)} />
      <a className="skip" href="#main">
        To the content
      </a>
      <nav aria-label="Main">
        <p className="brand">
          <img src="/icon.svg" alt="" width="24" height="24" /> Tollbridge
        </p>
        {own.map(({ title, places }) => (
          <section key={title} aria-label={title}>
            <p className="group">{title}</p>
            <ul>
              {places.map((each) => (
                <li key={each.to}>
                  <Link to={each.to} activeOptions={{ exact: each.to === '/', includeSearch: false }}>
                    {each.title}
                  </Link>
                </li>
              ))}
            </ul>
          </section>
        ))}
        <div className="foot">
          <ThemeButton />
          <ZoneChoice />
          <Who user={user} />
        </div>
      </nav>
      <main id="main" tabIndex={-1}>
        {place && !mayOpen(user, place) ? <NotYours place={place} /> : children}
      </main>
    </div>
  )
}

function NotYours({ place: { title } }: { readonly place: Place }) {
  return (
    <>
      <h1>{title}</h1>
      <Empty title="This is for administrators and auditors">
        <p>Ask one of them, or log in as another user.</p>
      </Empty>
    </>
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
      <Link to="/me" title={user.roles.join(', ')}>
        {user.username}
      </Link>
      <button type="button" onClick={() => leave.mutate()}>
        Log out
      </button>
    </div>
  )
}

function ZoneChoice() {
  // There are hundreds: they are brought when somebody looks for one.
  const [zones, setZones] = useState<readonly string[]>(() => usualZones())
  return (
    <select
      aria-label="Time zone"
      title="Time zone"
      defaultValue={currentZone()}
      onFocus={() => setZones(allZones())}
      onChange={(event) => changeZone(event.target.value)}
    >
      {zones.map((zone) => (
        <option key={zone}>{zone}</option>
      ))}
    </select>
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
