import { CriError, describeError } from '#lib/errors.ts'
import type { SecurityProfile } from './pod-sandbox/record.ts'
import type { RuntimeContext } from './runtime-context.ts'
import { defaultSeccompProfile } from './seccomp/default-profile.ts'
import { parseSeccompProfile } from './seccomp/parse-profile.ts'
import type { SeccompProfile } from './seccomp/profile.ts'

/** What the configuration says of how containers are confined, for all handlers. */
export interface ConfinementSettings {
  /** For who asks for no seccomp profile. */
  readonly unsetSeccomp: SecurityProfile
  /** For privileged containers, whatever they ask for. */
  readonly privilegedSeccomp: SecurityProfile
  /** The AppArmor profile that RuntimeDefault means, and that containers have which ask for none; undefined: our own. */
  readonly apparmorProfile: string | undefined
  /** Whether images may hold checkpoints: their processes go on with the confinement that the image says. */
  readonly restoresImages: boolean
}

interface Request {
  readonly privileged: boolean
  readonly seccomp?: SecurityProfile
  readonly apparmor?: SecurityProfile
}

type Context = Pick<RuntimeContext, 'ports' | 'host' | 'options'>

/** What confines a container. */
export async function confinementOf(
  request: Request,
  handlerName: string,
  context: Context,
): Promise<{ readonly seccomp: SeccompProfile | undefined; readonly apparmorProfile: string | undefined }> {
  const [seccomp, apparmorProfile] = await Promise.all([
    seccompProfileOf(request, handlerName, context),
    apparmorProfileOf(request, context),
  ])
  return { seccomp, apparmorProfile }
}

/** The seccomp profile of a process; undefined: no filter. Throws where the one that is wanted can't be had here. */
export async function seccompProfileOf(
  { privileged, seccomp }: Request,
  handlerName: string,
  { ports, host, options }: Context,
): Promise<SeccompProfile | undefined> {
  const { unsetSeccomp, privilegedSeccomp } = options.confinement
  const wanted = privileged ? privilegedSeccomp : (seccomp ?? unsetSeccomp)
  if (wanted.type === 'Unconfined') return undefined
  const { features, settings } = options.handler(handlerName)
  const lacking = host.seccomp ? `the OCI runtime of handler ${handlerName}` : 'the kernel of this host'
  if (!host.seccomp || !features.seccomp) {
    throw new CriError(
      'failed-precondition',
      `seccomp profile ${wanted.type}: ${lacking} was built without seccomp: set Unconfined, or use another node or handler`,
    )
  }
  if (wanted.type === 'Localhost') return await read(wanted.reference, ports.hostPaths)
  const { seccompProfile } = settings
  if (seccompProfile === undefined) return defaultSeccompProfile
  return await read(
    seccompProfile,
    ports.hostPaths,
    ` (RuntimeDefault by runtime.handlers.${handlerName}.seccomp_profile)`,
  )
}

async function read(
  path: string,
  hostPaths: Context['ports']['hostPaths'],
  where = '',
): Promise<SeccompProfile> {
  try {
    return parseSeccompProfile(await hostPaths.readFile(path))
  } catch (error) {
    if (!(error instanceof CriError)) throw error
    const remedy = 'put a valid profile there on this node, or ask for another one'
    throw new CriError(error.kind, `seccomp profile ${path}${where}: ${describeError(error)}: ${remedy}`)
  }
}

/** The name of a loaded profile; undefined: none is applied. Throws where the one that is wanted can't be had here. */
export async function apparmorProfileOf(
  { privileged, apparmor: wanted }: Request,
  { ports: { apparmor }, options }: Context,
): Promise<string | undefined> {
  if (wanted?.type === 'Unconfined') return undefined
  if (wanted?.type !== 'Localhost' && privileged) return undefined
  if (!apparmor.enabled) {
    if (wanted === undefined) return undefined
    throw new CriError(
      'failed-precondition',
      `AppArmor profile ${wanted.type}: AppArmor is not enabled on this node: leave the profile out, or use another node`,
    )
  }
  const name = wanted?.type === 'Localhost' ? wanted.reference : options.confinement.apparmorProfile
  if (name === undefined) return await loadOwn(apparmor, wanted)
  if (await apparmor.isLoaded(name)) return name
  throw new CriError(
    'failed-precondition',
    `AppArmor profile ${name} is not loaded on this node: load it by apparmor_parser, or ask for another one`,
  )
}

/** A host that has no parser was not set up for AppArmor: who asks for nothing runs as on a host without. */
async function loadOwn(
  apparmor: Context['ports']['apparmor'],
  wanted: SecurityProfile | undefined,
): Promise<string | undefined> {
  const name = await apparmor.loadDefault()
  if (name !== undefined || wanted === undefined) return name
  throw new CriError(
    'failed-precondition',
    `AppArmor profile ${wanted.type} can't be loaded: apparmor_parser is not installed: install apparmor, or set Unconfined`,
  )
}
