// Installs what is missing before npm's scripts run: the locked packages and the pinned Node. Plain JS for Node ≥ 20.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const minNode = 24
const maxWaitMs = 600_000

/** Where the hash of the installed lock file is kept; goes with the folder that it describes. */
const stampPath = (root) => join(root, 'node_modules', '.tollbridge-lock')
const lockPath = (root) => join(root, 'package-lock.json')
export const pinnedNode = (root) => join(root, 'node_modules', '.bin', 'node')

/** Whether this is a clone (it has a lock file), not an installed package. */
export const isClone = (root) => existsSync(lockPath(root))

const lockHash = (root) =>
  createHash('sha256')
    .update(readFileSync(lockPath(root)))
    .digest('hex')

/** Where the hash of the sources is kept that the console was built of. */
const builtPath = (root) => join(root, 'node_modules', '.tollbridge-console')

/** Of everything that the console is built of; undefined where there is no console. */
function consoleHash(root) {
  const folder = join(root, 'console')
  if (!existsSync(folder)) return undefined
  const hash = createHash('sha256').update(lockHash(root))
  const names = readdirSync(folder, { recursive: true }).map(String).sort()
  for (const name of names)
    if (!name.startsWith('dist') && statSync(join(folder, name)).isFile())
      hash.update(`${name}\n`).update(readFileSync(join(folder, name)))
  return hash.digest('hex')
}

function isBuilt(root) {
  const wanted = consoleHash(root)
  try {
    const isThere = existsSync(join(root, 'console', 'dist', 'index.html'))
    return wanted === undefined || (isThere && readFileSync(builtPath(root), 'utf8') === wanted)
  } catch {
    return false
  }
}

/** Builds the console where its sources have changed. Returns what is wrong, or undefined. */
function buildConsole(root) {
  if (isBuilt(root)) return undefined
  const vite = join(root, 'node_modules', 'vite', 'bin', 'vite.js')
  const build = spawnSync(pinnedNode(root), [vite, 'build', 'console', '--logLevel', 'error'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  })
  if (build.status !== 0) return 'the console could not be built; the messages above say why'
  writeFileSync(builtPath(root), consoleHash(root))
  return undefined
}

/** Whether the packages of the lock file are installed and the console is built of its sources as they are. */
export function isInstalled(root) {
  try {
    const isThere = readFileSync(stampPath(root), 'utf8') === lockHash(root) && existsSync(pinnedNode(root))
    return isThere && isBuilt(root)
  } catch {
    return false
  }
}

/** Installs where that is needed. Returns a sentence that says what is wrong, or undefined. Talks to standard error. */
export function setUp(root) {
  if (isInstalled(root)) return undefined
  const unlock = takeLock(root)
  try {
    // Another process may have done it while this one waited; npm itself may have been run by hand.
    if (isInstalled(root)) return undefined
    if (!matchesLock(root)) {
      process.stderr.write('tollbridge: installing the locked packages (once)…\n')
      // Not `npm ci`: that refuses a lock file which lacks the optional packages of other platforms, and npm writes
      // such a file wherever it cannot see them. `install` takes the locked versions and checks their hashes as well.
      const npm = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
        cwd: root,
        // npm's own settings of an outer `npm start` stay out of it: it may run with other flags.
        env: withoutNpm(process.env),
        stdio: ['ignore', 2, 2],
        shell: process.platform === 'win32',
      })
      if (npm.error)
        return `npm could not be started (${npm.error.message}); install Node with npm and try again`
      if (npm.status !== 0) return '`npm install` failed; its messages above say why'
    }
    const fault = judgeNode(root)
    if (fault) return fault
    writeFileSync(stampPath(root), lockHash(root))
    return buildConsole(root)
  } finally {
    unlock()
  }
}

function withoutNpm(env) {
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => !/^npm_(config_(?!registry|cache|userconfig)|lifecycle|package|command)/i.test(name),
    ),
  )
}

/** Whether what npm says it installed is what the lock file wants; packages for other platforms may be missing. */
function matchesLock(root) {
  try {
    const wanted = JSON.parse(readFileSync(lockPath(root), 'utf8')).packages
    const there = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages
    return Object.entries(wanted).every(
      ([path, { version, optional }]) =>
        path === '' ||
        (there[path] ? there[path].version === version && existsSync(join(root, path)) : optional),
    )
  } catch {
    return false
  }
}

function judgeNode(root) {
  const run = spawnSync(pinnedNode(root), ['--version'], { encoding: 'utf8' })
  const major = Number(/^v(\d+)/.exec(run.stdout ?? '')?.[1] ?? 0)
  if (major >= minNode) return undefined
  return `the pinned Node is ${major ? `version ${major}` : 'not there'}; run \`npm rebuild node\`, or use Node ${minNode} or newer`
}

/** Two scripts that start together install once: the second waits until the first is done or dead. */
function takeLock(root) {
  const path = join(root, '.tmp', 'setup.lock')
  mkdirSync(join(root, '.tmp'), { recursive: true })
  for (let waitedMs = 0; ; waitedMs += 200) {
    try {
      const file = openSync(path, 'wx')
      writeSync(file, String(process.pid))
      closeSync(file)
      return () => rmSync(path, { force: true })
    } catch (error) {
      if (error.code !== 'EEXIST') throw error
    }
    if (waitedMs >= maxWaitMs || !holderLives(path)) rmSync(path, { force: true })
    else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200)
  }
}

function holderLives(path) {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    // Empty between opening and writing: taken a moment ago.
    if (pid > 0) process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const fault = setUp(resolve(import.meta.dirname ?? fileURLToPath(new URL('.', import.meta.url)), '..'))
  if (fault) {
    process.stderr.write(`tollbridge: ${fault}\n`)
    process.exitCode = 1
  }
}
