import type { AppArmor } from '#runtime/apparmor-port.ts'
import type { FakeHost } from './fake-host.ts'

export function fakeAppArmor({ apparmor }: FakeHost): AppArmor {
  return {
    get enabled() {
      return apparmor.enabled
    },
    isLoaded: async (profile) => apparmor.loaded.has(profile),
    async loadDefault() {
      if (apparmor.hasParser) apparmor.loaded.add('cri-ts-default')
      return apparmor.loaded.has('cri-ts-default') ? 'cri-ts-default' : undefined
    },
  }
}
