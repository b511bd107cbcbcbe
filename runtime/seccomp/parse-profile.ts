import { constants } from 'node:os'
import { invalidArgument } from '#lib/errors.ts'
import { nearestName } from '#lib/names.ts'
import { JsonValue, MAX_UINT64 } from './json-value.ts'
import {
  type KernelVersion,
  type SeccompArg,
  type SeccompCondition,
  type SeccompProfile,
  type SeccompRule,
  seccompActions,
  seccompOperators,
} from './profile.ts'

const profileKeys = [
  ...['defaultAction', 'defaultErrnoRet', 'defaultErrno', 'architectures', 'archMap', 'syscalls'],
  ...['flags', 'listenerPath', 'listenerMetadata'],
]
const ruleKeys = ['name', 'names', 'action', 'errnoRet', 'errno', 'args', 'includes', 'excludes']
const conditionKeys = ['caps', 'arches', 'minKernel']
const argKeys = ['index', 'value', 'valueTwo', 'op']

const MAX_ERRNO = 4095
const LAST_ARG = 5

/**
 * A profile as operators write them: `linux.seccomp` of the OCI specification, or Docker's format with archMap, includes
 * and excludes, or Podman's with errno by name. Throws invalid-argument, which names the place in the file.
 * Keys that nobody knows are left alone, as elsewhere, but for those that look like a slip.
 */
export function parseSeccompProfile(text: string): SeccompProfile {
  const file = JsonValue.parse(text).object(profileKeys)
  const [architectures, archMap] = [file.get('architectures'), file.get('archMap')]
  if (architectures !== undefined && archMap !== undefined) {
    throw invalidArgument('it has both architectures and archMap: keep one of them')
  }
  return {
    defaultAction: file.need('defaultAction').oneOf(seccompActions),
    defaultErrno: errnoOf(file.get('defaultErrnoRet'), file.get('defaultErrno')),
    architectures: architectures?.list((one) => one.matching(/^SCMP_ARCH_\w+$/, 'SCMP_ARCH_X86_64')) ?? [],
    architecturesOf: Object.fromEntries(archMap?.list(architectureEntry) ?? []),
    flags: file.get('flags')?.list((flag) => flag.matching(/^\w+$/, 'SECCOMP_FILTER_FLAG_LOG')) ?? [],
    listenerPath: file.get('listenerPath')?.text(),
    listenerMetadata: file.get('listenerMetadata')?.text(),
    rules: file.get('syscalls')?.list(ruleOf) ?? [],
  }
}

function architectureEntry(value: JsonValue): [string, readonly string[]] {
  const entry = value.object(['architecture', 'subArchitectures'])
  const native = entry.need('architecture').text()
  return [native, [native, ...(entry.get('subArchitectures')?.list((one) => one.text()) ?? [])]]
}

function ruleOf(value: JsonValue): SeccompRule {
  const rule = value.object(ruleKeys)
  const [name, names] = [rule.get('name'), rule.get('names')]
  if ((name === undefined) === (names === undefined)) {
    throw invalidArgument(
      `${value.path} has ${name === undefined ? 'neither' : 'both'} names and name: give names`,
    )
  }
  return {
    names: names?.list((one) => one.text()) ?? [name?.text() ?? ''],
    action: rule.need('action').oneOf(seccompActions),
    errno: errnoOf(rule.get('errnoRet'), rule.get('errno')),
    args: rule.get('args')?.list(argOf) ?? [],
    includes: conditionOf(rule.get('includes')),
    excludes: conditionOf(rule.get('excludes')),
  }
}

function argOf(value: JsonValue): SeccompArg {
  const arg = value.object(argKeys)
  return {
    index: Number(arg.need('index').integer(LAST_ARG)),
    value: arg.get('value')?.integer(MAX_UINT64) ?? 0n,
    valueTwo: arg.get('valueTwo')?.integer(MAX_UINT64),
    op: arg.need('op').oneOf(seccompOperators),
  }
}

function conditionOf(value: JsonValue | undefined): SeccompCondition | undefined {
  const condition = value?.object(conditionKeys)
  return (
    condition && {
      capabilities: noneIfEmpty(
        condition.get('caps')?.list((one) => one.matching(/^CAP_\w+$/, 'CAP_SYS_ADMIN')),
      ),
      architectures: noneIfEmpty(condition.get('arches')?.list((one) => one.text())),
      minKernel: kernelOf(condition.get('minKernel')),
    }
  )
}

/** An empty list asks for nothing: Docker's own profile has them. */
const noneIfEmpty = (list: readonly string[] | undefined): readonly string[] | undefined =>
  list?.length === 0 ? undefined : list

function kernelOf(value: JsonValue | undefined): KernelVersion | undefined {
  if (value === undefined || value.text() === '') return undefined
  const [major = '', minor = ''] = value.matching(/^\d{1,4}\.\d{1,4}$/, '4.8').split('.')
  return [Number(major), Number(minor)]
}

function errnoOf(number: JsonValue | undefined, name: JsonValue | undefined): number | undefined {
  if (number !== undefined) return Number(number.integer(MAX_ERRNO))
  if (name === undefined || name.text() === '') return undefined
  const known: { readonly [name: string]: number } = constants.errno
  const errno = known[name.text()]
  if (errno !== undefined) return errno
  const nearest = nearestName(name.text(), Object.keys(known))
  throw invalidArgument(
    `${name.path} is "${name.text()}", which is no errno: give one as ${nearest ?? 'EPERM'}`,
  )
}
