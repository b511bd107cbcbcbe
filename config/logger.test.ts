import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createLogger } from './logger.ts'

const SECRET = 'hunter2S3cret=='

/** What a logger writes while `use` logs with it. */
function written(use: (log: ReturnType<typeof createLogger>) => void): string {
  let text = ''
  use(createLogger({ level: 'trace', format: 'json' }, { write: (line) => (text += line) }))
  return text
}

const field = fc.constantFrom(
  ...['password', 'auth', 'identityToken', 'identity_token', 'registryToken', 'registry_token'],
  ...['authorization', 'Authorization', 'Proxy-Authorization', 'access_token', 'token'],
)
const secret = fc.constantFrom<unknown>(SECRET, [SECRET], { value: SECRET }, [{ deep: [SECRET] }])
const wrap = fc.array(
  fc.constantFrom<(value: unknown) => unknown>(
    (value) => ({ request: value }),
    (value) => [value],
    (value) => ({ image: 'a', auth_config: value, b: [1] }),
    (value) => Object.assign(new Error('failed'), { response: value }),
    (value) => new Error('outer', { cause: Object.assign(new Error('inner'), { config: value }) }),
  ),
  { maxLength: 6 },
)

test('no secret passes, at whatever depth, in fields, children and errors', () => {
  fc.assert(
    fc.property(field, secret, wrap, (name, value, wraps) => {
      const logged = wraps.reduce<unknown>((inner, wrapIn) => wrapIn(inner), { [name]: value })
      const text = written((log) => {
        log.info({ request: logged }, 'one')
        log.child({ request: logged }).warn('two')
        log.error({ err: logged }, 'three')
        log.error(Object.assign(new Error('four'), { [name]: value, request: logged }))
      })
      expect(text).not.toContain('hunter2')
      for (const line of text.trimEnd().split('\n')) expect(JSON.parse(line)).toHaveProperty('level')
    }),
  )
})

describe('no secret passes in text', () => {
  test.for([
    `GET https://user:${SECRET}@registry/v2/ failed`,
    `header Authorization: Basic ${SECRET}`,
    `sent bearer ${SECRET}, got 401`,
    `body {"password":"${SECRET}","x":1}`,
    `body ${JSON.stringify(JSON.stringify({ identity_token: SECRET }))}`,
    `GET /token?access_token=${SECRET}&service=x`,
  ])('%s', (message) => {
    const text = written((log) => {
      log.info(message)
      log.error({ err: new Error(message) }, 'failed')
      log.info({ note: [message] }, 'deep')
    })
    expect(text).not.toContain('hunter2')
    expect(text).toContain('[redacted]')
  })
})

test('what is no secret stays as it is', () => {
  const fields = {
    image: 'author/authority@sha256:12',
    user: 'me',
    auth: '',
    note: 'Basic authentication failed',
  }
  const [line = ''] = written((log) => log.info(fields, 'auth: registry answered 401')).split('\n')
  expect(JSON.parse(line)).toMatchObject({ ...fields, level: 'info', msg: 'auth: registry answered 401' })
})

test('what is below the level is not written', () => {
  let text = ''
  const log = createLogger({ level: 'warn', format: 'json' }, { write: (line) => (text += line) })
  log.info({}, 'quiet')
  log.warn({ id: 'abc' }, 'loud')
  expect(text).not.toContain('quiet')
  expect(text).toMatch(/^\{"level":"warn","time":"[^"]+","id":"abc","msg":"loud"\}\n$/)
})
