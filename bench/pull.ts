import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'
import { startRegistry } from '#test/integration/registry.ts'
import { comeBeforeOthers } from './own-share.ts'
import { pullImages, pullImagesData } from './pull-images.ts'
import { measurePull, settle } from './pull-measure.ts'
import { pullTables } from './pull-table.ts'
import { type Runtime, startRuntime } from './runtimes.ts'
import { Figures } from './streaming-table.ts'

/** `hack/bench-pull`: pulls from a registry on this host, runtime by runtime in turns, as Markdown tables. */
const { values } = parseArgs({
  options: {
    runtimes: { type: 'string', default: 'cri-ts,containerd,crio' },
    images: { type: 'string', default: '' },
    n: { type: 'string', default: '3' },
    watched: { type: 'string', default: '1' },
    config: { type: 'string', default: '' },
    out: { type: 'string' },
  },
})

const images = await pullImagesData()
comeBeforeOthers()
// As JavaScript: what strips types is then kept in memory by each of the daemon's threads, some 10 MB each.
const loopDelay = '/run/loop-delay.mjs'
await build({
  entryPoints: [join(import.meta.dirname, 'loop-delay.ts')],
  outfile: loopDelay,
  logLevel: 'warning',
})
await using stack = new AsyncDisposableStack()
const registry = stack.use(await startRegistry({ data: images }))
const runtimes: Runtime[] = []
for (const name of values.runtimes.split(',')) {
  const env = {
    NODE_OPTIONS: `--import=${loopDelay}`,
    LOOP_DELAY_FILE: join('/run', `loop-delay-${runtimes.length}.json`),
  }
  runtimes.push(stack.use(await startRuntime(name, { registry: registry.host, config: values.config, env })))
}
const rows = pullImages
  .map(({ repository, compression }) => `${repository}:${compression}`)
  .filter((row) => row.includes(values.images))
  .map((row) => ({ row, columns: runtimes.map(({ name }) => ({ name, figures: new Figures() })) }))
const rounds = Number(values.n) + Number(values.watched)
for (const { row, columns } of rows) {
  const image = `${registry.host}/${row}`
  // Not counted: the registry's files come into memory, and what a daemon does at its first pull is done.
  for (const runtime of runtimes) await measurePull(runtime, image, { watch: false })
  for (let round = 0; round < rounds; round += 1) {
    // Who comes first changes from round to round.
    for (let turn = 0; turn < runtimes.length; turn += 1) {
      const at = (round + turn) % runtimes.length
      const runtime = runtimes[at] as Runtime
      const figures = await measurePull(runtime, image, { watch: round >= Number(values.n) })
      columns[at]?.figures.add(figures)
      console.error(
        `${row} ${runtime.name}: ${figures.map(({ name, value }) => `${name} ${value.toFixed(1)}`).join(', ')}`,
      )
    }
  }
}
console.log(pullTables(rows))
for (const runtime of runtimes) await settle(runtime)
if (values.out !== undefined) {
  const results = rows.map(({ row, columns }) => ({
    row,
    columns: columns.map(({ name, figures }) => ({ name, figures: figures.all() })),
  }))
  writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`)
}
