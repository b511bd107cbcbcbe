/** Subprotocols of exec and attach over SPDY (k8s.io/cri-streaming, remotecommand). */
export const SPDY_COMMAND_PROTOCOLS = [
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
] as const
export const SPDY_PORT_FORWARD_PROTOCOLS = ['portforward.k8s.io'] as const

/** Over WebSocket; '' is a client that names none. */
export const WEBSOCKET_COMMAND_PROTOCOLS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  'channel.k8s.io',
  'base64.channel.k8s.io',
  '',
] as const
/** SPDY, in messages of a WebSocket: no name of RFC 6455, which takes no slash. */
export const TUNNEL_PROTOCOL = 'SPDY/3.1+portforward.k8s.io'
export const WEBSOCKET_PORT_FORWARD_PROTOCOLS = [
  TUNNEL_PROTOCOL,
  'v4.channel.k8s.io',
  'v4.base64.channel.k8s.io',
  '',
] as const

/** The first of the client's that is served; undefined when there is none. */
export function negotiate(offered: readonly string[], served: readonly string[]): string | undefined {
  return offered.find((protocol) => served.includes(protocol))
}

/** The values of a header that is a list. */
export const listed = (header: string | string[] | undefined): readonly string[] =>
  `${header ?? ''}`
    .split(',')
    .map((value) => value.trim())
    .filter((value) => value !== '')

export const isBase64 = (protocol: string): boolean => protocol.includes('base64.')
/** Whether the end of a command is told as JSON (and its exit code with it), else only its failure, as text. */
export const hasJsonStatus = (protocol: string): boolean => /^v[45]\./.test(protocol)
export const hasResize = (protocol: string): boolean => /^v[345]\./.test(protocol)
/** Whether a client may end its input without ending the connection. */
export const hasChannelClose = (protocol: string): boolean => protocol.startsWith('v5.')
