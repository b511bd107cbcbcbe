import { expect, test } from 'vitest'
import { Metrics } from '#lib/metrics.ts'
import { startMetricsServer } from './metrics-server.ts'

function counted(): Metrics {
  const metrics = new Metrics()
  metrics.counter({ name: 'pulls_total', help: 'Pulls.' }).add({}, 3)
  return metrics
}

test.for(['127.0.0.1', '::1'])('metrics are served to Prometheus on %s', async (host) => {
  await using server = await startMetricsServer({ host, port: 0 }, counted())
  const answer = await fetch(server.url)
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
  expect(await answer.text()).toContain('\npulls_total 3\n')
  expect((await fetch(server.url.replace('/metrics', '/v1/metrics?x=1'))).status).toBe(200)
})

test('nothing else is', async () => {
  await using server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, counted())
  expect((await fetch(server.url.replace('/metrics', '/'))).status).toBe(404)
  expect((await fetch(server.url, { method: 'POST', body: 'x' })).status).toBe(405)
})

test('an address that is taken is named, with the remedy', async () => {
  await using server = await startMetricsServer({ host: '127.0.0.1', port: 0 }, counted())
  const port = Number(new URL(server.url).port)
  await expect(startMetricsServer({ host: '127.0.0.1', port }, counted())).rejects.toMatchObject({
    kind: 'unavailable',
    message: `metrics.address 127.0.0.1:${port} can't be listened on: choose another, or "" for none`,
  })
})
