// A tool that counts aloud: a progress notification for each number, and the last one as its result.
import { setTimeout as sleep } from 'node:timers/promises'

export interface CountRequest {
  readonly id?: string | number
  readonly method?: string
  readonly params?: {
    readonly protocolVersion?: string
    readonly arguments?: { readonly to?: number; readonly everyMs?: number; readonly size?: number }
    readonly _meta?: { readonly progressToken?: string | number }
  }
}

/** What initialize is answered with. */
export const initialized = ({ params }: CountRequest): object => ({
  protocolVersion: params?.protocolVersion,
  capabilities: { tools: {} },
  serverInfo: { name: 'counting', version: '1' },
})

/** Says every message of a call. `everyMs` 0 counts without a pause. */
export async function count(request: CountRequest, say: (message: object) => void): Promise<void> {
  const { to = 10, everyMs = 1, size = 0 } = request.params?.arguments ?? {}
  const progressToken = request.params?._meta?.progressToken
  const message = 'x'.repeat(size)
  for (let progress = 1; progress <= to; progress++) {
    say({ method: 'notifications/progress', params: { progressToken, progress, message } })
    if (everyMs > 0) await sleep(everyMs)
  }
  say({ id: request.id, result: { content: [{ type: 'text', text: `counted to ${to}` }] } })
}
