import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Cgroup } from './cgroups.ts'
import { namesIn } from './names-in.ts'

/** A cgroup below a container's in which one exec runs, so that all it starts can be killed. */
export interface ExecSlot extends Disposable {
  readonly name: string
  /** A file while the exec is under way; runc writes the command's pid to it. */
  readonly mark: string
  readonly cgroup: Cgroup
}

const busy = new Set<string>()

/**
 * The first cgroup `exec-N` that no exec uses and in which nothing runs that an earlier one left. They are used again:
 * on cgroup v1 every removed memory cgroup stays in the kernel until its last page is gone.
 */
export function takeExecSlot(cgroup: Cgroup, marks: string): ExecSlot {
  for (let index = 0; ; index += 1) {
    const name = `exec-${index}`
    const mark = join(marks, name)
    const child = cgroup.child(name)
    if (busy.has(mark)) continue
    if (child.processes().length > 0) continue
    busy.add(mark)
    child.create()
    mkdirSync(marks, { recursive: true })
    rmSync(join(marks, `.${name}`), { force: true }) // A runc that was killed left it, and none would write past it.
    writeFileSync(mark, '')
    return {
      name,
      mark,
      cgroup: child,
      [Symbol.dispose]() {
        rmSync(mark, { force: true })
        busy.delete(mark)
      },
    }
  }
}

/** After a restart: kills the execs whose caller is gone. Those that had ended may leave what they like running. */
export function killAbandonedExecs(cgroup: Cgroup, marks: string): void {
  for (const name of namesIn(marks)) {
    cgroup.child(name).kill()
    rmSync(join(marks, name), { force: true })
  }
}
