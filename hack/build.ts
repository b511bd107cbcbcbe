import { globSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { build } from 'esbuild'

const home = join(import.meta.dirname, '..')

/** `node hack/build.ts [OUTDIR [MAIN]]` */
if (import.meta.main) await bundle(process.argv[2] ?? join(home, 'dist'), process.argv[3])

/**
 * Bundles `main` and every worker into one flat directory: linux/worker-url.ts looks for a worker
 * beside the file that asks for it. What runs then needs node_modules for koffi alone, a native addon.
 * Files that are there already are replaced whole: what runs from `outdir` meanwhile finds the same ones.
 */
export async function bundle(outdir: string, main = 'main.ts'): Promise<void> {
  const workers = globSync('**/*.worker.ts', { cwd: home, exclude: ['node_modules/**', 'dist/**'] })
  const entries = [main, ...workers].map((path) => [basename(path, '.ts'), path] as const)
  const entryPoints = Object.fromEntries(entries)
  if (Object.keys(entryPoints).length < entries.length) {
    throw new Error(`two workers have one name, and the bundle is flat: ${workers.join(', ')}`)
  }
  const { outputFiles } = await build({
    absWorkingDir: home,
    entryPoints,
    outdir,
    write: false,
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
  await mkdir(outdir, { recursive: true })
  for (const { path, contents } of outputFiles) await replaceFile(path, contents)
  const built = outputFiles.map(({ path }) => basename(path))
  for (const name of await readdir(outdir)) {
    if (!built.includes(name)) await rm(join(outdir, name), { recursive: true, force: true })
  }
}

async function replaceFile(path: string, contents: Uint8Array): Promise<void> {
  const unfinished = `${path}.${process.pid}.new`
  await writeFile(unfinished, contents)
  await rename(unfinished, path)
}
