import type { Config } from '#config/config.ts'
import { CriError } from '#lib/errors.ts'
import { type FoundHandler, handlerFeatures, programOf } from '#linux/runtime-handlers.ts'
import type { RuntimeHandler } from '#runtime/handler.ts'

/** A configured handler as it is found on this host. */
export function runtimeHandler(
  name: string,
  handlers: readonly FoundHandler[],
  { runtime }: Pick<Config, 'runtime'>,
): RuntimeHandler {
  const found = handlers.find((each) => each.name === name)
  const settings = runtime.handlers[name]
  if (found !== undefined && settings !== undefined) {
    const usual = programOf(found.version) === 'runsc' ? 'container' : 'namespaces'
    const sandbox = settings.sandbox === 'auto' ? usual : settings.sandbox
    return { name, features: handlerFeatures(found), settings, sandbox }
  }
  throw new CriError(
    'failed-precondition',
    `runtime handler ${name} is not configured any more: add it to [runtime.handlers] again`,
  )
}
