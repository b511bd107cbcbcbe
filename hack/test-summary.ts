import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Sums up a run of hack/test. Its argument is the directory with `parts` (exit status, tab, name of each part) and
 * Vitest's JSON reports. A part that failed without a failed test of its own counts as one failure.
 */
interface Report {
  readonly success: boolean
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly {
      readonly status: string
      readonly fullName: string
      readonly failureMessages: readonly string[]
      readonly meta?: { readonly skipReason?: string }
    }[]
  }[]
}

const LONGEST_MESSAGE_LINES = 20
const LONGEST_LINE = 400
const directory = process.argv[2] ?? '.'
const reports = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .map((name): Report => JSON.parse(readFileSync(join(directory, name), 'utf8')))
const files = reports.flatMap((report) => report.testResults)
const tests = files.flatMap((file) =>
  file.assertionResults.map((test) => ({ ...test, file: file.name.replace(`${process.cwd()}/`, '') })),
)

const passed = tests.filter((test) => test.status === 'passed')
const failed = tests.filter((test) => test.status === 'failed')
const skipped = tests.filter((test) => test.status !== 'passed' && test.status !== 'failed')
const brokenFiles = files.filter(
  (file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'),
)
const failedParts = readParts().filter(({ status }) => status !== 0)
// A part's failure that no test accounts for (types, lint, drift, a crash of the runner).
const unexplained = failed.length + brokenFiles.length === 0 ? failedParts : []

console.log('')
for (const test of failed) {
  console.log(`failed: ${test.file}: ${test.fullName}\n${beginning(test.failureMessages.join('\n'))}`)
}
for (const file of brokenFiles) console.log(`failed: ${file.name}\n${beginning(file.message)}`)
for (const { name, status } of failedParts) console.log(`failed: ${name} (exit status ${status})`)
for (const { file, fullName, meta } of skipped) {
  console.log(`skipped: ${file}: ${fullName}${meta?.skipReason === undefined ? '' : `: ${meta.skipReason}`}`)
}
const failures = failed.length + brokenFiles.length + unexplained.length
console.log(`${passed.length} passed, ${failures} failed, ${skipped.length} skipped`)
process.exitCode = failures + failedParts.length === 0 ? 0 : 1

/** Where only the end of the output is kept, this has to tell why. */
function beginning(message: string): string {
  const lines = message.split('\n').slice(0, LONGEST_MESSAGE_LINES)
  return lines.map((line) => `  ${line.slice(0, LONGEST_LINE)}`).join('\n')
}

function readParts(): readonly { readonly name: string; readonly status: number }[] {
  const path = join(directory, 'parts')
  if (!existsSync(path)) return [{ name: 'hack/test ran no part', status: 1 }]
  return readFileSync(path, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([status, name]) => ({ status: Number(status), name: name ?? '' }))
}
