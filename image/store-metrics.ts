import type { Metrics } from '#lib/metrics.ts'
import type { LocalImageStore } from './image-store.ts'

/** Gauges of what images and containers take; nothing is measured for them that nobody else asked for. */
export function storeMetrics(metrics: Metrics, store: Pick<LocalImageStore, 'list' | 'usages'>): void {
  metrics.sampled(
    { name: 'cri_ts_images', help: 'Images that are here, each once.' },
    () => store.list().length,
  )
  const gauges = [
    ['images', 'image_layers_used', 'layers of images take, uncompressed'],
    ['containers', 'containers_written', 'containers have written, as it was measured last'],
  ] as const
  for (const [of, name, what] of gauges) {
    metrics.sampled(
      { name: `cri_ts_${name}_bytes`, help: `What ${what}.` },
      () => store.usages()[of].usedBytes,
    )
    metrics.sampled(
      { name: `cri_ts_${name}_inodes`, help: `Inodes of what ${what}.` },
      () => store.usages()[of].usedInodes,
    )
  }
}
