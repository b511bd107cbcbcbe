import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stringify } from 'smol-toml'
import { type ConfigKey, configKeys } from '#config/keys.ts'

const PATH = join(import.meta.dirname, '../docs/configuration.md')

/** Writes docs/configuration.md from the schema; with --check it only says whether that would change it. */
function main(): void {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const wanted = configurationPage()
  if (!values.check) writeFileSync(PATH, wanted)
  else if (readFileSync(PATH, 'utf8') !== wanted) {
    console.error('docs/configuration.md is not what config/schema.ts says: run `npm run generate`')
    process.exitCode = 1
  }
}

/** The page: a table for each section of the file. */
export function configurationPage(): string {
  const sections = Map.groupBy(configKeys(), ({ path }) => path.slice(0, -1).join('.'))
  const tables = [...sections].map(
    ([section, keys]) => `## ${section === '' ? 'Top level' : `\`[${section}]\``}\n\n${tableOf(keys)}`,
  )
  return `${INTRODUCTION}\n${tables.join('\n')}`
}

const INTRODUCTION = `# Configuration

This page is generated from config/schema.ts by \`npm run generate\`.

cri-ts reads one TOML file, /etc/cri-ts/config.toml or that of \`--config FILE\`; without one all is as by default.
The files \`config.d/*.toml\` beside it are read after it, in lexical order: tables are merged, arrays and all other
values are replaced. The flags \`--root\`, \`--state\`, \`--listen\` and \`--log-level\` go over all files.

A key or value that cri-ts does not know is an error that names its file and line.
\`cri-ts config default\` prints a file with every key, \`cri-ts config validate\` checks yours, and
\`cri-ts config show\` prints what is used and where each value comes from.
`

function tableOf(keys: readonly ConfigKey[]): string {
  const rows = keys.map(({ path, fallback, otherwise, allowed, description }) => [
    `\`${path.at(-1)}\``,
    fallback === undefined
      ? (otherwise ?? '')
      : `\`${stringify({ v: fallback }).slice('v = '.length).trim()}\``,
    sentenceOf(allowed),
    description,
  ])
  const table = [['Key', 'Default', 'Unit or values', 'Meaning'], ['---', '---', '---', '---'], ...rows]
  return table
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |\n`)
    .join('')
}

const sentenceOf = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

if (import.meta.main) main()
