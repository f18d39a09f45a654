import { startTestGateway, addServer } from '../test/harness/gateway.ts'
import { startUpstream, startTarget } from './targets.ts'
import { prepareRequests, drive } from './drive.ts'
import { cpuNs, pin } from './processes.ts'
import { readdirSync, readFileSync } from 'node:fs'
const threads = (pid: number) => Object.fromEntries(readdirSync(`/proc/${pid}/task`).map((t) => [t + ' ' + readFileSync(`/proc/${pid}/task/${t}/comm`, 'utf8').trim(), Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]) / 1000]))
const up = await startUpstream()
const prof = process.argv.includes('--prof')
const gw = await startTestGateway({ env: { TOLLBRIDGE_DURABILITY: 'disk' }, wrap: ['sh', '-c', 'exec "$@" | tee /tmp/gc.out', 'x'], program: ['--trace-gc', 'src/cli.ts', 'serve'] })
pin(gw.process.pid!, 0)
await addServer(gw, 'bench', up.url + '/json-1k'); await gw.admin.ok('POST', '/api/v1/billing/rules', { name: 'b', priority: 1, active: true, currency: 'USD', match: { tool: '*' }, price: { perCall: '0.0001', perKb: '0.00001' } }); await gw.admin.ok('PATCH', '/api/v1/billing/accounts/' + gw.admin.accountId, { mode: 'prepaid' }); await gw.admin.ok('POST', '/api/v1/billing/accounts/' + gw.admin.accountId + '/grants', { amount: '100000' })
const key = (await gw.admin.ok('POST', '/api/v1/keys', { name: 'k' })).key
const bp = await startTarget('byte-proxy', up)
const bpe = bp.endpoint('json-1k')
const e = { url: gw.url + '/mcp/bench', token: key }
const r1 = await prepareRequests(e, 16), r2 = await prepareRequests(bpe, 16)
for (const connections of (process.env['CONNS'] ?? '1,16,64').split(',').map(Number)) for (let round = 0; round < (prof ? 1 : 2); round++) {
  for (const [n, url, reqs, pid] of [['bp', bpe.url, r2, bp.pid], ['tb', e.url, r1, gw.process.pid]] as const) {
    const c0 = cpuNs(pid!), t0 = threads(pid!); const m0 = n === 'tb' ? await (await fetch(gw.url + '/metrics')).text() : ''
    const res: any = await drive(url, reqs, { connections, seconds: 2, generator: 'wrk' } as any)
    const m1 = n === 'tb' ? await (await fetch(gw.url + '/metrics')).text() : ''; const g = (t: string, k: string) => Number(new RegExp('^' + k + ' (.*)', 'm').exec(t)?.[1] ?? 0); const commits = g(m1, 'tollbridge_store_commit_seconds_count') - g(m0, 'tollbridge_store_commit_seconds_count'), cs = g(m1, 'tollbridge_store_commit_seconds_sum') - g(m0, 'tollbridge_store_commit_seconds_sum'); const t1 = threads(pid!); console.log(Object.entries(t1).map(([k, v]) => [k, ((v - (t0[k] ?? 0)) / res.answered).toFixed(1)] as const).filter(([, v]) => Number(v) > 0.5).map(([k, v]) => k + '=' + v).join(' ')); console.log(connections, n, 'per commit', (res.answered / commits).toFixed(1), 'commit ms', (1000 * cs / commits).toFixed(3), JSON.stringify(res), 'cpu/call us', ((cpuNs(pid!) - c0) / 1000 / res.answered).toFixed(1))
  }
}
await gw.stop(); await bp.stop(); await (up as any).stop()
