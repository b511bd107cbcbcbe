package main

import (
	"errors"
	"time"

	"k8s.io/client-go/util/exec"
)

// result is what a command prints; fields that say nothing about it are left out.
type result struct {
	// ExitCode is that of the remote process, if the protocol told it.
	ExitCode *int   `json:"exitCode"`
	Error    string `json:"error"`
	// Protocol is what the server chose (raw-websocket only: client-go does not tell).
	Protocol *string `json:"protocol,omitempty"`
	// CloseCode is that of the WebSocket's close frame, 1006 without one (raw-websocket only).
	CloseCode int `json:"closeCode,omitempty"`
	// Channels tells by number how many messages came and how many bytes they held (raw-websocket only).
	Channels map[int]*channel `json:"channels,omitempty"`
	// StdinBytes and the others count what went over the stream.
	StdinBytes  int64 `json:"stdinBytes"`
	StdoutBytes int64 `json:"stdoutBytes"`
	StderrBytes int64 `json:"stderrBytes"`
	// ElapsedMs is the time from before the connection to the end, FirstByteMs that to the first output.
	ElapsedMs   float64 `json:"elapsedMs"`
	FirstByteMs float64 `json:"firstByteMs,omitempty"`
}

type channel struct {
	Messages int   `json:"messages"`
	Bytes    int64 `json:"bytes"`
	// FirstBytes is the size of the first message: the server greets with an empty one.
	FirstBytes int `json:"firstBytes"`
}

// finish fills in how it ended.
func (r *result) finish(err error, begin time.Time) {
	r.ElapsedMs = milliseconds(time.Since(begin))
	var exit exec.CodeExitError
	switch {
	case err == nil:
		r.ExitCode = new(int)
	case errors.As(err, &exit):
		r.ExitCode = &exit.Code
		r.Error = exit.Error()
	default:
		r.Error = err.Error()
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
