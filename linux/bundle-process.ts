import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseExact } from '#lib/exact-json.ts'

/** `process` of a bundle's config.json, its limits of 2^64-1 kept. */
export async function bundleProcess(bundle: string): Promise<object> {
  const config = parseExact(await readFile(join(bundle, 'config.json'), 'utf8'))
  return (config as { readonly process: object }).process
}
