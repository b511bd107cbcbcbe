import { expect, test } from 'vitest'
import { CriError } from '#lib/errors.ts'
import { statusText } from './command-status.ts'

const failed = {
  doing: 'executing command in container',
  error: new CriError('failed-precondition', 'container c1 is exited, not running'),
} as const

test.for(['v4.channel.k8s.io', 'v5.channel.k8s.io', 'v4.base64.channel.k8s.io'])(
  '%s carries a status as JSON, with the exit code as a cause',
  (protocol) => {
    expect(JSON.parse(statusText({ exitCode: 0 }, protocol))).toEqual({ metadata: {}, status: 'Success' })
    expect(JSON.parse(statusText({ exitCode: 3 }, protocol))).toMatchObject({
      status: 'Failure',
      reason: 'NonZeroExitCode',
      details: { causes: [{ reason: 'ExitCode', message: '3' }] },
    })
    expect(JSON.parse(statusText(failed, protocol))).toMatchObject({
      status: 'Failure',
      reason: 'InternalError',
      code: 500,
      message: expect.stringContaining('container c1 is exited, not running'),
    })
  },
)

test.for(['channel.k8s.io', 'v2.channel.k8s.io', 'v3.channel.k8s.io', 'base64.channel.k8s.io', ''])(
  '%s carries the message of a failure, and nothing of a success',
  (protocol) => {
    expect(statusText({ exitCode: 0 }, protocol)).toBe('')
    expect(statusText({ exitCode: 3 }, protocol)).toBe(
      'command terminated with non-zero exit code: exit status 3',
    )
    expect(statusText(failed, protocol)).toMatch(/error executing command .*: container c1 is exited/)
  },
)
