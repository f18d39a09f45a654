#!/usr/bin/env node
// The `tollbridge` command on any Node ≥ 20: sets up a fresh clone, then runs the program on Node ≥ 24.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { isClone, isInstalled, pinnedNode, setUp } from './setup.mjs'

const root = resolve(fileURLToPath(new URL('.', import.meta.url)), '..')
const program = resolve(root, 'src', 'cli.ts')

/** Replaces this process as well as Node 20 can: same standard streams, signals handed on, same end. */
function runOn(node) {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    process.on(signal, () => child.kill(signal))
  }
  child.on('error', (error) => {
    process.stderr.write(`tollbridge: ${node} could not be started (${error.message})\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

const fault = isClone(root) && !isInstalled(root) ? setUp(root) : undefined
if (fault) {
  process.stderr.write(`tollbridge: ${fault}\n`)
  process.exit(1)
} else if (Number(process.versions.node.split('.')[0]) >= 24) {
  process.argv[1] = program
  await import(pathToFileURL(program).href)
} else if (existsSync(pinnedNode(root))) {
  runOn(pinnedNode(root))
} else {
  process.stderr.write('tollbridge: needs Node 24 or newer; `npm install node@24` beside it also does\n')
  process.exit(1)
}
