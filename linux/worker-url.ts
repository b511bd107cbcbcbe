/**
 * Where a worker's code lies: beside its caller as `NAME.worker.ts` when the sources run,
 * and as `NAME.worker.js` beside the bundle (hack/build.ts) when that runs.
 */
export function workerUrl(callerUrl: string, name: string): URL {
  return new URL(`./${name}.worker.${callerUrl.endsWith('.ts') ? 'ts' : 'js'}`, callerUrl)
}
