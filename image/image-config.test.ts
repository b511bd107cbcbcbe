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
])('%o is refused by name', ([value, message]) => {
  expect(() => parse(value)).toThrow(message)
})

test('what is not JSON is refused by name', () => {
  expect(() => parseImageConfig(Buffer.from('<html>'), 'image x')).toThrow(
    /the config of image x is not JSON/,
  )
})
