import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { adminSocket } from '#admin/client.ts'
import { metricsRoutes } from '#admin/metrics-routes.ts'
import { serveAdmin } from '#admin/server.ts'
import { Metrics } from '#lib/metrics.ts'
import { cli } from './cli.ts'

test('metrics prints what the daemon has counted', async () => {
  const state = mkdtempSync(join(tmpdir(), 'cli-'))
  const metrics = new Metrics()
  metrics.counter({ name: 'pulls_total', help: 'Pulls.' }).add({}, 3)
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const server = await serveAdmin(adminSocket(state), { routes: metricsRoutes(metrics), log })
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(state, { recursive: true })
  })
  const written: string[] = []
  const out = (text: string) => void written.push(text)
  const serve = async () => {}
  const host = { version: '1', out, err: out, environment: {}, serve }
  expect(await cli(['metrics', '--state', state], host)).toBe(0)
  expect(written.join('')).toBe(metrics.text())
})
