import { readFileSync } from 'node:fs'
import type { OciSeccomp } from '#runtime/oci-spec/oci-spec.ts'
import { defaultSeccompProfile } from '#runtime/seccomp/default-profile.ts'
import { resolveSeccomp } from '#runtime/seccomp/profile.ts'
import { comparedSubjects, digestOf, effectOf } from './seccomp-effect.ts'

/** The half of hack/compare-seccomp that knows our profile: prints the subjects, then compares the answers to them. */
const [, , step, file = ''] = process.argv
if (step === 'subjects') for (const subject of comparedSubjects) console.log(JSON.stringify(subject))
else compare(readFileSync(file, 'utf8').trimEnd().split('\n'))

function compare(answers: readonly string[]): void {
  const differences = new Map<string, string[]>()
  const effects = comparedSubjects.map((subject, index) => {
    const theirs = effectOf(JSON.parse(answers[index] ?? '') as OciSeccomp)
    const ours = effectOf(resolveSeccomp(defaultSeccompProfile, subject))
    const note = (line: string): void => {
      const where = `${subject.architecture}, ${subject.capabilities.length} capabilities, Linux ${subject.kernel.join('.')}`
      differences.set(line, [...(differences.get(line) ?? []), where])
    }
    for (const line of theirs) if (!ours.includes(line)) note(`only there: ${line}`)
    for (const line of ours) if (!theirs.includes(line)) note(`only here: ${line}`)
    return theirs
  })
  for (const [line, where] of differences) console.log(`${line} (${where.length} times, as ${where[0]})`)
  const lines = effects.flat()
  console.log(
    `${comparedSubjects.length} subjects, ${lines.length} rules (${new Set(lines).size} different ones): ${differences.size} differences`,
  )
  console.log(`digest of theirs: ${digestOf(lines)}`)
  process.exitCode = differences.size === 0 ? 0 : 1
}
