// The route that tells what the gateway runs with: each setting with its value and where that came from.
import { z } from 'zod'
import { defineRoute, type Route } from './route.ts'
import { timeShape } from './view.ts'

/** A setting as it is in force; secrets are covered. */
export interface Setting {
  readonly key: string
  readonly value: unknown
  readonly origin: { readonly kind: 'flag' | 'env' | 'file' | 'default'; readonly where: string }
  readonly variable: string
  readonly description?: string
}

export interface SettingsRouteDeps {
  readonly about: {
    readonly version: string
    readonly engine: string
    readonly startedAtMs: number
    readonly settings: readonly Setting[]
  }
}

const settingsShape = z
  .strictObject({
    version: z.string(),
    node: z.string().describe('Version of Node.'),
    engine: z.string().describe('Of the store: `sqlite` or `postgres`.'),
    startedAt: timeShape,
    items: z.array(
      z.strictObject({
        key: z.string().describe('Such as `http.maxDepth`.'),
        value: z
          .unknown()
          .describe(
            'As it is in force; null where it is not set. Secrets are `[redacted]` where they are set.',
          ),
        origin: z.strictObject({
          kind: z.enum(['flag', 'env', 'file', 'default']),
          where: z.string().describe('Such as `--port`, `TOLLBRIDGE_PORT` or `tollbridge.yaml:3:1`.'),
        }),
        variable: z.string().describe('The environment variable that sets it.'),
        description: z.string().optional(),
      }),
    ),
  })
  .meta({ id: 'EffectiveSettings' })

export function settingsRoutes({ about }: SettingsRouteDeps): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: '/api/v1/settings',
      summary: 'Tells the configuration that is in force, and where each value came from',
      description: 'Settings are read at the start; what is changed since is in force after the next one.',
      permission: 'settings:read',
      response: settingsShape,
      handler: () => ({
        version: about.version,
        node: process.versions.node,
        engine: about.engine,
        startedAt: new Date(about.startedAtMs).toISOString(),
        items: [...about.settings],
      }),
    }),
  ]
}
