// Where the gateway is reached: by one listener for everything, or by one for clients and one for administration.
import type { Log } from '../base/log.ts'
import type { Config } from '../config/config.ts'
import { createApi, type Api, type ApiOptions } from '../http/api/api.ts'
import type { Route } from '../http/api/route.ts'
import type { McpEndpoints } from '../http/mcp.ts'
import { originCheck } from '../http/origins.ts'
import { HttpServer, type HttpServerOptions } from '../http/server.ts'
import { routesOn } from '../http/sides.ts'

interface ListenerParts {
  readonly config: Config
  readonly log: Log
  readonly routes: readonly Route[]
  readonly mcp: McpEndpoints
  readonly refusals: HttpServerOptions['refusals']
  /** What the routes of every listener share. */
  readonly api: Omit<ApiOptions, 'routes' | 'log' | 'maxBodyBytes' | 'maxDepth' | 'allowedOrigins'>
}

export interface Listeners {
  /**
   * Listens everywhere, or, where it rejects, nowhere: then `close` has nothing left to do. Resolves with base URLs
   * that hold the ports; `adminUrl` is undefined where administration has no listener of its own.
   */
  listen(): Promise<{ readonly url: string; readonly adminUrl: string | undefined }>
  /** Aborts the endless streams of the API. */
  endStreams(): void
  closeApi(): Promise<void>
  /** Stops listening and ends what is left of connections after `graceMs`. */
  close(graceMs: number): Promise<void>
}

interface Listener {
  readonly host: string
  readonly port: number
  readonly http: HttpServer
  readonly api: Api
}

/** Builds the listeners; nothing listens yet. */
export async function buildListeners(parts: ListenerParts): Promise<Listeners> {
  const { config, routes, mcp } = parts
  const { host, port, publicUrl, http, admin } = config
  const { port: adminPort } = admin
  if (adminPort === undefined) {
    const only = await build(parts, { host, port, publicUrl, ...names(http), routes, mcp, isForPeople: true })
    return together(only, undefined)
  }
  const open = {
    host,
    port,
    publicUrl,
    ...names(http),
    routes: routesOn('public', routes),
    mcp,
    isForPeople: false,
  }
  const inner = {
    ...admin,
    port: adminPort,
    publicUrl: admin.publicUrl,
    routes: routesOn('admin', routes),
    isForPeople: true,
  }
  return together(await build(parts, open), await build(parts, inner))
}

const names = ({ allowedHosts, allowedOrigins }: Config['http']) => ({ allowedHosts, allowedOrigins })

interface Place {
  readonly host: string
  readonly port: number
  readonly publicUrl: string | undefined
  readonly allowedHosts: readonly string[]
  readonly allowedOrigins: readonly string[]
  readonly routes: readonly Route[]
  readonly mcp?: McpEndpoints
  /** Whether people come here: then the console is here. */
  readonly isForPeople: boolean
}

async function build(
  parts: ListenerParts,
  { routes, mcp, port, isForPeople, ...place }: Place,
): Promise<Listener> {
  const { config, log, refusals } = parts
  const { maxBodyBytes, maxDepth } = config.http
  const { allowedOrigins } = place
  const { console, ...shared } = parts.api
  const own = { ...shared, ...(isForPeople && { console }) }
  const api = await createApi({ ...own, routes, log, maxBodyBytes, maxDepth, allowedOrigins })
  const http = new HttpServer({
    limits: config.http,
    originFault: originCheck(place),
    clientAddress: parts.api.clientAddress,
    refusals,
    api: api.handle,
    ...(mcp && { mcp }),
  })
  return { host: place.host, port, http, api }
}

function together(open: Listener, admin: Listener | undefined): Listeners {
  const all = admin ? [open, admin] : [open]
  const listening: HttpServer[] = []
  const close = async (graceMs: number): Promise<void> => {
    await Promise.all(listening.splice(0).map((http) => http.close(graceMs)))
  }
  const listenAt = async ({ host, port, http }: Listener): Promise<string> => {
    const got = await http.listen(host, port)
    listening.push(http)
    return `http://${host.includes(':') ? `[${host}]` : host}:${got}`
  }
  return {
    listen: async () => {
      try {
        // Administration first: once clients come, all of the gateway is there.
        const adminUrl = admin && (await listenAt(admin))
        return { url: await listenAt(open), adminUrl }
      } catch (error) {
        await close(0)
        throw error
      }
    },
    endStreams: () => all.forEach(({ api }) => api.endStreams()),
    closeApi: async () => void (await Promise.all(all.map(({ api }) => api.close()))),
    close,
  }
}
