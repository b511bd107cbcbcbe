import { expect, test } from 'vitest'
import { sampleHandler } from '../sample-handler.ts'
import { allowedAnnotations } from './allowed-annotations.ts'
import { buildOciSpec } from './build-spec.ts'
import { sampleInput } from './sample-input.ts'

const annotations = { 'run.oci.handler': 'wasm', 'io.katacontainers.config.a/b': 'x', 'run.oci': 'y' }

test.for<[patterns: string[], names: string[]]>([
  [[], []],
  [['run.oci.handler'], ['run.oci.handler']],
  [['run.oci.'], []],
  [['run.oci.*'], ['run.oci.handler']],
  [['run.oci*'], ['run.oci.handler', 'run.oci']],
  [
    ['io.katacontainers.*', 'run.oci'],
    ['io.katacontainers.config.a/b', 'run.oci'],
  ],
  [['*.config.*'], ['io.katacontainers.config.a/b']],
  [['run?oci'], []],
  [['*'], ['run.oci.handler', 'io.katacontainers.config.a/b', 'run.oci']],
])('%j lets through %j', ([patterns, names]) => {
  expect(Object.keys(allowedAnnotations({ allowedAnnotations: patterns }, annotations))).toEqual(names)
})

test("the container's go over the pod's, and cri-ts's own over both", () => {
  const { container, sandbox } = sampleInput
  const pod = { 'example.com/a': 'pod', 'example.com/b': 'pod', 'io.kubernetes.cri.sandbox-id': 'forged' }
  const spec = buildOciSpec({
    ...sampleInput,
    handler: sampleHandler('runc', { allowedAnnotations: ['*'] }),
    sandbox: { ...sandbox, spec: { ...sandbox.spec, annotations: pod } },
    container: { ...container, annotations: { 'example.com/b': 'container' } },
  })
  expect(spec.annotations).toMatchObject({
    'example.com/a': 'pod',
    'example.com/b': 'container',
    'io.kubernetes.cri.sandbox-id': 'sandbox-1',
  })
})
