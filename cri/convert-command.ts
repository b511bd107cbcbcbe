import { invalidArgument } from '#lib/errors.ts'

/** The words of a command line. Throws invalid-argument for one with a NUL, at which execve(2) would end it. */
export function convertCommand(words: readonly string[], field: string): readonly string[] {
  const bad = words.findIndex((word) => word.includes('\0'))
  if (bad < 0) return [...words]
  throw invalidArgument(`${field}[${bad}] is ${JSON.stringify(words[bad])}: a word of a command has no NUL`)
}

/** Of ExecSync and Exec, which have to name a program. */
export function convertExecCommand(cmd: readonly string[]): string[] {
  if (cmd.length === 0) throw invalidArgument('cmd is empty: name a command to run in the container')
  return [...convertCommand(cmd, 'cmd')]
}
