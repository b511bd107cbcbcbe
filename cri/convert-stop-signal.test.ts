import { expect, test } from 'vitest'
import { Signal } from '#proto/gen/runtime/v1/api.ts'
import { convertStopSignal, stopSignalToWire } from './convert-stop-signal.ts'

test.for(Object.entries(Signal))('%s survives the way to our name and back', ([, signal]) => {
  expect(stopSignalToWire(convertStopSignal(signal))).toBe(signal)
})

test.for([
  ['SIGTERM', Signal.SIGNAL_SIGTERM],
  ['TERM', Signal.SIGNAL_SIGTERM],
  ['sigquit', Signal.SIGNAL_SIGQUIT],
  ['15', Signal.SIGNAL_SIGTERM],
  ['6', Signal.SIGNAL_SIGABRT],
  ['SIGRTMIN+3', Signal.SIGNAL_SIGRTMINPLUS3],
  ['RTMAX-1', Signal.SIGNAL_SIGRTMAXMINUS1],
  ['', Signal.SIGNAL_RUNTIME_DEFAULT],
  ['99', Signal.SIGNAL_RUNTIME_DEFAULT],
  ['SIGFOO', Signal.SIGNAL_RUNTIME_DEFAULT],
] as const)('an image may write %s', ([text, signal]) => {
  expect(stopSignalToWire(text)).toBe(signal)
})
