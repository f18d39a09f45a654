// PostgreSQL's text values as the same JavaScript values that SQLite gives: bigint, number, string, Uint8Array.
import type { CustomTypesConfig } from 'pg'

type Parser = (text: string) => unknown

const toBigInt: Parser = (text) => BigInt(text)

/** Sums of bigint are numeric without a fraction, averages have one: an integer and a real, as on SQLite. */
const toNumeric: Parser = (text) => (/^-?\d+$/.test(text) ? BigInt(text) : Number(text))

/** `\x` and hexadecimal digits (bytea_output's default). */
const toBytes: Parser = (text) => new Uint8Array(Buffer.from(text.slice(2), 'hex'))

/** By type oid (pg_type.dat). */
const parsers = new Map<number, Parser>([
  [16, (text) => (text === 't' ? 1n : 0n)], // bool
  [17, toBytes], // bytea
  [20, toBigInt], // int8
  [21, toBigInt], // int2
  [23, toBigInt], // int4
  [700, Number], // float4
  [701, Number], // float8
  [1700, toNumeric], // numeric
])

const asText: Parser = (text) => text

/** For a client's `types`: what is not listed stays text. */
export const postgresTypes: CustomTypesConfig = {
  getTypeParser: (oid: number) => parsers.get(oid) ?? asText,
}
