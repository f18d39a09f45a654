// Every address of the console: each view and each filter has one.
import {
  createRootRoute,
  createRoute,
  createRouter,
  Outlet,
  type ErrorComponentProps,
} from '@tanstack/react-router'
import { Failure, Empty } from '../parts/states.tsx'
import { Account } from '../screens/accounts/account.tsx'
import { Accounts } from '../screens/accounts/accounts.tsx'
import { Audit, readAuditFilter } from '../screens/people/audit.tsx'
import { Budgets } from '../screens/cost/budgets.tsx'
import { Call } from '../screens/calls/call.tsx'
import { Calls, readCallFilter } from '../screens/calls/calls.tsx'
import { Connect } from '../screens/connect.tsx'
import { Invoice } from '../screens/cost/invoice.tsx'
import { Invoices } from '../screens/cost/invoices.tsx'
import { Keys, readKeyFilter } from '../screens/people/keys.tsx'
import { Overview } from '../screens/overview.tsx'
import { Me } from '../screens/me/me.tsx'
import { ExplainAccess, readAskedAccess } from '../screens/policy/explain-access.tsx'
import { Policy } from '../screens/policy/policy.tsx'
import { PriceDrafts } from '../screens/prices/drafts.tsx'
import { ExplainPrice, readExplainedCall } from '../screens/prices/explain.tsx'
import { Prices } from '../screens/prices/prices.tsx'
import { PriceRule } from '../screens/prices/rule.tsx'
import { readSimulatedSpan, SimulatePrices } from '../screens/prices/simulate.tsx'
import { Server } from '../screens/servers/server.tsx'
import { Servers } from '../screens/servers/servers.tsx'
import { Sessions } from '../screens/calls/sessions.tsx'
import { readUsageView, Usage } from '../screens/cost/usage.tsx'
import { UserPage } from '../screens/people/user.tsx'
import { Users } from '../screens/people/users.tsx'
import { readSettingFilter, Settings } from '../screens/system/settings.tsx'
import { Shell } from './shell.tsx'

const rootRoute = createRootRoute({
  component: () => (
    <Shell>
      <Outlet />
    </Shell>
  ),
  errorComponent: ({ error }: ErrorComponentProps) => (
    <Failure error={error instanceof Error ? error : new Error(String(error))} />
  ),
  notFoundComponent: () => (
    <Empty title="There is no such page">
      <p>
        <a href="/">To the overview</a>
      </p>
    </Empty>
  ),
})

const at = { getParentRoute: () => rootRoute }

