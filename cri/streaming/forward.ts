import type { Duplex } from 'node:stream'
import { passOn } from '#lib/pass-on.ts'
import type { PodConnection } from '#runtime/pod-ports-port.ts'

/** Connects to a port of the pod that is forwarded. */
export type Connect = (port: number) => Promise<PodConnection>

/**
 * Passes bytes, the ends of both halves and failures between a client and a port of a pod, each no faster than the
 * other takes them. Resolves when both have ended or the client is gone; rejects when the pod's side fails.
 * A client that `cannotEnd` its half by itself has ended when the pod has.
 */
export function forward(client: Duplex, pod: PodConnection, cannotEnd = false): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  client.on('error', () => {}) // It is gone; its `close` follows.
  const letGo = (): void => {
    resolve()
    if (pod.readableEnded && client.readableEnded) return // What is still on its way to the pod gets there.
    if (pod.readableEnded) pod.destroy()
    else pod.resetAndDestroy()
  }
  client.once('close', letGo)
  client.once('finish', () => {
    if (cannotEnd) pod.destroy()
    if (pod.destroyed) resolve()
  })
  pod.on('error', reject)
  pod.once('close', () => {
    if (client.writableFinished || client.destroyed) resolve()
  })
  if (client.destroyed) letGo()
  passOn(client, pod, { end: true })
  passOn(pod, client, { end: true })
  return promise
}
