import { expect, test } from 'vitest'
import { errorsIn } from './kubelet-log.ts'

const INFO = 'I1125 06:17:05.006331    8164 server.go:1] "All is well"'
const ID = 'a'.repeat(64)
const GONE = `E1125 06:17:05.006331    8164 remote_runtime.go:569] "ContainerStatus from runtime service failed" err="rpc error: code = NotFound desc = container ${ID} not found" containerID="${ID}"`
const FAILED = GONE.replace('NotFound', 'Internal')
const AWAY = GONE.replace('NotFound', 'Unavailable')
const FATAL = 'F1125 06:17:05.006331    8164 server.go:1] "Failed to run kubelet"'

test('an error of kubelet counts unless it is known to be no fault of the runtime', () => {
  expect(errorsIn([INFO, GONE, FAILED, FATAL].join('\n'))).toEqual([FAILED, FATAL])
})

test('that the daemon is away is an error unless it was ended', () => {
  expect(errorsIn(AWAY)).toEqual([AWAY])
  expect(errorsIn(AWAY, { restarts: true })).toEqual([])
  expect(errorsIn(FAILED, { restarts: true })).toEqual([FAILED])
})

test('that a container ends while its log is rotated is no fault', () => {
  const reopen = (code: string) =>
    `E1125 08:58:04.453921 436 remote_runtime.go:1006] "ReopenContainerLog from runtime service failed" err="rpc error: code = ${code} desc = container ${ID} has ended: nothing"`
  expect(errorsIn([reopen('FailedPrecondition'), reopen('DeadlineExceeded')].join('\n'))).toEqual([
    reopen('DeadlineExceeded'),
  ])
})
