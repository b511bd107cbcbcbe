import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { connect } from '#cri/client.ts'
import { busyboxArchive } from '#test/e2e/busybox.ts'
import { type Daemon, startDaemon } from '#test/e2e/daemon.ts'
import { cniAdd } from './cni-add.ts'
import { comeBeforeOthers } from './own-share.ts'
import type { BenchTarget } from './pod.ts'
import { execSync, held, lifecycle, type Result, seccompCost } from './scenarios.ts'

const IMAGE = 'localhost/bench/busybox:latest'

/** `hack/bench`: what pods cost with a daemon of its own, as Markdown tables, and as JSON with `--out`. */
const { values } = parseArgs({
  options: {
    handlers: { type: 'string', default: 'crun,runc' },
    scenarios: { type: 'string', default: 'nahsbdcg' },
    n: { type: 'string', default: '30' },
    pods: { type: 'string', default: '100' },
    out: { type: 'string' },
  },
})
const n = Number(values.n)

const scenarios: readonly [string, string, (target: BenchTarget, daemon: Daemon) => Promise<Result>][] = [
  ['n', `${n} networks for pods, without pods`, (_, daemon) => cniAdd(daemon.networks, n)],
  ['a', `${n} pods, one after another`, (target) => lifecycle(target, n, 1)],
  ['b', `${2 * n} pods, 10 at a time`, (target) => lifecycle(target, 2 * n, 10)],
  ['h', `${n} pods on the host's network`, (target) => lifecycle({ ...target, hostNetwork: true }, n, 1)],
  [
    's',
    `2 × ${n} pods on the host's network, with and without a seccomp profile`,
    (target) => seccompCost({ ...target, hostNetwork: true }, n),
  ],
  ['d', 'ExecSync of true', (target) => execSync(target)],
  [
    'cg',
    `${values.pods} pods held, then SIGKILL of the daemon`,
    (target, daemon) =>
      held(target, Number(values.pods), {
        pid: daemon.pid,
        restart: () => daemon.kill9().then(daemon.start),
      }),
  ],
]

comeBeforeOthers()
await using daemon = await startDaemon()
using client = connect(daemon.socket)
await daemon.criTs('images', 'import', '--name', IMAGE, busyboxArchive())
const results: object[] = []
for (const handler of values.handlers.split(',')) {
  const logDirectory = join(daemon.directory, 'logs')
  const target = { client, handler, image: IMAGE, logDirectory, hostNetwork: false }
  for (const [keys, title, run] of scenarios) {
    if (![...keys].some((key) => values.scenarios.includes(key))) continue
    const result = await run(target, daemon)
    print(`${handler}: ${title}`, result)
    results.push({ handler, scenario: keys, title, ...result })
  }
}
if (values.out !== undefined) writeFileSync(values.out, `${JSON.stringify(results, null, 2)}\n`)

function print(title: string, { latencies, figures }: Result): void {
  console.log(`\n## ${title}\n\n| ms | n | min | p50 | p95 | max |\n|---|---|---|---|---|---|`)
  for (const { name, n, min, p50, p95, max } of latencies) {
    console.log(`| ${[name, n, ...[min, p50, p95, max].map((ms) => ms.toFixed(1))].join(' | ')} |`)
  }
  for (const { name, value, unit } of figures) console.log(`\n${name}: ${value.toFixed(1)} ${unit}`)
}
