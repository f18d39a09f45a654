// All routes of the gateway in one list: what is served and what the reference shows are the same.
import manifest from '../../../package.json' with { type: 'json' }
import { healthRoutes, type HealthOptions } from '../health.ts'
import { MetricRegistry } from '../metric.ts'
import { metricsRoutes } from '../metrics.ts'
import { openApiDocument, type OpenApiDocument } from '../openapi.ts'
import { pageRoutes } from '../pages.ts'
import type { Route } from './route.ts'

export interface RouteParts {
  /** Routes under `/api/v1`, in the order of the reference. */
  readonly resources: readonly Route[]
  readonly health: HealthOptions
  readonly metrics: Parameters<typeof metricsRoutes>[0]
  /** Base of the URLs that the landing page shows. */
  readonly publicUrl: () => string
  /** Base of the URL of the API, which it shows too. */
  readonly adminUrl: () => string
}

/** The resources, and around them health, metrics, and the pages that describe it all. */
export function gatewayRoutes(parts: RouteParts): Route[] {
  const routes: Route[] = [...parts.resources, ...healthRoutes(parts.health), ...metricsRoutes(parts.metrics)]
  const { publicUrl, adminUrl } = parts
  routes.push(...pageRoutes({ document: () => documentOf(routes), publicUrl, adminUrl }))
  return routes
}

/** The OpenAPI document of routes, with this version's number. */
export const documentOf = (routes: readonly Route[]): OpenApiDocument =>
  openApiDocument(routes, manifest.version)

/** The routes as the reference needs them: described, with nothing behind them. Their handlers are never called. */
export function describedRoutes(resources: readonly Route[]): Route[] {
  return gatewayRoutes({
    resources,
    health: { checks: [], isDraining: () => false, timeoutMs: 0 },
    metrics: { registry: new MetricRegistry(), token: undefined, open: false },
    publicUrl: () => '',
    adminUrl: () => '',
  })
}
