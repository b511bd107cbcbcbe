import { CriError } from '#lib/errors.ts'
import type { Metrics } from '#lib/metrics.ts'
import type { PullProgress } from './pull-progress.ts'

/** Hears how registries answer. */
export interface RegistryObserver {
  /** `outcome` is the status, or `unreachable` where there was none. */
  answered(endpoint: string, outcome: string): void
  /** What failed there in passing is asked for again. */
  retried(endpoint: string): void
  /** An endpoint that has failed before was not asked at all. */
  skipped(endpoint: string): void
}

/** Counts pulls, each once, however many callers share it. */
export interface PullObserver {
  readonly registries: RegistryObserver
  received(bytes: number): void
  /** Answers the pull's result; `progress` is read when that is there. */
  observed<Result>(pull: Promise<Result>, progress: PullProgress): Promise<Result>
}

/** What pulls end as in the usual course: there from the start, so that the first failure is a rise of a counter. */
const RESULTS = [
  ...['success', 'not-found', 'unauthenticated', 'unavailable', 'unverified', 'failed-precondition'],
  ...['invalid-argument', 'cancelled', 'internal'],
]
const DURATION_BOUNDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600]

/** `nowMs` is of a monotonic clock. */
export function pullMetrics(metrics: Metrics, nowMs: () => number = () => performance.now()): PullObserver {
  const pulls = metrics.counter({
    name: 'cri_ts_image_pulls_total',
    help: 'Pulls that have ended: success, or the kind of their error.',
    labels: ['result'],
  })
  const inProgress = metrics.gauge({
    name: 'cri_ts_image_pulls_in_progress',
    help: 'Pulls under way.',
  })
  const bytes = metrics.counter({
    name: 'cri_ts_image_pull_bytes_total',
    help: 'Bytes of layers that came from registries, compressed.',
  })
  const durations = metrics.histogram({
    name: 'cri_ts_image_pull_duration_seconds',
    help: 'How long pulls took that succeeded, until the image was on the disk.',
    bounds: DURATION_BOUNDS,
  })
  const layers = metrics.counter({
    name: 'cri_ts_image_layers_total',
    help: 'Layers of pulls that succeeded: fetched, or reused because they were here.',
    labels: ['source'],
  })
  for (const result of RESULTS) pulls.add({ result }, 0)
  for (const source of ['fetched', 'reused']) layers.add({ source }, 0)
  return {
    registries: registryMetrics(metrics),
    received: (received) => bytes.add({}, received),
    async observed(pull, progress) {
      const startedMs = nowMs()
      inProgress.add({})
      try {
        const result = await pull
        pulls.add({ result: 'success' })
        durations.observe({}, (nowMs() - startedMs) / 1000)
        for (const { phase } of progress.layers)
          layers.add({ source: phase === 'here' ? 'reused' : 'fetched' })
        return result
      } catch (thrown) {
        pulls.add({ result: thrown instanceof CriError ? thrown.kind : 'internal' })
        throw thrown
      } finally {
        inProgress.add({}, -1)
      }
    },
  }
}

function registryMetrics(metrics: Metrics): RegistryObserver {
  const labels = ['endpoint'] as const
  const requests = metrics.counter({
    name: 'cri_ts_registry_requests_total',
    help: 'Requests to registries by host and HTTP status, or unreachable where there was none.',
    labels: ['endpoint', 'outcome'],
  })
  const retries = metrics.counter({
    name: 'cri_ts_registry_retries_total',
    help: 'Requests that failed in passing and were sent again.',
    labels,
  })
  const skips = metrics.counter({
    name: 'cri_ts_registry_skips_total',
    help: 'Times that an endpoint was not asked because it had failed before.',
    labels,
  })
  return {
    answered: (endpoint, outcome) => requests.add({ endpoint, outcome }),
    retried: (endpoint) => retries.add({ endpoint }),
    skipped: (endpoint) => skips.add({ endpoint }),
  }
}
