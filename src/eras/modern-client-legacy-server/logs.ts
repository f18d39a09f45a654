// A modern client at a legacy server: log levels, which the one era names per request and the other per conversation.
import type { JsonRpcMessage } from '../../wire/json-rpc.ts'
import { metaOf, modernMetaKeys } from './server.ts'

/** From the least to the most severe (RFC 5424, as MCP "Logging" lists them). */
const levels = ['debug', 'info', 'notice', 'warning', 'error', 'critical', 'alert', 'emergency'] as const
export type LogLevel = (typeof levels)[number]

export const isLogLevel = (value: unknown): value is LogLevel => levels.some((level) => level === value)

/** The level that a request asks for; without one it hears no log messages. */
export function logLevelOf(request: JsonRpcMessage): LogLevel | undefined {
  const level = metaOf(request)[modernMetaKeys.logLevel]
  return isLogLevel(level) ? level : undefined
}

/** The level under which every one of these hears what it asked for; undefined where there is none. */
export function lowestLevel(wanted: Iterable<LogLevel | undefined>): LogLevel | undefined {
  let lowest: number = levels.length
  for (const level of wanted) if (level !== undefined) lowest = Math.min(lowest, levels.indexOf(level))
  return levels[lowest]
}

/** Whether a log message is for a request that asked for `wanted`. */
export function isLogFor(message: JsonRpcMessage, wanted: LogLevel | undefined): boolean {
  const level = message.params?.['level']
  return wanted !== undefined && isLogLevel(level) && levels.indexOf(level) >= levels.indexOf(wanted)
}
