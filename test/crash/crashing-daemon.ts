import { cli } from '#cli/cli.ts'
import { createLogger } from '#config/logger.ts'
import { exitNow } from '#linux/exit-now.ts'
import { startDaemon } from '../../daemon.ts'
import { crashPoints } from './crash-points.ts'

/** The daemon as serve.ts starts it, that ends itself by SIGKILL where the orders in $CRI_TS_CRASH_ORDERS say so. */
process.exitCode = await cli(process.argv.slice(2), {
  version: 'crashing',
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  environment: process.env,
  async serve(config) {
    process.umask(0o022)
    const points = crashPoints(process.env['CRI_TS_CRASH_ORDERS'] ?? '/nowhere')
    const daemon = await startDaemon(config, {
      version: 'crashing',
      log: createLogger({ level: config.logLevel, format: config.logFormat }),
      wrapPort: points.wrap,
      atImageStep: (step) => points.pass(`imageStore.${step}`),
    })
    await new Promise((resolve) => process.once('SIGTERM', resolve))
    await daemon[Symbol.asyncDispose]()
    exitNow(0)
  },
})
