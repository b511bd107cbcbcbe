import { invalidArgument } from '#lib/errors.ts'
import type { ResolvedUser, UserRequest } from '../container/record.ts'

/** Ids that OCI runtimes take: non-negative 32-bit integers. */
const MAX_ID = 0x7fff_ffff

/**
 * Who a container runs as. `imageUser` counts where the request names no user; `passwd` and `group` are the contents
 * of the image's /etc/passwd and /etc/group, undefined where it has none. The groups that list the user in
 * /etc/group are joined too unless the request is strict, and the primary group is among the additional ones.
 * A uid that /etc/passwd lacks has gid 0. Throws invalid-argument naming what is unknown or out of range.
 */
export function resolveUser(
  request: UserRequest,
  imageUser: string,
  passwd: string | undefined,
  group: string | undefined,
): ResolvedUser {
  if (request.user === '' && request.group !== undefined) {
    throw invalidArgument(`group ${request.group} is given without a user: set run_as_user too`)
  }
  const named = request.user || imageUser
  const says = `${request.user === '' ? "the image's user" : 'linux.security_context.run_as_username'} is ${named}`
  const [wantedUser = '', wantedGroup, excess] = named.split(':')
  if (excess !== undefined) throw invalidArgument(`${says}: it is not of the form USER or USER:GROUP`)
  const groups = parseGroup(group ?? '')
  const user = findUser(wantedUser || '0', parsePasswd(passwd ?? ''), says)
  const gid = request.group ?? (wantedGroup ? findGroup(wantedGroup, groups, says) : user.gid)
  const listed = request.strictGroups === true ? [] : groups.filter(isMember(user))
  const additional = new Set([gid, ...listed.map((entry) => entry.gid), ...request.supplementalGroups])
  for (const id of additional) checkId('group', id)
  return { uid: user.uid, gid, additionalGids: [...additional].sort((a, b) => a - b) }
}

interface User {
  readonly name: string | undefined
  readonly uid: number
  readonly gid: number
}

function findUser(wanted: string, users: readonly User[], says: string): User {
  if (isNumber(wanted)) {
    const uid = checkId('user', Number(wanted))
    return users.find((user) => user.uid === uid) ?? { name: undefined, uid, gid: 0 }
  }
  const user = users.find(({ name }) => name === wanted)
  if (user === undefined) {
    throw invalidArgument(
      `${says}: user ${wanted} is not in the image's /etc/passwd: add it there, or give its number`,
    )
  }
  checkId('user', user.uid)
  return user
}

function findGroup(wanted: string, groups: readonly Group[], says: string): number {
  if (isNumber(wanted)) return Number(wanted)
  const group = groups.find(({ name }) => name === wanted)
  if (group === undefined) {
    throw invalidArgument(
      `${says}: group ${wanted} is not in the image's /etc/group: add it there, or give its number`,
    )
  }
  return group.gid
}

/** passwd(5): name, password, uid, gid and more; a line that is not of this form is nobody. */
function parsePasswd(content: string): readonly User[] {
  return fieldsOf(content).flatMap(([name, , uid = '', gid = '']) =>
    name && isNumber(uid) && isNumber(gid) ? [{ name, uid: Number(uid), gid: Number(gid) }] : [],
  )
}

interface Group {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/** group(5): name, password, gid, members by comma. */
function parseGroup(content: string): readonly Group[] {
  return fieldsOf(content).flatMap(([name, , gid = '', members = '']) =>
    name && isNumber(gid)
      ? [{ name, gid: Number(gid), members: members.split(',').filter((member) => member !== '') }]
      : [],
  )
}

const isMember =
  (user: User) =>
  ({ name, members }: Group): boolean =>
    name !== user.name && members.includes(user.name ?? '')

const fieldsOf = (content: string): readonly string[][] =>
  content.split('\n').map((line) => line.trim().split(':'))

const isNumber = (text: string): boolean => /^\d+$/.test(text)

function checkId(what: 'user' | 'group', id: number): number {
  if (Number.isInteger(id) && id >= 0 && id <= MAX_ID) return id
  throw invalidArgument(`${what} id ${id} is out of range: give one from 0 to ${MAX_ID}`)
}
