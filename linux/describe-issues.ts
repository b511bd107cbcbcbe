import type { z } from 'zod'

/** What is wrong with a file, with the key: `devices[0].mounts[1].hostPath is empty`. The schema's messages go on from the key. */
export const describeIssues = (error: z.ZodError): string => error.issues.map(sentence).join('; ')

function sentence({ path, message }: z.core.$ZodIssue): string {
  const key = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('')
  return `${key.replace(/^\./, '') || 'the file'} ${message}`.replace(' Invalid input: ', ': ')
}
