// A61: over every client transport, caps refuse with the right error, and the idle and the absolute limit end sessions.
import { afterEach, describe, expect, test } from 'vitest'
import { initialize } from '../transports/rig.ts'
import { ApiCaller } from '../harness/gateway.ts'
import { newKey } from './callers.ts'
import { call, clientTransports, open, type ClientTransport, type Opened } from './openings.ts'
import { cleanUp, furnish, metric, onEnd, startGateway, startUpstream } from './rig.ts'
import { until } from '../harness/until.ts'

afterEach(cleanUp)

async function setStage(env: Record<string, string>) {
  const upstream = await startUpstream()
  const gateway = await startGateway({ env })
  const { key } = await furnish(gateway, upstream.url)
  const other = await newKey(await gateway.member('bob'))
  const enter = async (transport: ClientTransport, by = key, bare = false): Promise<Opened> => {
    const opened = await open(transport, { url: gateway.url, key: by, name: 'stub', bare })
    onEnd(() => opened.vanish())
    return opened
  }
  const sessions = (): Promise<number> => metric(gateway, 'tollbridge_sessions')
  /** Of all sessions, by their ids, which are in the order of their beginnings. */
  const statuses = async (): Promise<Readonly<Record<string, string>>> => {
    const all: { id: string; status: string }[] = await new ApiCaller(gateway.url, key).all(
      '/api/v1/sessions',
    )
    return Object.fromEntries(all.map(({ id, status }) => [id, status]))
  }
  return { gateway, upstream, enter, other, sessions, statuses }
}

/** The refusal's name, whether the connection or the first message was refused. */
async function refusal(entering: Promise<Opened>): Promise<string> {
  try {
    const answer = await (await entering).ask(initialize())
    return String(answer?.error?.data?.code ?? answer?.code ?? JSON.stringify(answer))
  } catch (error) {
    const text = String(error)
    // A stream or an upgrade that is refused has a status of its own, and no message.
    return /429|too_many_sessions/.test(text) ? 'too_many_sessions' : text
  }
}

describe.each(clientTransports)('a %s client', (transport) => {
  test('over its share, or over what all may have, is refused as too many, and an ended session makes room', async () => {
    const { enter, other, sessions } = await setStage({
      TOLLBRIDGE_SESSIONS_MAX_PER_PRINCIPAL: '2',
      TOLLBRIDGE_SESSIONS_MAX_TOTAL: '3',
    })
    const [first, second] = [await enter(transport), await enter(transport)]
    expect(await refusal(enter(transport, undefined, true))).toBe('too_many_sessions')
    const third = await enter(transport, other)
    expect(await refusal(enter(transport, other, true)), 'over the total').toBe('too_many_sessions')
    for (const opened of [first, second, third]) expect((await call(opened, 'still')).result).toBeDefined()
    await first.leave()
    await until(async () => (await sessions()) === 2, 'the first has ended')
    expect((await call(await enter(transport), 'again')).result).toBeDefined()
  }, 30_000)

  test('that says nothing for the idle time loses its session, one that speaks keeps it, none outlives the absolute limit', async () => {
    const { enter, upstream, statuses } = await setStage({
      TOLLBRIDGE_SESSIONS_IDLE_MS: '2000',
      TOLLBRIDGE_SESSIONS_ABSOLUTE_MS: '7000',
    })
    // Its server has no stream of its own: an open stream is use.
    upstream.on('GET', ({ response }) => void response.writeHead(405).end())
    const [silent, speaking] = [await enter(transport), await enter(transport)]
    const startMs = performance.now()
    const passedMs = (): number => performance.now() - startMs
    const [silentId = '', speakingId = ''] = Object.keys(await statuses()).toSorted()
    let last = 0
    const speak = async (): Promise<void> => {
      expect((await call(speaking, ++last)).result).toBeDefined()
    }
    // A connection has the same absolute limit, and whichever is noticed first ends the other.
    const ended = async (id: string): Promise<boolean> =>
      ['expired', 'closed'].includes((await statuses())[id] ?? '')
    await until(async () => (await speak(), ended(silentId)), 'the silent one ends', 5000)
    expect(passedMs()).toBeGreaterThan(1000)
    await until(async () => (await speak(), passedMs() > 5000), 'more than twice the idle time has passed')
    expect((await statuses())[speakingId]).toBe('active')
    const speakOn = async (): Promise<boolean> => {
      if (passedMs() < 6000) await speak()
      return ended(speakingId)
    }
    await until(speakOn, 'the absolute limit', 5000)
    expect(passedMs()).toBeGreaterThan(6000)
    // To a client of `connect` nothing has happened: it opens the next session by itself.
    if (transport === 'stdio') expect((await call(silent, 'on')).result).toBeDefined()
    else await until(async () => (await silent.over()) && (await speaking.over()), 'both see it')
    silent.vanish()
    speaking.vanish()
    await until(() => upstream.sessions.size === 0, 'the server was told')
  }, 30_000)
})
