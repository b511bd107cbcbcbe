import { status } from '@grpc/grpc-js'
import { expect, test } from 'vitest'
import { CriError, notFound } from '#lib/errors.ts'
import { firstFailure, toGrpcStatus } from './status.ts'

test.for([
  [notFound('container', 'abc'), status.NOT_FOUND, 'container abc not found'],
  [
    new CriError('unavailable', 'pull alpine', { cause: new Error('503') }),
    status.UNAVAILABLE,
    'pull alpine: 503',
  ],
  [new CriError('unauthenticated', 'pull alpine: 401'), status.UNAUTHENTICATED, 'pull alpine: 401'],
  [new TypeError('x is undefined'), status.INTERNAL, 'x is undefined'],
  [AbortSignal.abort().reason, status.CANCELLED, 'This operation was aborted'],
  ['a string', status.INTERNAL, 'a string'],
] as const)('%s', ([thrown, code, details]) => {
  expect(toGrpcStatus(thrown)).toEqual({ code, details })
})

test('the caller is told what went wrong first, however many teardowns failed after it', () => {
  const first = notFound('image', 'a')
  const suppressing = new SuppressedError(
    new Error('undo 2'),
    new SuppressedError(new Error('undo 1'), first),
  )
  expect(toGrpcStatus(suppressing)).toEqual({ code: status.NOT_FOUND, details: 'image a not found' })
  expect(firstFailure(suppressing)).toBe(first)
})

test('a message too long for a header is cut, and says so', () => {
  const { details } = toGrpcStatus(new CriError('internal', 'x'.repeat(100_000)))
  expect(details.length).toBeLessThan(5000)
  expect(details).toContain('the log has the rest')
})
