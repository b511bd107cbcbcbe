/** Of the packets of conmon: 2 is the standard output, 3 the standard error. */
export type OutputStream = 2 | 3

export type AttachOrder =
  | { readonly do: 'end' }
  | { readonly do: 'adopt'; readonly token: number; readonly fd: number }
  | { readonly do: 'send'; readonly token: number; readonly input: Uint8Array }
  | { readonly do: 'endInput' | 'mute' | 'unmute' | 'leave'; readonly token: number }
  | { readonly do: 'grant'; readonly token: number; readonly sizeBytes: number }

export type AttachReport =
  | {
      readonly tell: 'output'
      readonly token: number
      readonly stream: OutputStream
      readonly data: Uint8Array
    }
  | { readonly tell: 'taken'; readonly token: number; readonly sizeBytes: number }
  | { readonly tell: 'ended'; readonly token: number; readonly failure: string | undefined }

/**
 * How much output the worker reports before the main thread has had a turn of its event loop for it. So a container
 * that writes faster than the loop turns gets back-pressure for that long, and a client's socket its chance to drain.
 */
export const WINDOW_BYTES = 2 << 20
