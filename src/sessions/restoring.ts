// Sessions of a former process: which of them go on, and how.
import type { Clock } from '../base/clock.ts'
import type { CredentialCheck } from '../identity/credential-check.ts'
import type { Principal } from '../identity/principal.ts'
import type { Server } from '../registry/server.ts'
import type { JsonRpcMessage } from '../wire/json-rpc.ts'
import { randomToken } from '../base/id.ts'
import { recoverSession } from './recovery.ts'
import { RestoredWay } from './restored-way.ts'
import { Session } from './session.ts'
import type { LeftSession, SessionStore } from './store.ts'
import type { Ways } from './ways.ts'

export interface RestoringOptions {
  readonly store: SessionStore
  readonly clock: Clock
  readonly ways: Ways
  readonly credentials: CredentialCheck
  /** A server, or an aggregate, as it stands now. */
  readonly findServer: (id: string) => Server | undefined
  /** At most so many go on, the latest used. */
  readonly maxTotal: number
}

export interface Restored {
  readonly open: readonly Session[]
  /** Those that have ended meanwhile; their servers may still know them. */
  readonly ended: readonly Session[]
}

/** Reads what a former process left, and writes down what does not go on. Opens nothing. */
export async function restoreSessions(options: RestoringOptions): Promise<Restored> {
  const { store, clock, credentials, maxTotal } = options
  const left = await store.takeLeft(maxTotal)
  const principals = await credentials.findPrincipals(left)
  const open: Session[] = []
  const ended = { expired: [] as Session[], closed: [] as Session[], gone: [] as string[] }
  const nowMs = clock.now()
  for (const [index, each] of left.entries()) {
    const server = options.findServer(each.serverId)
    if (!server) {
      ended.gone.push(each.id)
      continue
    }
    const principal = principals[index] ?? publicCaller(each, server)
    const session = toSession(each, { server, principal: principal ?? formerCaller(each), options })
    if (!principal || !canGoOn(each)) ended.closed.push(session)
    else if (session.overdue(nowMs)) ended.expired.push(session)
    else open.push(session)
  }
  await store.end(idsOf(ended.expired), 'expired')
  await store.end([...idsOf(ended.closed), ...ended.gone], 'closed')
  return { open, ended: [...ended.expired, ...ended.closed] }
}

const idsOf = (sessions: readonly Session[]): string[] => sessions.map(({ id }) => id)

/** What the server's side is opened again with has to be there. */
const canGoOn = ({ way, status, initializeBody }: LeftSession): boolean =>
  status === 'created' || way === 'straight' || initializeBody !== undefined

function toSession(
  left: LeftSession,
  { server, principal, options }: { server: Server; principal: Principal; options: RestoringOptions },
): Session {
  const session = new Session({
    id: left.id,
    // Nobody has been told the token of a session that was never initialized.
    token: left.status === 'created' ? randomToken() : '',
    principal,
    server,
    transport: left.transport,
    client: left.client,
    ephemeral: left.ephemeral,
    nowMs: left.lastActiveAtMs,
    idleMs: left.idleMs,
    expiresAtMs: left.expiresAtMs,
    restored: left,
  })
  if (left.status !== 'created') session.upstream = wayOf(session, { left, server, options })
  return session
}

function wayOf(
  session: Session,
  { left, server: former, options }: { left: LeftSession; server: Server; options: RestoringOptions },
): RestoredWay {
  const { ways } = options
  const server = (): Server => options.findServer(left.serverId) ?? former
  const body = left.initializeBody ?? Buffer.from('{}')
  const way: RestoredWay = new RestoredWay({
    transport: former.transport.type,
    way: left.way,
    wake: () => {
      const initialize = JSON.parse(Buffer.from(body).toString()) as JsonRpcMessage
      session.upstream = ways.forSession(server(), session, initialize)
      return session.upstream ?? ways.shared(server(), session.principal)
    },
    reopen: async () => {
      if (await recoverSession(session, server(), { ways }))
        return session.upstream ?? ways.shared(server(), session.principal)
      const broken = session.upstream
      session.upstream = way
      await broken?.close()
      return undefined
    },
    refresh: (headers) => {
      const { 'mcp-session-id': _, ...others } = headers
      const id = session.upstreamSessionId
      return id === undefined ? others : { ...others, 'mcp-session-id': id }
    },
    era: () => (session.upstream === way ? undefined : session.upstream?.era),
  })
  return way
}

/** Whoever needed no credential needs none now, as long as the server is public and the same account pays. */
function publicCaller(
  { userId, accountId, keyId, loginId, grantId }: LeftSession,
  server: Server,
): Principal | undefined {
  const credential = keyId ?? loginId ?? grantId
  if (userId !== 'public' || credential !== undefined) return undefined
  if (server.access !== 'public' || server.publicAccountId !== accountId) return undefined
  return { userId, username: 'public', roles: [], accountId, via: 'public' }
}

/** Only to end the session at its server. */
const formerCaller = ({ userId, accountId }: LeftSession): Principal => ({
  userId,
  username: '',
  roles: [],
  accountId,
  via: 'public',
})
