import type { RuntimeServiceDefinition } from '#proto/gen/runtime/v1/api.ts'
import type { CommandService, ContainerService, SandboxService, StatsService } from '#runtime/services.ts'
import { type ServiceTable, unimplemented } from '../service-table.ts'
import type { StartGate } from '../start-gate.ts'
import type { StreamingServer } from '../streaming/server.ts'
import { attach } from './attach.ts'
import { checkpointContainer } from './checkpoint-container.ts'
import { containerStats } from './container-stats.ts'
import { containerStatus } from './container-status.ts'
import { createContainer } from './create-container.ts'
import { exec } from './exec.ts'
import { execSync } from './exec-sync.ts'
import { listContainerStats } from './list-container-stats.ts'
import { listContainers } from './list-containers.ts'
import { listPodSandbox } from './list-pod-sandbox.ts'
import { listPodSandboxStats } from './list-pod-sandbox-stats.ts'
import { podSandboxStats } from './pod-sandbox-stats.ts'
import { podSandboxStatus } from './pod-sandbox-status.ts'
import { portForward } from './port-forward.ts'
import { removeContainer } from './remove-container.ts'
import { removePodSandbox } from './remove-pod-sandbox.ts'
import { reopenContainerLog } from './reopen-container-log.ts'
import { runPodSandbox } from './run-pod-sandbox.ts'
import { runtimeConfig } from './runtime-config.ts'
import type { RuntimeStatus } from './runtime-status.ts'
import { startContainer } from './start-container.ts'
import { status } from './status.ts'
import { stopContainer } from './stop-container.ts'
import { stopPodSandbox } from './stop-pod-sandbox.ts'
import { streamContainerStats } from './stream-container-stats.ts'
import { streamContainers } from './stream-containers.ts'
import { streamPodSandboxStats } from './stream-pod-sandbox-stats.ts'
import { streamPodSandboxes } from './stream-pod-sandboxes.ts'
import { updateContainerResources } from './update-container-resources.ts'
import { updatePodSandboxResources } from './update-pod-sandbox-resources.ts'
import { updateRuntimeConfig } from './update-runtime-config.ts'
import { version } from './version.ts'

export interface RuntimeServiceParts {
  readonly sandboxes: SandboxService
  readonly containers: ContainerService
  readonly commands: CommandService
  readonly stats: StatsService
  readonly streaming: Pick<StreamingServer, 'urlFor'>
  readonly status: RuntimeStatus
  readonly gate: StartGate
}

/** All 37 RPCs of the CRI's RuntimeService. */
export function runtimeService(parts: RuntimeServiceParts): ServiceTable<typeof RuntimeServiceDefinition> {
  const { sandboxes, containers, commands, stats, streaming, gate } = parts
  return {
    version: version(parts.status),
    status: status(parts.status, gate),
    runtimeConfig: runtimeConfig(parts.status),
    updateRuntimeConfig: updateRuntimeConfig(),

    runPodSandbox: runPodSandbox(sandboxes, parts.status),
    stopPodSandbox: stopPodSandbox(sandboxes),
    removePodSandbox: removePodSandbox(sandboxes),
    podSandboxStatus: podSandboxStatus(sandboxes),
    listPodSandbox: listPodSandbox(sandboxes),
    streamPodSandboxes: streamPodSandboxes(sandboxes),
    updatePodSandboxResources: updatePodSandboxResources(sandboxes),

    createContainer: createContainer(containers, sandboxes),
    startContainer: startContainer(containers),
    stopContainer: stopContainer(containers),
    removeContainer: removeContainer(containers),
    containerStatus: containerStatus(containers),
    listContainers: listContainers(containers),
    streamContainers: streamContainers(containers),
    updateContainerResources: updateContainerResources(containers),
    reopenContainerLog: reopenContainerLog(containers),

    execSync: execSync(commands),
    exec: exec(commands, streaming),
    attach: attach(commands, streaming),
    portForward: portForward(sandboxes, streaming),

    containerStats: containerStats(containers, stats),
    listContainerStats: listContainerStats(containers, stats),
    streamContainerStats: streamContainerStats(containers, stats),
    podSandboxStats: podSandboxStats(sandboxes, stats),
    listPodSandboxStats: listPodSandboxStats(sandboxes, stats),
    streamPodSandboxStats: streamPodSandboxStats(sandboxes, stats),
    listMetricDescriptors: unimplemented('ListMetricDescriptors'),
    listPodSandboxMetrics: unimplemented('ListPodSandboxMetrics'),
    streamPodSandboxMetrics: unimplemented('StreamPodSandboxMetrics'),
    getContainerEvents: unimplemented('GetContainerEvents'),

    checkpointContainer: checkpointContainer(containers),
    checkpointPod: unimplemented('CheckpointPod'),
    restorePod: unimplemented('RestorePod'),
  }
}
