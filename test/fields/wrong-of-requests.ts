import { any, below, either, type WrongRow, type WrongTable, wrong } from './wrong-values.ts'

const prefix = any('what no id begins with lists nothing')
const labels = any('what nothing has lists nothing')
const state: WrongRow = wrong(9, -1)
const ofSandboxes = below('filter', { id: prefix, 'state.state': state, label_selector: labels })
const ofContainers: WrongTable = { ...ofSandboxes, 'filter.pod_sandbox_id': prefix }
const ofSandboxStats = below('filter', { id: prefix, label_selector: labels })
const ofContainerStats: WrongTable = { ...ofSandboxStats, 'filter.pod_sandbox_id': prefix }

const container: WrongTable = { container_id: wrong('') }
const sandbox: WrongTable = { pod_sandbox_id: wrong('') }
const timeout = wrong(-1, '-9223372036854775808')
const streams = (beside: { readonly [path: string]: unknown }): WrongTable => ({
  stdin: { wrong: [false], beside },
  stdout: { wrong: [false], beside },
  stderr: { wrong: [true], beside: { tty: true } },
})
const silent = { stdin: false, stdout: false, stderr: false }

const notCounted = any('it is not looked at')
const imageSpec = (at: string, ...more: readonly string[]): WrongTable =>
  below(at, {
    image: wrong(...more, 'a b', 'lower/UPPER', 'name:', 'name@sha256:short', 'a\0'),
    annotations: notCounted,
    user_specified_image: notCounted,
    runtime_handler: notCounted,
    image_ref: notCounted,
  })
const credentials: WrongRow = {
  elsewhere: 'image/auth-credentials.test.ts',
  test: 'is refused without being shown',
}
const judged = any('the registry judges it')
const notYet: WrongTable = { '*': any('its RPC is UNIMPLEMENTED') }

/** By RPC: of all requests but those that carry configs and resources. */
export const wrongOfRequests: { readonly [rpc: string]: WrongTable } = {
  version: { version: any('clients of every version get the one that there is') },
  status: { verbose: either },
  updateRuntimeConfig: { 'runtime_config.network_config.pod_cidr': any('the CNI configuration counts') },

  stopPodSandbox: sandbox,
  removePodSandbox: sandbox,
  podSandboxStatus: { ...sandbox, verbose: either },
  listPodSandbox: ofSandboxes,
  streamPodSandboxes: ofSandboxes,
  podSandboxStats: sandbox,
  listPodSandboxStats: ofSandboxStats,
  streamPodSandboxStats: ofSandboxStats,

  startContainer: container,
  stopContainer: { ...container, timeout },
  removeContainer: container,
  listContainers: ofContainers,
  streamContainers: ofContainers,
  containerStatus: { ...container, verbose: either },
  containerStats: container,
  listContainerStats: ofContainerStats,
  streamContainerStats: ofContainerStats,
  reopenContainerLog: container,
  checkpointContainer: { ...container, location: wrong('', 'a.tar', '/a\0'), timeout },

  execSync: { ...container, cmd: wrong([], ['a\0']), timeout },
  exec: {
    ...container,
    cmd: wrong([], ['a\0']),
    ...streams(silent),
    tty: { wrong: [true], beside: { stderr: true } },
  },
  attach: { ...container, ...streams(silent), tty: wrong(true) },
  portForward: { ...sandbox, port: wrong([0], [80, -1], [65_536]) },

  listImages: imageSpec('filter.image'),
  streamImages: imageSpec('filter.image'),
  imageStatus: { ...imageSpec('image', ''), verbose: either },
  removeImage: imageSpec('image', ''),
  pullImage: {
    ...imageSpec('image', ''),
    'image.runtime_handler': wrong('other'),
    ...below('auth', {
      username: judged,
      password: credentials,
      auth: credentials,
      server_address: any('credentials for another server are not sent'),
      identity_token: judged,
      registry_token: judged,
    }),
    'sandbox_config.*': notCounted,
  },

  checkpointPod: notYet,
  restorePod: notYet,
}

/** What makes a request right beside the ids, by RPC. */
export const rightRequests: { readonly [rpc: string]: object } = {
  checkpointContainer: { location: '/c.tar' },
  execSync: { cmd: ['true'] },
  exec: { cmd: ['true'], stdout: true },
  attach: { stdout: true },
  portForward: { port: [80] },
  ...Object.fromEntries(
    ['imageStatus', 'removeImage', 'pullImage'].map((rpc) => [rpc, { image: { image: 'busybox' } }]),
  ),
}
