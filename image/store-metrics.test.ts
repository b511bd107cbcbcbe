import { expect, test } from 'vitest'
import { Metrics } from '#lib/metrics.ts'
import { storeMetrics } from './store-metrics.ts'

test('metrics tell how many images there are, and what they and containers take', () => {
  const metrics = new Metrics()
  const usages = () => ({
    images: { path: '/i', usedBytes: 10, usedInodes: 2 },
    containers: { path: '/c', usedBytes: 30, usedInodes: 4 },
  })
  storeMetrics(metrics, { list: () => [], usages })
  expect(metrics.text().match(/^cri_ts.*$/gm)).toEqual([
    'cri_ts_images 0',
    'cri_ts_image_layers_used_bytes 10',
    'cri_ts_image_layers_used_inodes 2',
    'cri_ts_containers_written_bytes 30',
    'cri_ts_containers_written_inodes 4',
  ])
})
