import { cli } from '#cli/cli.ts'
import manifest from './package.json' with { type: 'json' }

process.exitCode = await cli(process.argv.slice(2), {
  version: manifest.version,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  serve: async (config) => {
    const { serve } = await import('./serve.ts')
    await serve(config, manifest.version)
  },
})
