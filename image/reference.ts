import { invalidArgument } from '#lib/errors.ts'

/**
 * The name of an image in a registry, whole: what was left out is filled in as Docker does.
 * `busybox` is `docker.io/library/busybox:latest`.
 */
export interface Reference {
  /** `host` or `host:port`, as written; `docker.io` where none was. */
  readonly registry: string
  readonly repository: string
  /** Absent where a digest names the image: a tag beside a digest is checked, then dropped, as containerd does. */
  readonly tag?: string
  /** `sha256:` and 64 hexadecimal digits. */
  readonly digest?: string
  /** `registry/repository` */
  readonly name: string
  /** `name:tag` */
  readonly tagged?: string
  /** `name@digest` */
  readonly canonical?: string
}

const DEFAULT_REGISTRY = 'docker.io'
const DEFAULT_TAG = 'latest'
const LONGEST_REPOSITORY = 255

const hostComponent = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])'
const registryForm = new RegExp(
  `^(?:${hostComponent}(?:\\.${hostComponent})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?$`,
)
const pathComponentForm = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const tagForm = /^\w[\w.-]{0,127}$/
const digestForm = /^sha256:[0-9a-f]{64}$/
const imageIdForm = /^(?:sha256:)?[0-9a-f]{64}$/

/**
 * Reads `[registry/]repository[:tag][@digest]` by the grammar of github.com/distribution/reference.
 * Throws invalid-argument that names the reference and what is wrong with it; an image id is none.
 */
export function parseReference(text: string): Reference {
  if (text === '') throw invalidArgument('the image reference is empty: name an image')
  if (isImageId(text)) {
    throw malformed(text, 'it is an image id, and an id cannot be looked up in a registry: name a repository')
  }
  const at = text.indexOf('@')
  const digest = at === -1 ? undefined : checkDigest(text, text.slice(at + 1))
  const { registry, rest } = splitRegistry(at === -1 ? text : text.slice(0, at))
  const colon = rest.indexOf(':')
  const path = colon === -1 ? rest : rest.slice(0, colon)
  const tag = colon === -1 ? undefined : checkTag(text, rest.slice(colon + 1))
  checkRegistry(text, registry)
  const repository = registry === DEFAULT_REGISTRY && !path.includes('/') ? `library/${path}` : path
  checkRepository(text, path, repository)

  const name = `${registry}/${repository}`
  if (digest !== undefined) return { registry, repository, digest, name, canonical: `${name}@${digest}` }
  const chosen = tag ?? DEFAULT_TAG
  return { registry, repository, tag: chosen, name, tagged: `${name}:${chosen}` }
}

/** A reference as images have it as a tag or a digest: `docker.io/library/busybox:latest` of `busybox`. Throws invalid-argument. */
export const fullName = (text: string): string => nameOf(parseReference(text))

export const nameOf = ({ canonical, tagged, name }: Reference): string => canonical ?? tagged ?? name

/** `busybox` and `:1` of `busybox:1`, which names no registry; undefined for what does, and for no reference. */
export function shortName(text: string): { readonly name: string; readonly rest: string } | undefined {
  const [, name = '', rest = ''] = /^([^:@]+)((?::[^@]*)?(?:@.*)?)$/s.exec(text) ?? []
  return name === '' || namesRegistry(text) ? undefined : { name, rest }
}

/** Whether it is the digest of an image's configuration, with or without `sha256:`. */
export const isImageId = (text: string): boolean => imageIdForm.test(text)

/** Whether it is a digest that this project can verify. */
export const isDigest = (text: string): boolean => digestForm.test(text)

/** Whose name is the part before the first slash: a registry's has a dot, a port, a capital, or is localhost. */
function splitRegistry(text: string): { registry: string; rest: string } {
  if (!namesRegistry(text)) return { registry: DEFAULT_REGISTRY, rest: text }
  const slash = text.indexOf('/')
  const first = text.slice(0, slash)
  return { registry: first === 'index.docker.io' ? DEFAULT_REGISTRY : first, rest: text.slice(slash + 1) }
}

function namesRegistry(text: string): boolean {
  const [, first = ''] = /^([^/]*)\//.exec(text) ?? []
  return /[.:]/.test(first) || first === 'localhost' || first !== first.toLowerCase()
}

function checkRegistry(text: string, registry: string): void {
  if (!registryForm.test(registry)) throw malformed(text, `"${registry}" is not a registry's host[:port]`)
  const port = /:([0-9]+)$/.exec(registry)?.[1]
  if (port !== undefined && (Number(port) === 0 || Number(port) > 65_535)) {
    throw malformed(text, `${port} is not a port: it must be from 1 to 65535`)
  }
}

function checkRepository(text: string, path: string, repository: string): void {
  if (path === '') throw malformed(text, 'it names no repository')
  if (path !== path.toLowerCase()) {
    throw malformed(text, `the repository "${path}" has capitals: a repository is lowercase`)
  }
  const wrong = path.split('/').find((component) => !pathComponentForm.test(component))
  if (wrong !== undefined) {
    throw malformed(
      text,
      wrong === ''
        ? 'a part of the repository is empty: remove the extra slash'
        : `"${wrong}" is no part of a repository: it must be of a-z and 0-9, separated by ".", "_", "__" or "-"`,
    )
  }
  if (repository.length > LONGEST_REPOSITORY) {
    throw malformed(text, `the repository has ${repository.length} characters, ${LONGEST_REPOSITORY} at most`)
  }
}

function checkTag(text: string, tag: string): string {
  if (tagForm.test(tag)) return tag
  throw malformed(
    text,
    tag === ''
      ? 'the tag after ":" is empty'
      : `"${tag}" is not a tag: it must be 1 to 128 of a-z, A-Z, 0-9, "_", "." and "-", and not begin with "." or "-"`,
  )
}

function checkDigest(text: string, digest: string): string {
  if (isDigest(digest)) return digest
  throw malformed(text, `"${digest}" is not a digest: it must be sha256: and 64 digits of 0-9 and a-f`)
}

function malformed(text: string, why: string) {
  const shown = text.length > 300 ? `${text.slice(0, 300)}…` : text
  return invalidArgument(`image reference "${shown}" is malformed: ${why}`)
}
