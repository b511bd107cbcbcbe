import { accessSync, chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ordersIn } from './crash-points.ts'

const CNI_PLUGINS = ['bridge', 'host-local', 'portmap']
const OCI_RUNTIMES = ['crun', 'runc']
/** How long a program that ended its daemon waits to be released, in steps of 20 ms. */
const PATIENCE_STEPS = 50

/** Configuration of a daemon whose programs can end it. */
export interface ProgramPoints {
  readonly config: string
  readonly cni: string
}

/**
 * Scripts in place of the CNI plugins and OCI runtimes: `program bridge ADD`, `program crun create` end the daemon when
 * the program is to begin. It does its work all the same, but later: when it is released, or a second has gone by.
 * `hold bridge ADD` only makes it wait so.
 */
export function programPoints(directory: string): ProgramPoints {
  const plugins = join(directory, 'plugins')
  const runtimes = join(directory, 'runtimes')
  for (const path of [plugins, runtimes]) mkdirSync(path)
  for (const name of CNI_PLUGINS) {
    const program = firstOf(['/usr/lib/cni', '/opt/cni/bin'], name)
    // Their host-local is called by bridge with the same environment.
    write(join(plugins, name), script(directory, name, program, 'verb=$CNI_COMMAND', 'ADD|DEL'))
  }
  for (const name of OCI_RUNTIMES) {
    const program = firstOf(['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin'], name)
    const verb = 'verb=; for a; do case $a in -*) ;; *) verb=$a; break ;; esac; done'
    write(join(runtimes, name), script(directory, name, program, verb, 'create|start|delete'))
  }
  return {
    config: OCI_RUNTIMES.map((name) => `[runtime.handlers.${name}]\npath = "${join(runtimes, name)}"`).join(
      '\n',
    ),
    cni: `bin_dirs = ["${plugins}", "/usr/lib/cni", "/opt/cni/bin"]`,
  }
}

function script(directory: string, name: string, program: string, findVerb: string, verbs: string): string {
  const { order, journal, program: pidFile, release } = ordersIn(directory)
  return `#!/bin/sh
${findVerb}
case $verb in ${verbs})
  if { read -r point && read -r pid; } <${order}; then
    echo "program ${name} $verb" >>${journal}
    if [ "$point" = "program ${name} $verb" ] || [ "$point" = "hold ${name} $verb" ]; then
      /bin/rm ${order}
      echo $$ >${pidFile}
      case $point in program*) kill -9 "$pid" ;; esac
      steps=0
      while [ ! -e ${release} ] && [ $((steps += 1)) -le ${PATIENCE_STEPS} ]; do /bin/sleep 0.02; done
    fi
  fi 2>/dev/null ;;
esac
exec ${program} "$@"
`
}

function write(path: string, text: string): void {
  writeFileSync(path, text)
  chmodSync(path, 0o755)
}

function firstOf(directories: readonly string[], name: string): string {
  const found = directories.map((directory) => join(directory, name)).find(isThere)
  if (found === undefined) throw new Error(`there is no ${name} in ${directories.join(', ')}`)
  return found
}

function isThere(path: string): boolean {
  try {
    accessSync(path)
    return true
  } catch {
    return false
  }
}
