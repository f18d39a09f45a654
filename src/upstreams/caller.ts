// On whose behalf a server is asked, as far as servers may hear of it.
import type { Server } from '../registry/server.ts'

export interface UpstreamCaller {
  readonly userId: string
  readonly username: string
  readonly accountId: string
  readonly roles: readonly string[]
  readonly groups?: readonly string[]
}

/** Whether what a server is shown depends on who calls, so that callers share no session with it. */
export const isPersonal = ({ auth, identity }: Pick<Server, 'auth' | 'identity'>): boolean =>
  identity !== undefined || (auth.type === 'oauth2' && auth.grant !== 'client-credentials')

/** The same for callers that a server cannot tell apart. */
export const personOf = ({ userId, username, accountId, roles, groups = [] }: UpstreamCaller): string =>
  JSON.stringify([userId, username, accountId, roles, groups])
