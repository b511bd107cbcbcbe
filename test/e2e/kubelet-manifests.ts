import { join } from 'node:path'
import { container, DEAF, type Manifest, manifest, SLEEP } from './kubelet-pods.ts'

export const HOST_PORT = 12_380
/** Of the pod `slow`. */
export const GRACE_SECONDS = 2

/** A busy host is slow. */
const every = { periodSeconds: 1, timeoutSeconds: 5 }
const serve = (port: number): string => `exec httpd -f -h /www -p ${port}`
/** A directory of the host that outlives the pod, as /evidence. */
const kept = (evidence: string, pod: string) => ({
  volumes: [{ name: 'evidence', hostPath: { path: join(evidence, pod), type: 'DirectoryOrCreate' } }],
  mounts: { volumeMounts: [{ name: 'evidence', mountPath: '/evidence' }] },
})
const tell = (what: string): string => `echo ${what} >> /evidence/events`

/** Two containers that share volumes, which init containers fill one after the other. */
export function web(): Manifest {
  const volumes = [
    { name: 'www', emptyDir: {} },
    { name: 'memory', emptyDir: { medium: 'Memory' } },
  ]
  const mounts = { volumeMounts: volumes.map(({ name }) => ({ name, mountPath: `/${name}` })) }
  const page = { httpGet: { path: '/index.html', port: 80 } }
  const file = { exec: { command: ['test', '-e', '/memory/kept'] } }
  return manifest(
    'web',
    '',
    {},
    {
      volumes,
      initContainers: [
        container('first', 'sleep 0.2; printf one > /www/index.html', mounts),
        container('second', 'echo " two" >> /www/index.html; cp /www/index.html /memory/kept', mounts),
      ],
      containers: [
        container('http', serve(80), {
          ...mounts,
          startupProbe: { ...file, ...every },
          readinessProbe: { ...page, ...every },
          livenessProbe: { tcpSocket: { port: 80 }, ...every },
        }),
        container('tcp', serve(81), { ...mounts, readinessProbe: { tcpSocket: { port: 81 }, ...every } }),
        container('exec', SLEEP, { ...mounts, readinessProbe: { ...file, ...every } }),
      ],
    },
  )
}

/** Nothing listens where its registry should be. */
export const unpullable = (): Manifest =>
  manifest('unpullable', SLEEP, { image: '127.0.0.1:1/no/such:1', imagePullPolicy: 'IfNotPresent' })

/** A container for each kind of probe, none of which succeeds. */
export function unwell(): Manifest {
  const atOnce = { ...every, failureThreshold: 1, terminationGracePeriodSeconds: 1 }
  return manifest(
    'unwell',
    '',
    {},
    {
      containers: [
        container('exec', DEAF, { livenessProbe: { exec: { command: ['false'] }, ...atOnce } }),
        container('http', DEAF, { livenessProbe: { httpGet: { port: 90 }, ...atOnce } }),
        container('tcp', DEAF, { livenessProbe: { tcpSocket: { port: 90 }, ...atOnce } }),
      ],
    },
  )
}

export const crash = (): Manifest => manifest('crash', 'echo why > /dev/termination-log; exit 3')

/** Reads zeros for the end of their line. */
export const hog = (): Manifest =>
  manifest(
    'hog',
    'exec tail /dev/zero',
    { resources: { limits: { memory: '32Mi' } } },
    { restartPolicy: 'Never' },
  )

export const limited = (): Manifest =>
  manifest('limited', SLEEP, {
    resources: { requests: { cpu: '250m', memory: '48Mi' }, limits: { cpu: '500m', memory: '64Mi' } },
  })

export const hostNetwork = (): Manifest =>
  manifest(
    'host',
    `mkdir /www; echo from the host > /www/index.html; ${serve(HOST_PORT)}`,
    { readinessProbe: { httpGet: { host: '127.0.0.1', path: '/index.html', port: HOST_PORT }, ...every } },
    { hostNetwork: true },
  )

/** As little as a web server needs; its port is one of those that used to be root's. */
export function restricted(): Manifest {
  const volumes = [{ name: 'www', emptyDir: {} }]
  return manifest(
    'restricted',
    `echo of nobody > /www/index.html; ${serve(80)}`,
    {
      volumeMounts: [{ name: 'www', mountPath: '/www' }],
      readinessProbe: { tcpSocket: { port: 80 }, ...every },
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      },
    },
    {
      volumes,
      securityContext: {
        runAsNonRoot: true,
        runAsUser: 1000,
        runAsGroup: 1001,
        fsGroup: 1002,
        sysctls: [{ name: 'net.ipv4.ip_unprivileged_port_start', value: '80' }],
      },
    },
  )
}

/** A sidecar starts before and ends after the container that it is for. */
export function sidecar(evidence: string): Manifest {
  const { volumes, mounts } = kept(evidence, 'sidecar')
  const loop = (name: string, onStart: string): string =>
    `trap '${tell(`${name} ends`)}; exit 0' TERM; ${onStart}; ${tell(`${name} runs`)}; touch /up; while :; do sleep 0.05; done`
  return manifest(
    'sidecar',
    '',
    {},
    {
      volumes,
      terminationGracePeriodSeconds: 10,
      initContainers: [
        container('side', loop('side', 'sleep 0.3'), {
          ...mounts,
          restartPolicy: 'Always',
          startupProbe: { exec: { command: ['test', '-e', '/up'] }, ...every },
        }),
      ],
      containers: [container('main', loop('main', ':'), mounts)],
    },
  )
}

/** It has a preStop hook, minds the signal, and does not end by itself. */
export function slow(evidence: string): Manifest {
  const { volumes, mounts } = kept(evidence, 'slow')
  return manifest(
    'slow',
    `trap '${tell('TERM')}' TERM; while :; do sleep 0.05; done`,
    { ...mounts, lifecycle: { preStop: { exec: { command: ['sh', '-c', tell('preStop')] } } } },
    { volumes, terminationGracePeriodSeconds: GRACE_SECONDS },
  )
}

/** Logs more than kubelet lets stand in one file. */
export const talker = (): Manifest =>
  manifest(
    'talker',
    'i=0; while :; do echo line $((i += 1)) of many; [ $((i % 50)) != 0 ] || sleep 0.1; done',
  )

/** To be edited: it serves `page`. */
export const edited = (page: string): Manifest =>
  manifest('edited', `mkdir /www; echo ${page} > /www/index.html; ${serve(80)}`, {
    readinessProbe: { tcpSocket: { port: 80 }, ...every },
  })

const probed = { exec: { command: ['true'] }, ...every }

/** Asked after all the time. */
export const steady = (): Manifest =>
  manifest('steady', SLEEP, { livenessProbe: probed, readinessProbe: probed })

/** Ends once `FILE` is among its evidence. */
export function ends(evidence: string, file: string): Manifest {
  const { volumes, mounts } = kept(evidence, 'ends')
  const script = `while [ ! -e /evidence/${file} ]; do sleep 0.05; done; rm /evidence/${file}; exit 7`
  return manifest('ends', script, mounts, { volumes })
}

export const plain = (name: string): Manifest => manifest(name, SLEEP)
