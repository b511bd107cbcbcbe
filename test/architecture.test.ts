import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'

/** The rules of CONTRIBUTING.md. A file at the root (main.ts, serve.ts) belongs to the folder ''. */
const EVERYTHING = 'everything'
/** What the runtime asks of the host, and what it keeps. */
const PORTS_AND_RECORDS = /^#runtime\/(?:ports|[\w-]+-port|handler|[\w-]+\/record)\.ts$/

/** Who may import whom: a folder, or what of it. Everybody may import lib. */
const mayImport: { readonly [folder: string]: readonly (string | RegExp)[] | typeof EVERYTHING } = {
  lib: [],
  proto: [],
  config: [/^#runtime\/(?:handler|mount-settings|container-defaults|confinement)\.ts$/],
  runtime: [],
  linux: [PORTS_AND_RECORDS],
  store: [PORTS_AND_RECORDS, /^#image\/(?:image|signature)-records\.ts$/],
  cni: [PORTS_AND_RECORDS, 'linux'],
  image: [PORTS_AND_RECORDS, 'linux'],
  cri: ['runtime', 'image', 'proto'],
  admin: EVERYTHING,
  cli: EVERYTHING,
  hack: EVERYTHING,
  bench: EVERYTHING,
  test: EVERYTHING,
  '': EVERYTHING,
}

/** Which folders and files may use a module; one that is not listed here is free. */
const mayUse: readonly (readonly [module: RegExp, users: readonly string[]])[] = [
  [/^(?:node:child_process|koffi)$/, ['linux']],
  [/^@grpc\//, ['cri', '']],
  [/^zod$/, ['config', 'admin', 'image', 'cni', 'linux', 'store']],
  [/^node:sqlite$/, ['store']],
  [
    /^node:fs(?:\/promises)?$/,
    ['linux', 'store', 'image', 'cni', 'config', 'admin', 'cli', 'hack', 'cri/server.ts', ''],
  ],
  [/^yaml$/, ['linux']],
  [/^(?:commander|smol-toml|pino|pino-pretty)$/, ['cli', 'config', 'hack', 'image', 'cni', 'lib', '']],
]

const LINE_LIMIT = 250
const FORBIDDEN_NAMES = ['utils', 'util', 'helpers', 'helper', 'common', 'types', 'index']

const files = globSync('**/*.ts', { exclude: ['node_modules/**', 'dist/**', 'proto/gen/**'] })

describe('every file keeps the rules', () => {
  test.for(files)('%s', (file) => {
    expect(violations(file, readFileSync(file, 'utf8'))).toEqual([])
  })
})

describe('a violation is found', () => {
  test.for<[file: string, text: string]>([
    ['lib/a.ts', "import { x } from '#runtime/ports.ts'"],
    ['runtime/a.ts', "import type {\n  X,\n} from '#linux/libc.ts'"],
    ['runtime/container/a.ts', "import { readFile } from 'node:fs/promises'"],
    ['runtime/a.ts', "import koffi from 'koffi'"],
    ['image/a.ts', "const { spawn } = await import('node:child_process')"],
    ['store/a.ts', "import { x } from '#runtime/container/containers.ts'"],
    ['cri/a.ts', "export { x } from '#linux/libc.ts'"],
    ['cri/a.ts', "import '#config/config.ts'"],
    ['cli/a.ts', "import grpc from '@grpc/grpc-js'"],
    ['cri/runtime-service/a.ts', "import { x } from '../../runtime/ports.ts'"],
    ['cri/runtime-service/a.test.ts', "import { x } from '../../runtime/ports.ts'"],
    ['lib/a.ts', "import { x } from './b.js'"],
    ['lib/a.ts', "import { x } from '#lib/errors'"],
    ['elsewhere/a.ts', "import { x } from '#lib/errors.ts'"],
    ['lib/utils.ts', ''],
    ['runtime/container/index.ts', ''],
    ['cri/a/b/c.ts', ''],
    ['lib/a.ts', 'x\n'.repeat(LINE_LIMIT + 1)],
  ])('%s: %s', ([file, text]) => {
    expect(violations(file, text)).toHaveLength(1)
  })
})

describe('what is allowed is not', () => {
  test.for<[file: string, text: string]>([
    ['runtime/container/a.ts', "import { x } from '../ports.ts'\nimport { y } from '#lib/ids.ts'"],
    ['store/a.ts', "import type { X } from '#runtime/pod-sandbox/record.ts'"],
    ['cni/a.ts', "import { x } from '#linux/command.ts'\nimport { z } from 'zod'"],
    ['main.ts', "import { x } from '#cli/cli.ts'\nawait import('./serve.ts')"],
    ['runtime/a.test.ts', "import { x } from '#test/fakes/records.ts'\nimport fs from 'node:fs'"],
    ['test/crash/a.ts', "import { x } from '../../daemon.ts'"],
    ['lib/a.ts', 'x\n'.repeat(LINE_LIMIT)],
  ])('%s: %s', ([file, text]) => {
    expect(violations(file, text)).toEqual([])
  })
})

/** What is wrong with a file, a sentence each. */
function violations(file: string, text: string): string[] {
  return [
    ...shapeViolations(file, text),
    ...importsOf(text).flatMap((path) => importViolation(file, path) ?? []),
  ]
}

function shapeViolations(file: string, text: string): string[] {
  const found: string[] = []
  const lines = text.split('\n').length - 1
  const [folder = ''] = foldersOf(file)
  if (lines > LINE_LIMIT) found.push(`${file} has ${lines} lines, more than ${LINE_LIMIT}: split it`)
  if (foldersOf(file).length > 2) found.push(`${file} lies more than two folders deep`)
  if (!(folder in mayImport)) found.push(`${folder}/ is in no rule: add it to mayImport`)
  if (FORBIDDEN_NAMES.includes(basename(file).split('.')[0] ?? '')) {
    found.push(`${file} is named after nothing it holds: name it as its main export`)
  }
  return found
}

function importViolation(file: string, path: string): string | undefined {
  const folder = foldersOf(file)[0] ?? ''
  const isOurs = path.startsWith('.') || path.startsWith('#')
  if (isOurs && !/\.(?:ts|json)$/.test(path)) return `${path} lacks its extension`
  if (path.startsWith('.')) return relativeViolation(file, folder, path)
  if (isTest(file)) return undefined
  return path.startsWith('#') ? folderViolation(folder, path) : moduleViolation(file, folder, path)
}

function relativeViolation(file: string, folder: string, path: string): string | undefined {
  const target = foldersOf(join(file, '..', path))[0] ?? ''
  // The top, where the parts are put together, has no name to import it by: a test starts it all the same.
  if (target === folder || (target === '' && folder === 'test')) return undefined
  return `${path} leaves its folder: import #${target}/`
}

function folderViolation(folder: string, path: string): string | undefined {
  const target = path.slice(1).split('/')[0] ?? ''
  const allowed = mayImport[folder] ?? EVERYTHING
  if (target === folder || target === 'lib' || allowed === EVERYTHING) return undefined
  const fits = allowed.some((rule) => (typeof rule === 'string' ? rule === target : rule.test(path)))
  return fits ? undefined : `${folder}/ may not import ${path}`
}

function moduleViolation(file: string, folder: string, module: string): string | undefined {
  const rule = mayUse.find(([pattern]) => pattern.test(module))
  const isFree = rule === undefined || rule[1].includes(folder) || rule[1].includes(file)
  return isFree ? undefined : `${folder}/ may not use ${module}`
}

/** Tests and measurements may use any module and any folder. */
const isTest = (file: string): boolean => /^(?:test|bench)\/|\.test\.ts$/.test(file)

const foldersOf = (file: string): string[] => file.split('/').slice(0, -1)

/** The paths of `import … from`, `export … from`, `import '…'` and `import('…')`. */
function importsOf(text: string): string[] {
  const statements =
    /^\s*(?:import\s*|(?:import|export)\b[^'"`;=()]*?\bfrom\s*)'([^']+)'|\bimport\('([^']+)'\)/gm
  return [...text.matchAll(statements)].map(([, fixed, dynamic]) => fixed ?? dynamic ?? '')
}
