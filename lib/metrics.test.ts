import { expect, test } from 'vitest'
import { Metrics } from './metrics.ts'

test('a metric without labels is there before anything has happened', () => {
  const metrics = new Metrics()
  const pulls = metrics.counter({ name: 'pulls_total', help: 'Pulls.' })
  const open = metrics.gauge({ name: 'open', help: 'Open\nones \\.' })
  expect(metrics.text()).toBe(
    '# HELP pulls_total Pulls.\n# TYPE pulls_total counter\npulls_total 0\n' +
      '# HELP open Open\\nones \\\\.\n# TYPE open gauge\nopen 0\n',
  )
  pulls.add({})
  pulls.add({}, 2.5)
  open.add({})
  open.add({}, -1)
  expect(metrics.text()).toContain('\npulls_total 3.5\n')
  expect(metrics.text()).toContain('\nopen 0\n')
})

test('a sampled gauge has the value of the moment', () => {
  const metrics = new Metrics()
  let images = 1
  metrics.sampled({ name: 'images', help: 'Images.' }, () => images)
  expect(metrics.text()).toBe('# HELP images Images.\n# TYPE images gauge\nimages 1\n')
  images = 2
  expect(metrics.text()).toContain('\nimages 2\n')
})

test('a series that is announced is there before anything has happened', () => {
  const metrics = new Metrics()
  metrics.counter({ name: 'r_total', help: 'R', labels: ['result'] }).add({ result: 'success' }, 0)
  expect(metrics.text()).toContain('\nr_total{result="success"} 0\n')
})

test('values of labels are counted apart, whatever they hold', () => {
  const metrics = new Metrics()
  const requests = metrics.counter({ name: 'r_total', help: 'R', labels: ['host', 'outcome'] })
  requests.add({ host: 'a', outcome: 'b"\n\\' })
  requests.add({ outcome: '', host: 'a' }, 3)
  requests.add({ host: 'a', outcome: 'b"\n\\' })
  expect(metrics.text().split('\n').slice(2, -1)).toEqual([
    'r_total{host="a",outcome="b\\"\\n\\\\"} 2',
    'r_total{host="a",outcome=""} 3',
  ])
})

test('a histogram counts what lies below each bound', () => {
  const metrics = new Metrics()
  const seconds = metrics.histogram({ name: 's', help: 'S', bounds: [0.5, 1, 10], labels: ['kind'] })
  for (const value of [0.5, 0.6, 2, 100]) seconds.observe({ kind: 'x' }, value)
  expect(metrics.text().split('\n').slice(2, -1)).toEqual([
    's_bucket{kind="x",le="0.5"} 1',
    's_bucket{kind="x",le="1"} 2',
    's_bucket{kind="x",le="10"} 3',
    's_bucket{kind="x",le="+Inf"} 4',
    's_sum{kind="x"} 103.1',
    's_count{kind="x"} 4',
  ])
})

test('more values of a label than can be kept are counted together', () => {
  const metrics = new Metrics()
  const requests = metrics.counter({ name: 'r_total', help: 'R', labels: ['host'] })
  for (let number = 0; number < 1000; number += 1) requests.add({ host: String(number) })
  const lines = metrics.text().split('\n').slice(2, -1)
  expect(lines).toHaveLength(201)
  expect(lines.at(-1)).toBe('r_total{host="other"} 800')
})

test('a name is given once', () => {
  const metrics = new Metrics()
  metrics.gauge({ name: 'a', help: '' })
  expect(() => metrics.counter({ name: 'a', help: '' })).toThrow('two metrics a')
})
