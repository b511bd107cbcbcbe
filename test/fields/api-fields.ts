import { loadSync, type MessageTypeDefinition, type PackageDefinition } from '@grpc/proto-loader'

/** The leaf fields of a message of the CRI, as api.proto names them: `config.mounts.host_path`, lists without an index. */
export function apiFields(message: string): readonly string[] {
  return leavesOf(messageNamed(message), '')
}

/** The names of all requests of the CRI: `RunPodSandboxRequest`. */
export const apiRequests = (): readonly string[] =>
  Object.keys(definitions)
    .map((name) => name.replace('runtime.v1.', ''))
    .filter((name) => name.endsWith('Request'))

/** Which of the fields stand in no table, and which entries of the tables are no field. An entry ending in `*` is for all below it. */
export function compareFields(
  fields: readonly string[],
  entries: readonly string[],
): { readonly missing: readonly string[]; readonly unknown: readonly string[] } {
  const covers = (entry: string, field: string): boolean =>
    entry.endsWith('*') ? field.startsWith(entry.slice(0, -1)) : field === entry
  return {
    missing: fields.filter((field) => !entries.some((entry) => covers(entry, field))),
    unknown: entries.filter((entry) => !fields.some((field) => covers(entry, field))),
  }
}

/** A copy with the value at the path, whose lists are their first elements: made where they are missing. */
export function withField(message: object, path: string, value: unknown): object {
  const [first = '', ...rest] = path.split('.')
  if (Array.isArray(message)) return [withField(message[0] ?? {}, path, value), ...message.slice(1)]
  const before: unknown = Reflect.get(message, first)
  const after = rest.length === 0 ? value : withField((before ?? {}) as object, rest.join('.'), value)
  return { ...message, [first]: after }
}

interface FieldType {
  readonly name: string
  readonly type: string
  readonly typeName: string
}

interface MessageType {
  readonly field: readonly FieldType[]
  readonly nestedType: readonly { readonly name: string; readonly options: { mapEntry?: boolean } | null }[]
}

const definitions: PackageDefinition = loadSync(
  new URL('../../proto/runtime/v1/api.proto', import.meta.url).pathname,
  { keepCase: true },
)

function messageNamed(name: string): MessageType {
  const definition = definitions[`runtime.v1.${name}`] as MessageTypeDefinition<object, object> | undefined
  if (definition === undefined) throw new Error(`api.proto has no message ${name}`)
  return definition.type as MessageType
}

function leavesOf({ field: fields, nestedType }: MessageType, at: string): readonly string[] {
  return fields.flatMap(({ name, type, typeName }) => {
    const last = typeName.split('.').at(-1) ?? ''
    const isMap = nestedType.find((nested) => nested.name === last)?.options?.mapEntry === true
    const isLeaf = type !== 'TYPE_MESSAGE' || isMap
    return isLeaf ? [`${at}${name}`] : leavesOf(messageNamed(last), `${at}${name}.`)
  })
}
