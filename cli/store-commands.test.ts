import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { adminSocket } from '#admin/client.ts'
import { serveAdmin } from '#admin/server.ts'
import { storeRoutes } from '#admin/store-routes.ts'
import type { StoreUpkeep } from '#image/store-upkeep.ts'
import { cli } from './cli.ts'

const sizes = (usedBytes: number, usedInodes: number) => ({ usedBytes, usedInodes })
const broken = { subject: 'layer sha256:1', what: 'etc/passwd is gone', images: ['a:1', 'b:1'] }
const asked: unknown[] = []

/** A store with one broken layer, of which a container is made when `isUsed`. */
const upkeep = (isUsed: boolean, checked = true): StoreUpkeep => ({
  usage: async () => ({
    owners: [
      { kind: 'shared', names: ['a:1', 'b:1'], ...sizes(4_260_000, 12) },
      { kind: 'unowned', names: ['/root/x'], ...sizes(4096, 1) },
    ],
    totals: [{ path: '/root', ...sizes(4_264_096, 13) }],
    isWhole: true,
  }),
  async check(request) {
    asked.push(request)
    const containers = isUsed ? ['c1'] : []
    const problem = { ...broken, containers, repaired: request.repair && !isUsed && checked, checked }
    return { problems: [problem], layers: 5, images: 2, unverified: ['sha256:2'] }
  },
  async prune(request) {
    asked.push(request)
    return { images: ['c:1'], layers: ['sha256:3'], trash: 2, freedBytes: 5_000_000 }
  },
})

async function run(args: readonly string[], isUsed = false, isRead = true) {
  const state = mkdtempSync(join(tmpdir(), 'cli-'))
  const log = { debug() {}, info() {}, warn() {}, error() {} }
  const server = await serveAdmin(adminSocket(state), { routes: storeRoutes(upkeep(isUsed, isRead)), log })
  onTestFinished(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(state, { recursive: true })
  })
  const written = { out: '', err: '' }
  const to = (stream: 'out' | 'err') => (text: string) => {
    written[stream] += text
  }
  const host = { version: '1', out: to('out'), err: to('err'), environment: {}, serve: async () => {} }
  return { code: await cli(['store', ...args, '--state', state], host), ...written }
}

test('df prints whose each byte is, and the sum', async () => {
  expect(await run(['df'])).toEqual({
    code: 0,
    out:
      'SIZE    FILES  WHAT                      WHOSE\n' +
      '4.26MB  12     layers of several images  a:1 b:1\n' +
      '4.1kB   1      NOBODY OWNS IT            /root/x\n' +
      '4.26MB  13     all of                    /root\n',
    err: '',
  })
  expect(JSON.parse((await run(['df', '--json'])).out)).toEqual(await upkeep(false).usage())
})

test('check says what is wrong, who needs it and what to do, and fails', async () => {
  expect(await run(['check'])).toEqual({
    code: 1,
    out:
      'layer sha256:1: etc/passwd is gone; needed by: a:1 b:1\n' +
      '2 images, 5 layers, of which 1 are there but could not be verified, 1 problems\n',
    err: "cri-ts: 1 of the store's problems are left: run it with --repair\n",
  })
  expect(asked.at(-1)).toEqual({ repair: false, deep: true })
  const { code, out } = await run(['check', '--json', '--quick'])
  expect([code, JSON.parse(out).problems]).toMatchObject([1, [broken]])
  expect(asked.at(-1)).toEqual({ repair: false, deep: false })
})

test('check --repair says what to pull again, and fails only for what it had to leave', async () => {
  const { code, out } = await run(['check', '--repair'])
  expect([code, out]).toEqual([0, expect.stringContaining('; repaired; pull again: a:1 b:1\n')])
  const left = await run(['check', '--repair'], true)
  expect(left).toMatchObject({
    code: 1,
    out: expect.stringContaining('is gone; used by containers c1; needed by: a:1 b:1\n'),
    err: expect.stringContaining('remove the containers that use it first'),
  })
  expect(await run(['check', '--repair'], false, false)).toMatchObject({
    code: 1,
    err: expect.stringContaining('see why they could not be read, and check again'),
  })
})

test('prune says what went, or would', async () => {
  expect((await run(['prune', '--all', '--dry-run'])).out).toBe(
    'c:1\n1 images, 1 layers and 2 removed trees would be deleted: 5MB\n',
  )
  expect(asked.at(-1)).toEqual({ all: true, dryRun: true })
  expect((await run(['prune'])).out).toContain('were deleted')
  expect(asked.at(-1)).toEqual({ all: false, dryRun: false })
})
