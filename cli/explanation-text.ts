import type { ExplainedEndpoint, ExplainedImage, Explanation } from '#image/registries-explain.ts'

/** For people. `nowMs` is of the clock that the explanation has its times from. */
export function explanationText({ reference, resolvedBy, images }: Explanation, nowMs: number): string {
  const head = resolvedBy === '' ? [] : [`${reference} is a short name, resolved by ${resolvedBy}`]
  return `${[...head, ...images.flatMap((image) => imageLines(image, nowMs))].join('\n')}\n`
}

function imageLines({ name, endpoints, blocked }: ExplainedImage, nowMs: number): readonly string[] {
  return [
    name,
    ...endpoints.flatMap((endpoint, index) => [
      `  ${index + 1}. ${endpoint.url}`,
      ...endpointLines(endpoint, nowMs).map(([what, text]) => `     ${what.padEnd(12)} ${text}`),
    ]),
    ...blocked.map((why) => `  -  ${why}`),
    ...(endpoints.length === 0 ? ['  a pull fails: there is nobody to ask'] : []),
  ]
}

function endpointLines(endpoint: ExplainedEndpoint, nowMs: number): readonly (readonly [string, string])[] {
  const { source, isMirror, capabilities, proxy, headers } = endpoint
  return [
    ['from', source === '' ? 'nothing is configured' : source],
    ['is', isMirror ? 'a mirror' : 'the registry itself'],
    [
      'asked for',
      capabilities.map((name) => (name === 'resolve' ? 'tags' : 'content')).join(', ') || 'nothing',
    ],
    ['security', securityOf(endpoint)],
    ...(proxy === '' ? [] : [['proxy', proxy] as const]),
    ...(headers.length === 0 ? [] : [['headers', headers.join(', ')] as const]),
    ['credentials', credentialsOf(endpoint)],
    ...(endpoint.breaker === undefined ? [] : [['failures', failuresOf(endpoint.breaker, nowMs)] as const]),
  ]
}

function securityOf({ tls }: ExplainedEndpoint): string {
  if (tls.plainHttp === 'always') return 'none: plain HTTP'
  const trusted = ["the system's authorities", ...tls.authorities].join('; ')
  return [
    tls.verify ? `TLS, its certificate signed by ${trusted}` : 'TLS, its certificate is not looked at',
    ...tls.clientCertificates.map((certificate) => `with the client certificate ${certificate}`),
    ...(tls.plainHttp === 'fallback' ? ['plain HTTP where it does not speak TLS'] : []),
  ].join('; ')
}

function credentialsOf({ credentials, headers }: ExplainedEndpoint): string {
  const { fromRequest, kept, problem } = credentials
  if (headers.some((name) => /^authorization$/i.test(name)))
    return 'the header Authorization, as it is configured'
  if (problem !== '') return `cannot be told: ${problem}`
  const sources = [...(fromRequest ? ["the request's, if it has some"] : []), ...kept]
  if (sources.length === 0) return 'none'
  return kept.length === 0 ? `${sources[0]}; else none` : sources.join('; else ')
}

function failuresOf(
  { state, why, failures, sinceMs, retryMs }: NonNullable<ExplainedEndpoint['breaker']>,
  nowMs: number,
): string {
  const seconds = (ms: number) => Math.max(0, Math.ceil(ms / 1000))
  const next =
    state === 'open'
      ? `it is passed over for ${seconds(retryMs - nowMs)} s more`
      : 'the next pull asks it again'
  return `${failures}, the last ${seconds(nowMs - sinceMs)} s ago (${why}): ${next}`
}
