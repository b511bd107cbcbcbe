import { MS_NODEV, MS_NOSUID, MS_RDONLY, mount } from './libc.ts'

/** Mounts a file that holds an EROFS, without a loop device (Linux 6.12). */
export function mountErofs(file: string, target: string): void {
  mount(file, target, 'erofs', MS_RDONLY | MS_NOSUID | MS_NODEV)
}
