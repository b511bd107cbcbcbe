import type { ContainerEdits, HookFile } from '../injection-port.ts'

/** What a container is, as far as hooks ask for it. */
export interface HookSubject {
  readonly annotations: { readonly [name: string]: string }
  readonly program: string
  readonly hasBindMounts: boolean
}

/** The hooks that are for this container, by their stages, in the order of the files. */
export const matchingHooks = (files: readonly HookFile[], subject: HookSubject): ContainerEdits['hooks'] =>
  files
    .filter(({ when }) => matches(when, subject))
    .flatMap(({ hook, stages }) => stages.map((stage) => ({ stage, ...hook })))

function matches(when: HookFile['when'], { annotations, program, hasBindMounts }: HookSubject): boolean {
  const entries = Object.entries(annotations)
  const conditions: readonly boolean[] = [
    ...(when.always === undefined ? [] : [when.always]),
    ...(when.hasBindMounts === undefined ? [] : [when.hasBindMounts && hasBindMounts]),
    ...when.annotations.map(([name, value]) =>
      entries.some(([key, content]) => name.test(key) && value.test(content)),
    ),
    ...(when.commands.length === 0 ? [] : [when.commands.some((command) => command.test(program))]),
  ]
  if (when.or) return conditions.some(Boolean)
  return conditions.length > 0 && conditions.every(Boolean)
}
