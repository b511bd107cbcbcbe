import { readFileSync } from 'node:fs'

/** Another one each time the machine is started. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
