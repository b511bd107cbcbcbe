import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { CRITEST_REGISTRIES, critestImages } from '#test/fixtures/critest-images.ts'
import { startRegistry, type TestRegistry } from '#test/integration/registry.ts'

const PUSH_LIMIT_MS = 5 * 60_000

/**
 * A local registry with the images of critest for the tests of a file, as the mirror of all those that critest names.
 * Answers the directory with their hosts.toml. Call it before the daemon's hooks.
 */
export function useCritestRegistry(): string {
  const registriesDir = mkdtempSync('/run/cri-ts-registries-')
  let registry: TestRegistry | undefined
  beforeAll(async () => {
    registry = await startRegistry()
    for (const { repository, tags, images } of critestImages()) {
      for (const tag of tags) await registry.push(repository, tag, images)
    }
    for (const name of CRITEST_REGISTRIES) {
      const mirror = `server = "https://${name}"\n[host."${registry.url}"]\ncapabilities = ["pull", "resolve"]\n`
      mkdirSync(join(registriesDir, name))
      writeFileSync(join(registriesDir, name, 'hosts.toml'), mirror)
    }
  }, PUSH_LIMIT_MS)
  afterAll(async () => {
    await registry?.[Symbol.asyncDispose]()
    rmSync(registriesDir, { recursive: true })
  })
  return registriesDir
}
