import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { useCritestRegistry } from './critest-registry.ts'
import { describeCritest } from './critest-specs.ts'
import { HANDLERS, useUncheckedDaemon } from './host.ts'

const PARAMETERS = new URL('../fixtures/critest-benchmarks.yaml', import.meta.url).pathname
const SAMPLES = 10
/** By file, what critest measures. */
const OPERATIONS = {
  'container_benchmark_data.json': [
    'CreateContainer',
    'StartContainer',
    'StatusContainer',
    'StopContainer',
    'RemoveContainer',
  ],
  'image_lifecycle_benchmark_data.json': ['PullImage', 'StatusImage', 'RemoveImage'],
  'image_listing_benchmark_data.json': ['ListImages'],
  'pod_benchmark_data.json': ['CreatePod', 'StatusPod', 'StopPod', 'RemovePod'],
}

/** What critest writes, as far as it is looked at. */
interface Results {
  readonly operationsNames: readonly string[]
  readonly datapoints: readonly { readonly operationsDurationsNs: readonly number[] }[]
}

const registriesDir = useCritestRegistry()
const results = mkdtempSync('/run/cri-ts-benchmarks-')
afterAll(() => rmSync(results, { recursive: true }))
const daemon = useUncheckedDaemon({ config: `[image]\nregistries_dir = "${registriesDir}"` })

for (const handler of HANDLERS) {
  const output = join(results, handler)
  mkdirSync(output)
  const parameters = ['-benchmarking-params-file', PARAMETERS, '-benchmarking-output-dir', output]
  describeCritest(`${handler}: critest's benchmarks:`, daemon, {
    flags: ['-runtime-handler', handler, '-benchmark', ...parameters],
    timeoutMs: 8 * 60_000,
  })

  test(`${handler}: critest's benchmarks have measured every operation`, () => {
    const measured = readdirSync(output)
      .toSorted()
      .map((file): [string, Results] => [file, JSON.parse(readFileSync(join(output, file), 'utf8'))])
    console.log([`${handler}, medians:`, ...measured.flatMap(([, result]) => medians(result))].join('\n  '))
    expect(
      Object.fromEntries(measured.map(([file, { operationsNames }]) => [file, operationsNames])),
    ).toEqual(OPERATIONS)
    for (const [file, { datapoints }] of measured) expect(datapoints, file).toHaveLength(SAMPLES)
  })
}

const medians = ({ operationsNames, datapoints }: Results): readonly string[] =>
  operationsNames.map((name, index) => {
    const durations = datapoints.map(({ operationsDurationsNs }) => operationsDurationsNs[index] ?? 0)
    const median = durations.toSorted((one, other) => one - other)[durations.length >> 1] ?? 0
    return `${name}: ${(median / 1e6).toFixed(1)} ms`
  })
