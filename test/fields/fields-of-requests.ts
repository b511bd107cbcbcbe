import { each, elsewhere, type FieldTable, none } from './field-row.ts'

const e2e = (file: string, test: string) => elsewhere(`test/e2e/${file}.e2e.test.ts`, test)

const lifecycle = e2e('container', 'a container is created, started, listed, stopped and removed')
const sandboxLifecycle = e2e('sandbox', 'a sandbox is run, listed, stopped and removed')
const verbose = elsewhere(
  'cri/runtime-service/service.test.ts',
  'a verbose status has the pid where scripts look',
)

const filters = (test: string, ...fields: readonly string[]): FieldTable =>
  each(
    fields.map((field) => `filter.${field}`),
    elsewhere('cri/list-filter.test.ts', test),
  )
const ofSandboxes = filters('of sandboxes, %o lists', 'id', 'state.state', 'label_selector')
const ofContainers = filters(
  'of containers, %o lists',
  'id',
  'state.state',
  'pod_sandbox_id',
  'label_selector',
)
const listedStats = e2e('stats', 'stats are listed by id, pod and labels, also as a stream')
const ofSandboxStats = each(['filter.id', 'filter.label_selector'], listedStats)
const ofContainerStats = each(['filter.id', 'filter.pod_sandbox_id', 'filter.label_selector'], listedStats)

const unitImages = (test: string) => elsewhere('cri/image-service/service.test.ts', test)
/** An ImageSpec, of which only the name counts. */
const imageSpec = (at: string, test: string): FieldTable => ({
  [`${at}.image`]: unitImages(test),
  ...each([`${at}.annotations`, `${at}.runtime_handler`], none('every handler runs the same images')),
  [`${at}.user_specified_image`]: none('what the pod says; kubelet has made image of it'),
  [`${at}.image_ref`]: none('it belongs to statuses'),
})

const auth = (test: string) => elsewhere('image/pull-auth.test.ts', test)
const credentials = (test: string) => elsewhere('image/auth-credentials.test.ts', test)
const execStreams = e2e('exec', 'both outputs arrive, and how the command ended')
const attachStreams = e2e(
  'attach',
  'input reaches the container, and both outputs come back on their streams',
)
const checkpoint = elsewhere(
  'test/newer/checkpoint.newer.test.ts',
  'a container goes on elsewhere from its checkpoint',
)
const notYet = none('its RPC is answered UNIMPLEMENTED, by name')

/** The fields of all requests but those that carry configs and resources. */
export const otherRequests: { readonly [request: string]: FieldTable } = {
  VersionRequest: { version: none('there is one version of the API') },
  StatusRequest: { verbose: e2e('status', 'verbose information is JSON') },
  UpdateRuntimeConfigRequest: {
    'runtime_config.network_config.pod_cidr': none('the CNI configuration says which addresses pods get'),
  },

  StopPodSandboxRequest: { pod_sandbox_id: sandboxLifecycle },
  RemovePodSandboxRequest: { pod_sandbox_id: sandboxLifecycle },
  PodSandboxStatusRequest: { pod_sandbox_id: sandboxLifecycle, verbose },
  ListPodSandboxRequest: ofSandboxes,
  StreamPodSandboxesRequest: ofSandboxes,
  PodSandboxStatsRequest: { pod_sandbox_id: e2e('stats', 'a pod has the usage of its cgroup') },
  ListPodSandboxStatsRequest: ofSandboxStats,
  StreamPodSandboxStatsRequest: ofSandboxStats,

  StartContainerRequest: { container_id: lifecycle },
  StopContainerRequest: {
    container_id: lifecycle,
    timeout: e2e('container', 'is killed after the grace period, which a second call shortens'),
  },
  RemoveContainerRequest: { container_id: lifecycle },
  ListContainersRequest: ofContainers,
  StreamContainersRequest: ofContainers,
  ContainerStatusRequest: { container_id: lifecycle, verbose },
  ContainerStatsRequest: { container_id: e2e('stats', 'the CPU time and the rate are those of the cgroup') },
  ListContainerStatsRequest: ofContainerStats,
  StreamContainerStatsRequest: ofContainerStats,
  ReopenContainerLogRequest: {
    container_id: e2e('logs', 'after ReopenContainerLog it goes on in a new file'),
  },

  ExecSyncRequest: {
    ...each(['container_id', 'cmd'], e2e('exec-sync', 'both streams and the exit code are answered')),
    timeout: e2e('exec-sync', 'after the timeout all that it started is killed'),
  },
  ExecRequest: {
    ...each(['container_id', 'cmd', 'stdout', 'stderr'], execStreams),
    stdin: e2e('exec', 'input ends with the client, and comes back whole'),
    tty: e2e('exec', 'a session of crictl exec -it'),
  },
  AttachRequest: {
    ...each(['container_id', 'stdin', 'stdout', 'stderr'], attachStreams),
    tty: e2e('attach', 'crictl attach -it to a terminal'),
  },
  PortForwardRequest: each(
    ['pod_sandbox_id', 'port'],
    e2e('port-forward', 'many connections to several ports of a pod at once'),
  ),

  ListImagesRequest: imageSpec('filter.image', 'a list has each image once with all its names'),
  StreamImagesRequest: imageSpec('filter.image', 'a stream gives every image once'),
  ImageStatusRequest: {
    ...imageSpec('image', 'an image is found by id'),
    verbose: unitImages('a verbose status holds the whole config as JSON'),
  },
  PullImageRequest: {
    ...imageSpec('image', 'a pull hands reference and credentials on'),
    'image.runtime_handler': unitImages('a pull for a runtime handler that is not there is refused'),
    ...each(['auth.username', 'auth.password'], e2e('images', 'pulled with credentials, refused without')),
    'auth.auth': credentials("auth: base64('u:p:q')"),
    'auth.server_address': elsewhere('image/pull-mirrors.test.ts', 'whose server address names them'),
    'auth.identity_token': auth('an identity token is exchanged by POST'),
    'auth.registry_token': auth('a registry token is sent at once'),
    'sandbox_config.*': none("images and credentials do not depend on who asks: they are the request's"),
  },
  RemoveImageRequest: imageSpec('image', 'an image goes with all its names'),

  CheckpointContainerRequest: {
    ...each(['container_id', 'location'], checkpoint),
    timeout: elsewhere('cri/runtime-service/service.test.ts', 'hands on where to and how long'),
  },
  CheckpointPodRequest: { '*': notYet },
  RestorePodRequest: { '*': notYet },
}
