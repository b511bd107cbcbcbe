import { globSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

const home = join(import.meta.dirname, '..')

/** `node hack/build.ts [OUTDIR [MAIN]]` */
if (import.meta.main) await bundle(process.argv[2] ?? join(home, 'dist'), process.argv[3])

/**
 * Bundles `main` and every worker into one flat directory: linux/worker-url.ts looks for a worker
 * beside the file that asks for it. What runs then needs node_modules for koffi alone, a native addon.
 */
export async function bundle(outdir: string, main = 'main.ts'): Promise<void> {
  const workers = globSync('**/*.worker.ts', { cwd: home, exclude: ['node_modules/**', 'dist/**'] })
  const entries = [main, ...workers].map((path) => [basename(path, '.ts'), path] as const)
  const entryPoints = Object.fromEntries(entries)
  if (Object.keys(entryPoints).length < entries.length) {
    throw new Error(`two workers have one name, and the bundle is flat: ${workers.join(', ')}`)
  }
  await rm(outdir, { recursive: true, force: true })
  await build({
    absWorkingDir: home,
    entryPoints,
    outdir,
    bundle: true,
    splitting: true, // Each command reads only the code it runs.
    chunkNames: 'chunk-[hash]',
    format: 'esm',
    platform: 'node',
    target: 'node26',
    keepNames: true,
    legalComments: 'none',
    external: ['koffi'],
    // CommonJS packages in an ES module ask for a `require`.
    banner: {
      js: "import { createRequire as createRequireOf } from 'node:module'; const require = createRequireOf(import.meta.url);",
    },
    logLevel: 'warning',
  })
}
