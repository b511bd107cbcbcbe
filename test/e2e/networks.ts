import { join } from 'node:path'

const BRIDGE = 'cri-ts-e2e0'

/** A conf list as clusters have it: bridge, host-local addresses, masquerading, host ports. Leases go below `directory`. */
export const bridgeNetwork = (directory: string, { dualStack = false } = {}): string =>
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'bridge',
        bridge: BRIDGE,
        isGateway: true,
        ipMasq: true,
        hairpinMode: true,
        ipam: {
          type: 'host-local',
          dataDir: join(directory, 'cni'),
          ranges: [[{ subnet: '10.211.77.0/24' }], ...(dualStack ? [[{ subnet: 'fd77:77::/64' }]] : [])],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  })
