import { globSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

const home = join(import.meta.dirname, '..')
/** Threads that run while an operator looks at a store, and no other time. */
const RARE = ['image/layer-check.worker.ts']
const workers = globSync('**/*.worker.ts', { cwd: home, exclude: ['node_modules/**', 'dist/**'] })

// zod alone takes 4.5 MB of the heap of each thread that loads it, and 5.7 MB more while it is compiled.
test.for(workers.filter((worker) => !RARE.includes(worker)))(
  '%s loads no package when it starts',
  async (worker) => {
    const { metafile } = await build({
      absWorkingDir: home,
      entryPoints: [worker],
      bundle: true,
      write: false,
      metafile: true,
      format: 'esm',
      platform: 'node',
      external: ['koffi'],
    })
    const loaded = new Set([worker])
    for (const file of loaded) {
      const imports = metafile.inputs[file]?.imports ?? []
      for (const { path, kind, external } of imports)
        if (kind !== 'dynamic-import' && !external) loaded.add(path)
    }
    expect([...loaded].filter((file) => file.startsWith('node_modules/'))).toEqual([])
  },
)
