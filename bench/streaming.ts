import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type Runtime, startRuntime } from './runtimes.ts'
import { importStreamingImage } from './streaming-image.ts'
import { type StreamingPod, startStreamingPod } from './streaming-pod.ts'
import { scenarios } from './streaming-scenarios.ts'
import { Figures, figuresTable } from './streaming-table.ts'

/** `hack/bench-streaming`: exec and port-forward over streams, beside containerd on the same host, as a Markdown table. */
const { values } = parseArgs({
  options: {
    runtimes: { type: 'string', default: 'cri-ts,containerd' },
    handler: { type: 'string', default: 'runc' },
    scenarios: { type: 'string', default: 'iabcd' },
    n: { type: 'string', default: '5' },
    out: { type: 'string' },
  },
})

const failures: string[] = []
await using stack = new AsyncDisposableStack()
const subjects: { runtime: Runtime; pod: StreamingPod; figures: Figures }[] = []
for (const name of values.runtimes.split(',')) {
  const runtime = stack.use(await startRuntime(name))
  await importStreamingImage(runtime)
  const pod = stack.use(await startStreamingPod(runtime, values.handler))
  subjects.push({ runtime, pod, figures: new Figures() })
}
for (const [letter, scenario] of scenarios) {
  if (!values.scenarios.includes(letter)) continue
  for (let run = 0; run < Number(values.n); run += 1) {
    // Who comes first changes from run to run.
    for (const subject of run % 2 === 0 ? subjects : subjects.toReversed()) {
      await scenario(subject.runtime, subject.pod).then(
        (figures) => subject.figures.add(figures),
        (error: unknown) => void failures.push(`${subject.runtime.name}, scenario ${letter}: ${error}`),
      )
    }
  }
}
const columns = subjects.map(({ runtime, figures }) => ({ name: runtime.name, figures }))
console.log(`\nhandler ${values.handler}, n = ${values.n}\n\n${figuresTable(columns)}`)
for (const failure of new Set(failures)) console.log(`\nFAILED: ${failure}`)
if (failures.length > 0) process.exitCode = 1
const results = subjects.map(({ runtime, figures }) => ({
  runtime: runtime.name,
  figures: figures.all(),
}))
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`)