const overviewRoute = createRoute({ ...at, path: '/', component: Overview })
const serversRoute = createRoute({ ...at, path: '/servers', component: Servers })
const serverRoute = createRoute({
  ...at,
  path: '/servers/$name',
  component: () => <Server name={serverRoute.useParams().name} />,
})
const callsRoute = createRoute({
  ...at,
  path: '/calls',
  validateSearch: readCallFilter,
  component: () => {
    const navigate = callsRoute.useNavigate()
    return (
      <Calls
        filter={callsRoute.useSearch()}
        onFilter={(search) => void navigate({ search, replace: true })}
      />
    )
  },
})
const callRoute = createRoute({
  ...at,
  path: '/calls/$id',
  component: () => <Call id={callRoute.useParams().id} />,
})
const usageRoute = createRoute({
  ...at,
  path: '/usage',
  validateSearch: readUsageView,
  component: () => {
    const navigate = usageRoute.useNavigate()
    return (
      <Usage view={usageRoute.useSearch()} onView={(search) => void navigate({ search, replace: true })} />
    )
  },
})
const pricesRoute = createRoute({ ...at, path: '/prices', component: Prices })
const priceRuleRoute = createRoute({
  ...at,
  path: '/prices/$id',
  component: () => <PriceRule id={priceRuleRoute.useParams().id} />,
})
const priceDraftsRoute = createRoute({ ...at, path: '/prices/drafts', component: PriceDrafts })
const explainPriceRoute = createRoute({
  ...at,
  path: '/prices/explain',
  validateSearch: readExplainedCall,
  component: () => {
    const navigate = explainPriceRoute.useNavigate()
    return (
      <ExplainPrice asked={explainPriceRoute.useSearch()} onAsked={(search) => void navigate({ search })} />
    )
  },
})
const simulatePricesRoute = createRoute({
  ...at,
  path: '/prices/simulate',
  validateSearch: readSimulatedSpan,
  component: () => {
    const navigate = simulatePricesRoute.useNavigate()
    return (
      <SimulatePrices
        span={simulatePricesRoute.useSearch()}
        onSpan={(search) => void navigate({ search, replace: true })}
      />
    )
  },
})
const accountsRoute = createRoute({ ...at, path: '/accounts', component: Accounts })
const accountRoute = createRoute({
  ...at,
  path: '/accounts/$id',
  component: () => <Account id={accountRoute.useParams().id} />,
})
const budgetsRoute = createRoute({ ...at, path: '/budgets', component: Budgets })
const invoicesRoute = createRoute({ ...at, path: '/invoices', component: Invoices })
const invoiceRoute = createRoute({
  ...at,
  path: '/invoices/$id',
  component: () => <Invoice id={invoiceRoute.useParams().id} />,
})
const sessionsRoute = createRoute({ ...at, path: '/sessions', component: Sessions })
const usersRoute = createRoute({ ...at, path: '/users', component: Users })
const userRoute = createRoute({
  ...at,
  path: '/users/$id',
  component: () => <UserPage id={userRoute.useParams().id} />,
})
const policyRoute = createRoute({ ...at, path: '/policy', component: Policy })
const explainAccessRoute = createRoute({
  ...at,
  path: '/policy/explain',
  validateSearch: readAskedAccess,
  component: () => {
    const navigate = explainAccessRoute.useNavigate()
    return (
      <ExplainAccess asked={explainAccessRoute.useSearch()} onAsked={(search) => void navigate({ search })} />
    )
  },
})
const auditRoute = createRoute({
  ...at,
  path: '/audit',
  validateSearch: readAuditFilter,
  component: () => {
    const navigate = auditRoute.useNavigate()
    return (
      <Audit
        filter={auditRoute.useSearch()}
        onFilter={(search) => void navigate({ search, replace: true })}
      />
    )
  },
})
const keysRoute = createRoute({
  ...at,
  path: '/keys',
  validateSearch: readKeyFilter,
  component: () => <Keys filter={keysRoute.useSearch()} />,
})
const settingsRoute = createRoute({
  ...at,
  path: '/settings',
  validateSearch: readSettingFilter,
  component: () => {
    const navigate = settingsRoute.useNavigate()
    return (
      <Settings
        filter={settingsRoute.useSearch()}
        onFilter={(search) => void navigate({ search, replace: true })}
      />
    )
  },
})
const meRoute = createRoute({ ...at, path: '/me', component: Me })
const connectRoute = createRoute({ ...at, path: '/connect', component: Connect })

export const router = createRouter({
  routeTree: rootRoute.addChildren([
    overviewRoute,
    serversRoute,
    serverRoute,
    callsRoute,
    callRoute,
    usageRoute,
    pricesRoute,
    priceRuleRoute,
    priceDraftsRoute,
    explainPriceRoute,
    simulatePricesRoute,
    accountsRoute,
    accountRoute,
    budgetsRoute,
    invoicesRoute,
    invoiceRoute,
    sessionsRoute,
    usersRoute,
    userRoute,
    policyRoute,
    explainAccessRoute,
    auditRoute,
    keysRoute,
    connectRoute,
    settingsRoute,
    meRoute,
  ]),
  defaultPreload: 'intent',
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  // The router's types are told this way.
  // oxlint-disable-next-line typescript/consistent-type-definitions
  interface Register {
    router: typeof router
  }
}
