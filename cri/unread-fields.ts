import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader'
import { wholeMessage } from './ignored.ts'

type Fields = { readonly [field: string]: unknown }

/** The one key of every map in a populated message: it tells a map from a message. */
const mapKey = '*'

/** For tests: a message of that name (`RunPodSandboxRequest`) with every field set, recursively, as the generated code decodes it. */
export function populated<Message>(
  name: string,
  { decode }: { decode(bytes: Uint8Array): Message },
): Message {
  const definitions = loadDefinitions()
  const type = definitions[`runtime.v1.${name}`]
  if (type === undefined || !('serialize' in type)) throw new Error(`api.proto has no message ${name}`)
  return decode((type as MessageTypeDefinition<object, object>).serialize(populate(type, definitions)))
}

/** For tests: the message itself with other values at some paths (`config.mounts.0.hostPath`). */
export function withFields<Message extends object>(message: Message, values: Fields): Message {
  for (const [path, value] of Object.entries(values)) {
    const steps = path.split('.')
    const last = steps.pop() ?? ''
    const owner = steps.reduce<unknown>((parent, step) => Reflect.get(parent as object, step), message)
    if (!Reflect.has(owner as object, last)) throw new Error(`the message has no ${path}`)
    Reflect.set(owner as object, last, value)
  }
  return message
}

/** For tests: what makes populated LinuxContainerResources at this path valid. */
export const validResources = (at: string): Fields => ({
  [`${at}.cpuPeriod`]: 100_000n,
  [`${at}.cpuQuota`]: 1000n,
  [`${at}.cpuShares`]: 2n,
  [`${at}.cpusetCpus`]: '0-1,3',
  [`${at}.cpusetMems`]: '0',
  [`${at}.hugepageLimits.0.pageSize`]: '2MB',
  [`${at}.unified`]: { 'memory.high': '1' },
})

/** For tests: what was read of `message`, as paths (`config.linux.sysctls`), its lists' elements being one. */
export interface Recording<Message> {
  readonly message: Message
  readonly read: ReadonlySet<string>
}

export function recording<Message extends object>(message: Message): Recording<Message> {
  const read = new Set<string>()
  return { message: record(message, '', read), read }
}

/** For tests: the fields of a populated message that stand in none of the recordings. */
export function unreadFields(message: object, read: ReadonlySet<string>): string[] {
  const isRead = (path: string): boolean =>
    read.has(path) || ancestors(path).some((ancestor) => read.has(`${ancestor}.*`))
  return leaves(message, '').filter((path) => !isRead(path))
}

function record<Value>(value: Value, path: string, read: Set<string>): Value {
  if (!isMessage(value) && !Array.isArray(value)) return value
  return new Proxy(value as object, {
    get(target, key, receiver) {
      const found: unknown = Reflect.get(target, key, receiver)
      if (key === wholeMessage) read.add(`${path}.*`)
      if (typeof key === 'symbol') return found
      if (Array.isArray(target)) return /^\d+$/.test(key) ? record(found, path, read) : found
      const field = path === '' ? key : `${path}.${key}`
      read.add(field)
      return record(found, field, read)
    },
  }) as Value
}

function leaves(value: unknown, path: string): string[] {
  const one: unknown = Array.isArray(value) ? value[0] : value
  if (!isMessage(one) || mapKey in one) return path === '' ? [] : [path]
  return Object.entries(one).flatMap(([key, field]) => leaves(field, path === '' ? key : `${path}.${key}`))
}

const ancestors = (path: string): string[] =>
  path.split('.').map((_, index, steps) => steps.slice(0, index + 1).join('.'))

const isMessage = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)

interface FieldType {
  readonly name: string
  readonly type: string
  readonly typeName: string
  readonly label: string
}

interface MessageType {
  readonly name: string
  readonly field: readonly FieldType[]
  readonly nestedType: readonly (MessageType & { readonly options: { readonly mapEntry?: boolean } | null })[]
}

function populate(definition: PackageDefinition[string], definitions: PackageDefinition): Fields {
  const message = definition.type as MessageType
  return Object.fromEntries(
    message.field.map((field) => {
      const nested = message.nestedType.find(
        ({ name }) => field.typeName.endsWith(`.${name}`) || field.typeName === name,
      )
      if (nested?.options?.mapEntry === true) return [field.name, { [mapKey]: 'x' }]
      const value = fieldValue(field, definitions)
      return [field.name, field.label === 'LABEL_REPEATED' ? [value] : value]
    }),
  )
}

function fieldValue({ type, typeName }: FieldType, definitions: PackageDefinition): unknown {
  if (type === 'TYPE_MESSAGE') {
    const name = typeName.split('.').at(-1) ?? ''
    const definition = definitions[`runtime.v1.${name}`]
    if (definition === undefined) throw new Error(`api.proto has no message ${typeName}`)
    return populate(definition, definitions)
  }
  if (type === 'TYPE_STRING') return 'x'
  if (type === 'TYPE_BYTES') return Buffer.from('x')
  return type === 'TYPE_BOOL' ? true : 1
}

const loadDefinitions = (): PackageDefinition =>
  loadSync(new URL('../proto/runtime/v1/api.proto', import.meta.url).pathname, { keepCase: true })
