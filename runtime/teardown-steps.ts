/** Undoes step by step and goes on past a step that fails; what failed is thrown together at the end. */
export async function runTeardown(
  what: string,
  steps: readonly (readonly [name: string, step: () => Promise<void>])[],
): Promise<void> {
  const failures: unknown[] = []
  for (const [name, step] of steps) {
    try {
      await step()
    } catch (cause) {
      failures.push(new Error(name, { cause }))
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, `teardown of ${what} is unfinished`)
}
