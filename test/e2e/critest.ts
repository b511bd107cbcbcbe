import { execFile, execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { built, CACHE } from '#test/fixtures/built.ts'
import type { Daemon } from './daemon.ts'

/** What hack/deps --tests has built: this version, for our image with a digest. */
const DIGEST = readFileSync(new URL('../fixtures/critest-image.digest', import.meta.url), 'utf8').trim()
const critestProgram = (): string =>
  built(join(CACHE, `critest-v1.36.0-${DIGEST.slice('sha256:'.length, 'sha256:'.length + 16)}`, 'critest'))
const ginkgoProgram = (): string => built(join(CACHE, 'ginkgo-v1.36.0/ginkgo'))
const OUTPUT_LIMIT_BYTES = 64 << 20

export interface CritestOptions {
  /** What critest is given beyond endpoints and reports. */
  readonly flags: readonly string[]
  /** How many specs run at a time. */
  readonly nodes?: number
  readonly timeoutMs: number
}

export interface Spec {
  /** All its texts, from the outermost. */
  readonly name: string
  readonly state: string
  /** Why it was skipped or has failed, and where. */
  readonly message: string
  /** What it did until then. */
  readonly journal: string
}

export interface CritestResult {
  /** By their names; none when critest wrote no report. */
  readonly specs: ReadonlyMap<string, Spec>
  /** All that critest printed. */
  readonly output: string
}

/** The names of the specs that critest runs with these flags. */
export function specNames(flags: readonly string[]): readonly string[] {
  const directory = mkdtempSync(join(tmpdir(), 'cri-ts-critest-'))
  try {
    const report = join(directory, 'specs.json')
    const args = ['-ginkgo.dry-run', `-ginkgo.json-report=${report}`, ...flags]
    execFileSync(critestProgram(), args, { maxBuffer: OUTPUT_LIMIT_BYTES, stdio: ['ignore', 'pipe', 'pipe'] })
    return specsOf(report).map(({ name }) => name)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Runs critest against the daemon; its temporary files lie below the daemon's directory. */
export async function runCritest(
  { directory, socket }: Daemon,
  { flags, nodes = 1, timeoutMs }: CritestOptions,
): Promise<CritestResult> {
  const scratch = join(directory, 'critest')
  const report = join(scratch, 'report.json')
  mkdirSync(scratch)
  writeFileSync(join(scratch, 'sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 }) // It asks sudo for apparmor_parser.
  const endpoints = ['-runtime-endpoint', `unix://${socket}`, '-image-endpoint', `unix://${socket}`]
  const reporting = [`-ginkgo.json-report=${report}`, '-ginkgo.no-color']
  const path = [dirname(ginkgoProgram()), scratch, process.env['PATH']].join(delimiter)
  const env = { ...process.env, TMPDIR: scratch, PATH: path }
  const parallel = nodes === 1 ? [] : ['-parallel', `${nodes}`]
  const args = [...endpoints, ...reporting, ...flags, ...parallel]
  const output = await outputOf(critestProgram(), args, env, timeoutMs)
  const specs = existsSync(report) ? specsOf(report) : []
  rmSync(scratch, { recursive: true })
  return { specs: new Map(specs.map((spec) => [spec.name, spec])), output }
}

/** The report of Ginkgo, as far as it is looked at. */
interface SpecReport {
  readonly ContainerHierarchyTexts: readonly string[] | null
  readonly LeafNodeText: string
  readonly LeafNodeType: string
  readonly State: string
  readonly Failure?: {
    readonly Message?: string
    readonly Location?: { readonly FileName: string; readonly LineNumber: number }
  }
  readonly CapturedGinkgoWriterOutput?: string
}

/** Those that ran, or asked themselves to be skipped: others were not selected. */
function specsOf(report: string): readonly Spec[] {
  const suites = JSON.parse(readFileSync(report, 'utf8')) as readonly { SpecReports: readonly SpecReport[] }[]
  return suites
    .flatMap(({ SpecReports }) => SpecReports)
    .filter((spec) => spec.LeafNodeType === 'It' && (spec.State !== 'skipped' || spec.Failure?.Message))
    .map((spec) => {
      const { Message = '', Location } = spec.Failure ?? {}
      const where = Location === undefined ? '' : `\n${Location.FileName}:${Location.LineNumber}`
      return {
        name: [...(spec.ContainerHierarchyTexts ?? []), spec.LeafNodeText].join(' ').replace('[k8s.io] ', ''),
        state: spec.State,
        message: spec.State === 'skipped' ? Message : `${Message}${where}`,
        journal: spec.CapturedGinkgoWriterOutput ?? '',
      }
    })
}

/** Of a program that may well fail: the report tells. */
const outputOf = (
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  timeout: number,
): Promise<string> =>
  new Promise((resolve) => {
    const options = { maxBuffer: OUTPUT_LIMIT_BYTES, env, timeout, killSignal: 'SIGKILL' } as const
    execFile(program, args, options, (error, stdout, stderr) => {
      resolve(`${stdout}${stderr}${error === null ? '' : error.message}`)
    })
  })
