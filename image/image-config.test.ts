import { expect, test } from 'vitest'
import { parseImageConfig } from './image-config.ts'

const parse = (value: unknown) => parseImageConfig(Buffer.from(JSON.stringify(value)), 'image x')
const diffId = `sha256:${'a'.repeat(64)}`

test('a config says how the image is to be run', () => {
  const config = {
    ...{ Entrypoint: ['/e'], Cmd: ['c'], Env: ['A=1'], User: 'www-data', WorkingDir: '/w' },
    ...{ StopSignal: 'SIGQUIT', Volumes: { '/data': {} }, Unknown: 1 },
  }
  expect(
    parse({ os: 'linux', architecture: 'arm64', variant: 'v8', config, rootfs: { diff_ids: [diffId] } }),
  ).toEqual({
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    diffIds: [diffId],
    config: {
      ...{ entrypoint: ['/e'], cmd: ['c'], env: ['A=1'], user: 'www-data', workingDirectory: '/w' },
      ...{ stopSignal: 'SIGQUIT', volumes: ['/data'] },
    },
  })
})

test.for([
  { rootfs: {} },
  { rootfs: { diff_ids: null }, config: null },
  { rootfs: { diff_ids: [] }, config: { Entrypoint: null, Cmd: null, Env: null, Volumes: null } },
])('what is left out, null or empty is nothing: %o', (value) => {
  expect(parse(value)).toMatchObject({
    diffIds: [],
    config: { entrypoint: [], cmd: [], env: [], user: '', volumes: [] },
  })
})

test.for<[unknown, RegExp]>([
  [{}, /the config of image x is not an image's: .*rootfs/],
  [[], /is not an image's/],
  [{ rootfs: { diff_ids: ['md5:x'] } }, /diff_ids/],
  [{ rootfs: {}, config: { Cmd: 'sh' } }, /config\.Cmd/],
  [
    {
      rootfs: {},
      config: { Volumes: Object.fromEntries(Array.from({ length: 1001 }, (_, at) => [at, {}])) },
    },
    /config\.Volumes has more than 1000/,
  ],
])('%o is refused by name', ([value, message]) => {
  expect(() => parse(value)).toThrow(message)
})

test('a config of millions of mistakes is refused soon, by the first', () => {
  const zeros = '0,'.repeat(500_000)
  const parts = [`"rootfs":{"diff_ids":[${zeros}0]}`, `"rootfs":{},"config":{"Env":[${zeros}0]}`]
  const begun = performance.now()
  for (const part of parts) {
    const failure = (() => parseImageConfig(Buffer.from(`{${part}}`), 'image x')) as () => void
    expect(failure).toThrow(/^the config of image x is not an image's: .{1,100}$/)
  }
  expect(performance.now() - begun).toBeLessThan(3000)
})

test.for(['\u001b[2J', 'x'.repeat(101)])('a platform that cannot be shown is refused: %j', (os) => {
  expect(() => parse({ os, rootfs: {} })).toThrow("is not an image's: os is no name of a platform")
})

test('what is not JSON is refused by name', () => {
  expect(() => parseImageConfig(Buffer.from('<html>'), 'image x')).toThrow(
    /the config of image x is not JSON/,
  )
})
