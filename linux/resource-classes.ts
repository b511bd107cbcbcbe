import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { CriError, invalidArgument } from '#lib/errors.ts'
import type { ResourceClasses } from '#runtime/resource-classes-port.ts'
import { blockIoClass } from './block-io-classes.ts'

export interface ResourceClassesOptions {
  /** Undefined: there are no classes. */
  readonly blockIoConfig: string | undefined
  /** Where resctrl is mounted, if it is: a directory for each RDT class. */
  readonly resctrl?: string
}

/** Block I/O classes of a file, and RDT classes as the kernel has them. */
export function createResourceClasses({
  blockIoConfig,
  resctrl = '/sys/fs/resctrl',
}: ResourceClassesOptions): ResourceClasses {
  return {
    blockIo(name) {
      if (blockIoConfig !== undefined) return blockIoClass(blockIoConfig, name)
      throw new CriError(
        'failed-precondition',
        `blockio class ${name}: this node defines no blockio classes: set blockio_config in the [runtime] table, or leave the annotation out`,
      )
    },

    rdt(name) {
      if (!existsSync(join(resctrl, 'schemata'))) {
        throw new CriError(
          'failed-precondition',
          `RDT class ${name}: resctrl is not mounted at ${resctrl}: mount it, if the CPU has RDT, or leave the annotation out`,
        )
      }
      const isName = /^[^/\0]+$/.test(name) && ![...RESCTRL_OWN, '.', '..'].includes(name)
      if (isName && existsSync(join(resctrl, name, 'schemata'))) return { closID: name }
      throw invalidArgument(`RDT class ${name} is not defined: make ${join(resctrl, name)} with its schemata`)
    },
  }
}

/** Directories of resctrl that are no classes. */
const RESCTRL_OWN = ['info', 'mon_data', 'mon_groups']
