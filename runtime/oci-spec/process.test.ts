import { expect, test } from 'vitest'
import { allowedOomScoreAdj, buildExecProcess, buildProcess } from './process.ts'
import { noResources, sampleHost, sampleInput, withContainer } from './sample-input.ts'

const image = (entrypoint: readonly string[], cmd: readonly string[]) => ({
  ...sampleInput.image,
  config: { ...sampleInput.image.config, entrypoint, cmd },
})

test.for([
  { it: 'runs the image', command: [], args: [], entrypoint: ['e'], cmd: ['c'], runs: ['e', 'c'] },
  {
    it: 'replaces the cmd by arguments',
    command: [],
    args: ['a'],
    entrypoint: ['e'],
    cmd: ['c'],
    runs: ['e', 'a'],
  },
  { it: 'replaces all by a command', command: ['x'], args: [], entrypoint: ['e'], cmd: ['c'], runs: ['x'] },
  { it: 'takes both', command: ['x'], args: ['a'], entrypoint: ['e'], cmd: ['c'], runs: ['x', 'a'] },
  { it: 'runs a cmd alone', command: [], args: [], entrypoint: [], cmd: ['c'], runs: ['c'] },
  { it: 'runs arguments alone', command: [], args: ['a'], entrypoint: [], cmd: ['c'], runs: ['a'] },
  { it: 'knows a cleared entrypoint', command: [], args: [], entrypoint: [''], cmd: ['c'], runs: ['c'] },
])('a container $it', ({ command, args, entrypoint, cmd, runs }) => {
  const input = { ...withContainer({ command, args }), image: image(entrypoint, cmd) }
  expect(buildProcess(input).args).toEqual(runs)
})

test('a container with nothing to run is refused, with what to do', () => {
  expect(() => buildProcess({ ...sampleInput, image: image([], []) })).toThrow(
    expect.objectContaining({
      kind: 'invalid-argument',
      message: expect.stringContaining('image sha256:1234 has no entrypoint and no cmd, so give a command'),
    }),
  )
})

test("the request's environment follows the image's, and both follow the defaults", () => {
  const env = [
    { name: 'LANG', value: 'de' },
    { name: 'EMPTY', value: '' },
    { name: 'EQUALS', value: 'a=b' },
  ]
  expect(buildProcess(withContainer({ env })).env).toEqual([
    'PATH=/bin',
    'HOSTNAME=pod-host',
    'LANG=de',
    'EMPTY=',
    'EQUALS=a=b',
  ])
})

test('an image without PATH gets one, and a terminal TERM', () => {
  const input = withContainer({ tty: true })
  const bare = { ...input.image, config: { ...input.image.config, env: [] } }
  const process = buildProcess({ ...input, image: bare })
  expect(process.terminal).toBe(true)
  expect(process.env).toEqual([
    'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    'TERM=xterm',
    'HOSTNAME=pod-host',
  ])
})

test("a pod without a hostname has the host's", () => {
  const sandbox = { ...sampleInput.sandbox, spec: { ...sampleInput.sandbox.spec, hostname: '' } }
  expect(buildProcess({ ...sampleInput, sandbox }).env).toContain('HOSTNAME=node-1')
})

test.for([
  ['', '', '/'],
  ['', '/srv', '/srv'],
  ['/work', '/srv', '/work'],
  ['', 'app', '/app'],
] as const)('of %j and the image %j the working directory is %s', ([wanted, inImage, expected]) => {
  const input = withContainer({ workingDirectory: wanted })
  const config = { ...input.image.config, workingDirectory: inImage }
  expect(buildProcess({ ...input, image: { ...input.image, config } }).cwd).toBe(expected)
})

test.for([
  [0, -1000, 0],
  [-997, -1000, -997],
  [-997, 0, 0],
  [1000, 0, 1000],
  [0, 100, 100],
] as const)('an oom_score_adj of %d where %d is the lowest becomes %d', ([wanted, lowest, expected]) => {
  expect(allowedOomScoreAdj(wanted, { ...sampleHost, minOomScoreAdj: lowest })).toBe(expected)
})

test('an oom_score_adj out of range is refused', () => {
  const resources = { ...noResources, oomScoreAdj: 1001 }
  expect(() => buildProcess(withContainer({ resources }))).toThrow('from -1000 to 1000')
})

test('the file limits are those of the host', () => {
  expect(buildProcess(sampleInput).rlimits).toEqual([{ type: 'RLIMIT_NOFILE', soft: 1024, hard: 524_288 }])
})

test('an exec is as the container, but for its command and terminal', () => {
  const process = buildProcess(withContainer({ tty: true }, { noNewPrivileges: true }))
  expect(buildExecProcess(process, ['ls', '-l'], { tty: false })).toEqual({
    ...process,
    terminal: false,
    args: ['ls', '-l'],
  })
})

test('an exec with a terminal has TERM, and one without a command is refused', () => {
  const process = buildProcess(sampleInput)
  expect(buildExecProcess(process, ['sh'], { tty: true })).toMatchObject({
    terminal: true,
    env: [...process.env, 'TERM=xterm'],
  })
  expect(() => buildExecProcess(process, [], { tty: false })).toThrow('name a program')
})
