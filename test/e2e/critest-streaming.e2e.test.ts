import { execFile } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { critestStreamingArchives } from '#test/fixtures/critest-images.ts'
import type { Daemon } from './daemon.ts'
import { HANDLERS, useDaemon } from './host.ts'

const CRITEST = join(process.env['CRI_TS_CACHE'] ?? '/var/cache/cri-ts', 'critest-v1.36.0/critest')
const SUITE = '[k8s.io] Streaming'
const PREFIX = 'runtime should support streaming interfaces runtime should support'
const PASSED = [
  `${PREFIX} attach [Conformance]: passed`,
  `${PREFIX} exec with tty=false and stdin=false [Conformance]: passed`,
  `${PREFIX} exec with tty=true and stdin=true [Conformance]: passed`,
  `${PREFIX} portforward [Conformance]: passed`,
  `${PREFIX} portforward in host network: passed`,
]
const WEBSOCKET = ['-websocket-exec', '-websocket-attach', '-websocket-portforward']
const OUTPUT_LIMIT_BYTES = 64 << 20

const daemon = useDaemon()

beforeAll(async () => {
  for (const [file, archive] of Object.entries(critestStreamingArchives())) {
    const path = join(daemon().directory, file)
    writeFileSync(path, archive)
    await daemon().criTs('images', 'import', path)
  }
})

test.for(
  HANDLERS.flatMap((handler) => [
    { handler, transport: 'SPDY', flags: [] },
    { handler, transport: 'WebSocket', flags: WEBSOCKET },
  ]),
)("$handler: critest's Streaming specs pass over $transport", async ({ handler, flags }) => {
  const { specs, output } = await critest(daemon(), ['-runtime-handler', handler, ...flags])

  expect(specs, output).toEqual(PASSED)
})

/** The report of Ginkgo, as far as it is looked at. */
interface SpecReport {
  readonly ContainerHierarchyTexts: readonly string[] | null
  readonly LeafNodeText: string
  readonly LeafNodeType: string
  readonly State: string
}

/** Runs the Streaming specs, and answers `NAME: STATE` of each, sorted, and all that critest printed. */
async function critest({ directory, socket }: Daemon, flags: readonly string[]) {
  const report = join(directory, 'critest.json')
  rmSync(report, { force: true })
  const focus = `-ginkgo.focus=${SUITE.replaceAll(/[[\].]/g, '\\$&')}`
  const endpoints = ['-runtime-endpoint', `unix://${socket}`, '-image-endpoint', `unix://${socket}`]
  const reporting = [`-ginkgo.json-report=${report}`, '-ginkgo.no-color']
  const output = await outputOf(CRITEST, [focus, ...reporting, ...endpoints, ...flags])
  if (!existsSync(report)) throw new Error(`critest wrote no report:\n${output}`)
  const suites = JSON.parse(readFileSync(report, 'utf8')) as readonly { SpecReports: readonly SpecReport[] }[]
  const specs = suites
    .flatMap(({ SpecReports }) => SpecReports)
    .filter((spec) => spec.LeafNodeType === 'It' && spec.ContainerHierarchyTexts?.[0] === SUITE)
    .map((spec) => {
      const names = [...(spec.ContainerHierarchyTexts ?? []).slice(1), spec.LeafNodeText]
      return `${names.join(' ')}: ${spec.State}`
    })
  return { specs: specs.toSorted(), output }
}

/** Of a program that may well fail: the report tells. */
const outputOf = (program: string, args: readonly string[]): Promise<string> =>
  new Promise((resolve) => {
    execFile(program, args, { maxBuffer: OUTPUT_LIMIT_BYTES }, (error, stdout, stderr) => {
      resolve(`${stdout}${stderr}${error === null ? '' : error.message}`)
    })
  })
