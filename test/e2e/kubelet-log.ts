/** Lines that kubelet logs as errors on every runtime, or on this kind of host. */
const TOLERATED: readonly RegExp[] = [
  // It may not raise its own limits here.
  /"Failed to set rlimit on max file handles"/,
  // Before its first look at the runtime's pods.
  /"Skipping pod synchronization" err="\[?(?:container runtime status check may not have completed yet|PLEG is not healthy: pleg has yet to be successful)/,
  // Its own checkpoint, at the first start.
  /"Failed to read data from checkpoint" err="checkpoint is not found"/,
  // Test machines may keep their own processes in a cgroup of one hierarchy only.
  /"Failed to find cgroups of kubelet" err="cpu and memory cgroup hierarchy not unified/,
  // It knows such a label of CRI-O alone.
  /"eviction manager: failed to check if we have separate container filesystem. Ignoring." err="no imagefs label/,
  // It takes the version of a node that no API server knows for a number.
  /"failed to check if node is newer; using informer node"/,
  // It gives up a probe of a container that it ends, and every call when it ends itself.
  /rpc error: code = Canceled desc = context canceled/,
  // It asks once more for containers that it has removed.
  /"ContainerStatus from runtime service failed" err="rpc error: code = NotFound desc = container [0-9a-f]{64} not found"/,
  // It watches the cgroups of the whole machine, and its kernel's log: others' come and go.
  /Failed to watch directory "\/sys\/fs\/cgroup\//,
  /"Partial failure issuing cadvisor.ContainerInfoV2"/,
  // It asks for its own cgroup before it has looked at it.
  /"Failed to get system container stats" err="failed to get cgroup stats for .* unknown container/,
  /"Eviction manager: failed to construct signal" err="system container \\"pods\\" not found in metrics"/,
  /exiting analyzeLines. OOM events will not be reported/,
  // It reads on from a client's connection that it has closed itself, and tells when a client of port-forward leaves.
  /"Error on socket receive" err="read tcp 127\.0\.0\.1:10250->.* use of closed network connection"/,
  /"Error proxying data from client to backend" err=".*: (?:websocket: close 1006|read: connection reset by peer)/,
  // It rotates the log of a container that it is stopping, and asks for one that it has removed.
  /"ReopenContainerLog from runtime service failed" err="rpc error: code = FailedPrecondition desc = container [0-9a-f]{64} (?:has ended|is \w+, not running)/,
  /"Failed to rename rotated log" err="rename .*: no such file or directory"/,
  /"Failed to rotate log for container" err="failed to rotate log .*: failed to reopen container log .*: rpc error: code = FailedPrecondition/,
  /"Failed to get container status" err="rpc error: code = NotFound desc = container [0-9a-f]{64} not found"/,
  // A root file system that was not booted from.
  /Failed to get system UUID: open \/etc\/machine-id: no such file or directory/,
  // On a host with much else to do.
  /"Housekeeping took longer than expected"/,
  // cri-ts has no metrics yet, which the feature PodAndContainerStatsFromCRI (alpha) asks for beside the statistics.
  /ListMetricDescriptors is not implemented by this version of cri-ts/,
  // What the pods of the tests are there for.
  /"Error syncing pod, skipping" err="failed to \\"StartContainer\\" for \\"[\w-]+\\" with CrashLoopBackOff/,
  // At its first look at a full disk the image to be removed is new to it.
  /"Eviction manager: cannot evict a critical pod" pod="default\/limited-node"/,
  /RegistryUnavailable: .*127\.0\.0\.1:1\/no\/such/,
  /"Missing actuated pod level resource record" pod="unpullable-node"/,
]

/** While the daemon is away or comes back, which tests of restarts bring about. */
const AWAY: readonly RegExp[] = [
  /code = Unavailable|error reading from server|transport is closing/,
  /dial unix .*: (?:connection refused|no such file)/,
  /RuntimeReady=false reason:Starting/,
  // It asks its own record of a pod that it could not finish.
  /"Missing actuated pod level resource record"/,
]

/** What kubelet logged as an error, but for what is no runtime's fault. */
export function errorsIn(log: string, { restarts = false } = {}): readonly string[] {
  const tolerated = restarts ? [...TOLERATED, ...AWAY] : TOLERATED
  return log
    .split('\n')
    .filter((line) => /^[EF]\d{4} /.test(line) && !tolerated.some((known) => known.test(line)))
}
