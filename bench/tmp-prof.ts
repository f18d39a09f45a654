import { startTestGateway, addServer } from '../test/harness/gateway.ts'
import { startUpstream, startTarget } from './targets.ts'
import { prepareRequests, drive } from './drive.ts'
import { cpuNs, pin } from './processes.ts'
const up = await startUpstream()
const prof = process.argv.includes('--prof')
const gw = await startTestGateway({ env: { TOLLBRIDGE_DURABILITY: 'disk' }, wrap: [], program: prof ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof', 'src/cli.ts', 'serve'] : ['src/cli.ts', 'serve'] })
pin(gw.process.pid!, 0)
await addServer(gw, 'bench', up.url + '/json-1k')
const key = (await gw.admin.ok('POST', '/api/v1/keys', { name: 'k' })).key
const bp = await startTarget('byte-proxy', up)
const bpe = bp.endpoint('json-1k')
const e = { url: gw.url + '/mcp/bench', token: key }
const r1 = await prepareRequests(e, 16), r2 = await prepareRequests(bpe, 16)
for (const connections of [1, 16, 64]) for (let round = 0; round < (prof ? 1 : 3); round++) {
  for (const [n, url, reqs, pid] of [['bp', bpe.url, r2, bp.pid], ['tb', e.url, r1, gw.process.pid]] as const) {
    const c0 = cpuNs(pid!)
    const res: any = await drive(url, reqs, { connections, seconds: 2, generator: 'wrk' } as any)
    console.log(connections, n, JSON.stringify(res), 'cpu/call us', ((cpuNs(pid!) - c0) / 1000 / (res.calls ?? res.answers ?? 1)).toFixed(1))
  }
}
await gw.stop(); await bp.stop(); await (up as any).stop()
