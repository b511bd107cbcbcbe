import { cli } from '#cli/cli.ts'
import type { Terminal } from '#cli/live-lines.ts'
import manifest from './package.json' with { type: 'json' }

process.exitCode = await cli(process.argv.slice(2), {
  version: manifest.version,
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  terminal: process.stderr.isTTY ? terminalOf(process.stderr) : undefined,
  environment: process.env,
  serve: async (config) => {
    const { serve } = await import('./serve.ts')
    await serve(config, manifest.version)
  },
})

function terminalOf(stream: NodeJS.WriteStream): Terminal {
  return {
    write: (text) => stream.write(text),
    size: () => ({ columns: stream.columns || 80, rows: stream.rows || 24 }),
    onResize(listener) {
      stream.on('resize', listener)
      return () => stream.off('resize', listener)
    },
  }
}
