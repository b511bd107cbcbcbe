import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createSelinux, type SelinuxHostOptions } from './selinux.ts'

function lab(options: Partial<SelinuxHostOptions> = {}) {
  const path = mkdtempSync(join(tmpdir(), 'selinux-'))
  mkdirSync(join(path, 'targeted/contexts'), { recursive: true })
  writeFileSync(join(path, 'config'), '# SELINUXTYPE=no\nSELINUX=enforcing\nSELINUXTYPE=targeted\n')
  const relabels = { relabel: async () => undefined, giveUp: () => new DisposableStack() }
  const at = (name: string): string => join(path, name)
  return {
    at,
    write: (name: string, text: string) => writeFileSync(at(name), text),
    selinux: createSelinux({
      ...{ isWanted: true, isOn: true, relabels, etc: path, containerContextsFile: at('contexts') },
      contextFile: at('context'),
      ...options,
    }),
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  }
}

test('it is on where the host has it on, unless it is not wanted', () => {
  const enabled = (options: Partial<SelinuxHostOptions>): boolean => {
    using host = lab(options)
    return host.selinux.enabled
  }
  expect(enabled({})).toBe(true)
  expect(enabled({ isWanted: false })).toBe(false)
  expect(enabled({ isOn: false })).toBe(false)
})

test("the contexts are those of container-selinux, or else of the host's policy", async () => {
  using host = lab()
  host.write(
    'targeted/contexts/lxc_contexts',
    'process = "system_u:system_r:container_t:s0"\n;file = "no"\nfile="system_u:object_r:container_file_t:s0"\n\nsandbox_kvm_process = "x"\n',
  )
  expect(await host.selinux.containerContexts()).toEqual({
    process: 'system_u:system_r:container_t:s0',
    file: 'system_u:object_r:container_file_t:s0',
  })
  host.write('contexts', 'process = "u:r:p:s0"\nfile = u:r:f:s0\n')
  expect(await host.selinux.containerContexts()).toEqual({ process: 'u:r:p:s0', file: 'u:r:f:s0' })
})

test.for([undefined, 'process = "u:r:p:s0"\n', 'process = "nonsense"\nfile = "u:r:f:s0"\n'])(
  'a policy that does not know containers is told of, with what to do: %s',
  async (text) => {
    using host = lab()
    if (text !== undefined) host.write('targeted/contexts/lxc_contexts', text)
    await expect(host.selinux.containerContexts()).rejects.toMatchObject({
      kind: 'failed-precondition',
      message: expect.stringMatching(/lxc_contexts has no (process|file).*install container-selinux/),
    })
  },
)

test('a label is valid when the kernel takes it', async () => {
  using host = lab()
  expect(await host.selinux.isValid('u:r:t:s0')).toBe(true)
  expect(readFileSync(host.at('context'), 'utf8')).toBe('u:r:t:s0\0')
  // A file of the kernel that answers EINVAL to what it does not know.
  using strict = lab({ contextFile: '/proc/self/oom_score_adj' })
  expect(await strict.selinux.isValid('u:r:t:s0')).toBe(false)
  using broken = lab({ contextFile: '/nonexistent/context' })
  expect(await broken.selinux.isValid('u:r:t:s0')).toBe(true)
})
