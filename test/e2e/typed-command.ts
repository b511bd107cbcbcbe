import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync } from 'node:fs'
import { ReadStream } from 'node:tty'
import { openTerminal, setTerminalSize } from '#linux/terminal.ts'
import { until } from './until.ts'

/** A program that somebody sits before; `await using` kills it if it still runs. */
export interface TypedCommand extends AsyncDisposable {
  type(text: string): void
  /** Waits until this stands on the screen, after what was waited for before. */
  shows(text: string): Promise<void>
  resize(columns: number, rows: number): void
  /** Its exit code. */
  readonly ended: Promise<number>
}

/** Runs a program on a terminal of its own, 80 columns wide and 24 rows high. */
export function typedCommand(program: string, args: readonly string[]): TypedCommand {
  const { controller, peer } = openTerminal()
  setTerminalSize(controller, { columns: 80, rows: 24 })
  const child = spawn('setsid', ['--ctty', '--wait', program, ...args], { stdio: [peer, peer, peer] })
  closeSync(peer)
  const terminal = new ReadStream(controller)
  let screen = ''
  let seen = 0
  terminal.on('data', (chunk: Buffer) => {
    screen += chunk
  })
  terminal.on('error', () => {}) // It ends by EIO.
  const ended = once(child, 'exit').then(([code]) => code as number)
  return {
    type: (text) => void terminal.write(text),
    async shows(text) {
      await until(`${JSON.stringify(text)} is shown`, () => screen.indexOf(text, seen) >= 0).catch(
        (cause: unknown) => {
          throw new Error(`on the screen is ${JSON.stringify(screen.slice(seen))}`, { cause })
        },
      )
      seen = screen.indexOf(text, seen) + text.length
    },
    resize(columns, rows) {
      setTerminalSize(controller, { columns, rows })
    },
    ended,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) child.kill('SIGKILL')
      terminal.destroy() // A hang-up ends what setsid has started.
      await ended
    },
  }
}
