// Loaded before the gateway by `--import`: names that end in .test resolve to what the file STUB_HOSTS says at the moment.
import { readFileSync } from 'node:fs'
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const file = process.env['STUB_HOSTS']
const real = dns.lookup

type Done = (error: Error | null, addresses: { address: string; family: number }[]) => void

function lookup(hostname: string, options: object, done: Done): void {
  if (file === undefined || !hostname.endsWith('.test'))
    return real(hostname, options as dns.LookupAllOptions, done)
  const hosts = JSON.parse(readFileSync(file, 'utf8')) as Record<string, string[]>
  const addresses = (hosts[hostname] ?? []).map((address) => ({
    address,
    family: address.includes(':') ? 6 : 4,
  }))
  setImmediate(() => done(addresses.length > 0 ? null : new Error('ENOTFOUND'), addresses))
}

Object.assign(dns, { lookup })
syncBuiltinESMExports()
