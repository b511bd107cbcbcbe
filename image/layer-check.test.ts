import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { digestOf } from '#test/fixtures/image.ts'
import { LayerChecker, type LayerCheckRequest } from './layer-check.ts'
import { headersFileOf, headersFormat, LayerHeaders } from './layer-headers.ts'

let home: string
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'layer-check-'))
})
afterEach(() => rmSync(home, { recursive: true }))

const never = new AbortController().signal
const tar = Buffer.alloc(1024)

function layer(name: string): LayerCheckRequest {
  const directory = join(home, name)
  mkdirSync(directory)
  return { directory, headersFile: headersFileOf(directory), diffId: digestOf(tar) }
}

async function soundLayer(): Promise<LayerCheckRequest> {
  const request = layer('sound')
  using headers = new LayerHeaders(request.headersFile)
  headers.verbatim(tar)
  await headers.finish()
  return request
}

/** As an earlier version wrote it, which had no limit: its index is larger than the thread's heap. */
function hugeLayer(): LayerCheckRequest {
  const request = layer('huge')
  const entries = Array.from({ length: 200_000 }, (_, index) => ({ path: `a${index}`, sizeBytes: 0 }))
  const footer = Buffer.alloc(headersFormat.footerBytes)
  footer.write(headersFormat.mark, 16, 'latin1')
  writeFileSync(request.headersFile, Buffer.concat([Buffer.from(JSON.stringify(entries)), footer]))
  return request
}

test('a layer whose check ends the thread is told as not read, and the next ones are checked', async () => {
  await using checker = new LayerChecker({ heapMb: 24 })
  const sound = await soundLayer()
  expect(await checker.check(sound, never)).toEqual({ problems: [] })
  expect(await checker.check(hugeLayer(), never)).toEqual({
    problems: [],
    unread: expect.stringMatching(/^the thread that checked it failed: .*memory/) as string,
  })
  expect(await checker.check(sound, never)).toEqual({ problems: [] })
})

test('a check that is given up ends with the reason', async () => {
  await using checker = new LayerChecker()
  const stopped = AbortSignal.abort(new Error('given up'))
  await expect(checker.check(await soundLayer(), stopped)).rejects.toThrow('given up')
})
