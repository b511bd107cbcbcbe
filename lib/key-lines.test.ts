import fc from 'fast-check'
import { parse, stringify } from 'smol-toml'
import { describe, expect, test } from 'vitest'
import { type KeyPath, lineOfKey } from './key-lines.ts'

const text = `# root = "in a comment"
root = "/a" # state = 1
cni.conf_dir = '/b'
note = """
state = "in a string" \\"""
gc = ["x"]
"""
[ runtime . handlers."my.name" ]
path = "[not.a.table]"

[runtime.handlers]
other = { type = "oci", path = { deep = [1, 2] } }
list = [
  "a", # "b",
  'c]',
  { in_list = 1979-05-27 07:32:00 },
]
[[pods]]
name = 1
[[pods]]
name = 2
[pods.spec]
image = 'x'
"q\\u0041" = ""
`

describe('the line of', () => {
  test.for<[KeyPath, number | undefined]>([
    [['root'], 2],
    [['cni'], 3],
    [['cni', 'conf_dir'], 3],
    [['note'], 4],
    [['runtime'], 8],
    [['runtime', 'handlers', 'my.name'], 8],
    [['runtime', 'handlers', 'my.name', 'path'], 9],
    [['runtime', 'handlers', 'other', 'type'], 12],
    [['runtime', 'handlers', 'other', 'path', 'deep', 1], 12],
    [['runtime', 'handlers', 'list', 0], 14],
    [['runtime', 'handlers', 'list', 1], 15],
    [['runtime', 'handlers', 'list', 2, 'in_list'], 16],
    [['pods'], 18],
    [['pods', 1], 20],
    [['pods', 1, 'name'], 21],
    [['pods', 1, 'spec', 'image'], 23],
    [['pods', 1, 'spec', 'qA'], 24],
    [['runtime', 'handlers', 'my.name', 'missing'], 8],
    [['state'], undefined],
  ])('%o is %s', ([path, line]) => {
    expect(parse(text)).toHaveProperty('root')
    expect(lineOfKey(text, path)).toBe(line)
  })
})

type Tree = { [name: string]: Tree | string | string[] }

const name = fc.oneof(
  fc.stringMatching(/^[a-z_-]{1,6}$/),
  fc.string({ maxLength: 4 }).filter((value) => value !== '__proto__'),
)
const leaf = fc.oneof(
  fc.constantFrom('', '#', 'a = 1', '[x]', '"', "'", '{', ']', 'two\nlines', '"""', "'''", '\\'),
  fc.string(),
)
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.dictionary(name, fc.oneof({ maxDepth: 3 }, leaf, fc.array(leaf, { maxLength: 3 }), tie('tree')), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
}))
const form = fc.constantFrom<Form>('table', 'inline', 'dotted')

type Form = 'table' | 'inline' | 'dotted'

const quoted = (value: string): string => JSON.stringify(value).replaceAll('\x7f', '\\u007f')
const spelled = (value: string): string => (/^[A-Za-z0-9_-]+$/.test(value) ? value : quoted(value))

const isTable = (value: Tree[string]): value is Tree => typeof value === 'object' && !Array.isArray(value)

/** Writes a tree as TOML in changing forms, and notes the line on which each leaf's key stands. */
function written(root: Tree, forms: () => Form): { text: string; lines: [string[], number][] } {
  const out: string[] = []
  const lines: [string[], number][] = []
  const inline = (value: Tree[string], path: string[]): string => {
    if (typeof value === 'string' || Array.isArray(value)) {
      lines.push([path, out.length + 1])
      return Array.isArray(value) ? `[ ${value.map(quoted).join(',')} ]` : quoted(value)
    }
    const pairs = Object.entries(value).map(
      ([key, item]) => `${spelled(key)} = ${inline(item, [...path, key])}`,
    )
    return `{ ${pairs.join(', ')} }`
  }
  /** An empty table can't be dotted, and below a dotted key no header can follow. */
  const formOf = (item: Tree, dotted: boolean): Form => {
    const chosen = forms()
    if (chosen === 'dotted' && Object.keys(item).length === 0) return 'inline'
    return chosen === 'table' && dotted ? 'inline' : chosen
  }
  const table = (value: Tree, path: string[], prefix: string): void => {
    const later = Object.entries(value).map(([key, item]) =>
      entry(item, [...path, key], prefix + spelled(key)),
    )
    for (const write of later) write?.()
  }
  /** Writes it now, or answers how to write it once its table is done. */
  const entry = (item: Tree[string], path: string[], key: string): (() => void) | undefined => {
    const chosen = isTable(item) ? formOf(item, key.includes(' . ')) : 'inline'
    if (chosen === 'table') return () => section(item as Tree, path)
    if (chosen === 'inline') out.push(`${key} = ${inline(item, path)} # ] } "`)
    else table(item as Tree, path, `${key} . `)
    return undefined
  }
  const section = (value: Tree, path: string[]): void => {
    out.push('', `\t[${path.map(spelled).join('.')}]`)
    table(value, path, '')
  }
  table(root, [], '')
  return { text: out.join('\n'), lines }
}

test('every key is found on the line it was written on, however tables are written', () => {
  fc.assert(
    fc.property(tree, fc.infiniteStream(form), (value, forms) => {
      const { text, lines } = written(value, () => forms.next().value)
      expect(JSON.stringify(parse(text))).toBeDefined()
      for (const [path, line] of lines) expect([path, lineOfKey(text, path)]).toEqual([path, line])
    }),
  )
})

test('no text that another writer makes holds a key that is not found', () => {
  fc.assert(
    fc.property(tree, (value) => {
      const text = stringify(value)
      for (const key of Object.keys(parse(text))) expect(lineOfKey(text, [key])).toBeGreaterThan(0)
    }),
  )
})
