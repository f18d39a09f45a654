#!/usr/bin/env node
// The command line: hands argv to the commands and sets the exit code.
import { enableCompileCache } from 'node:module'

enableCompileCache()
const { runCli } = await import('./commands/program.ts')
const { processIo } = await import('./commands/io.ts')
process.exitCode = await runCli(process.argv.slice(2), processIo())
