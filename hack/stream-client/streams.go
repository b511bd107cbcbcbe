package main

import (
	"io"
	"os"
	"sync"
	"time"
)

// countingReader counts what the server was sent.
type countingReader struct {
	io.Reader
	bytes int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.bytes += int64(n)
	return n, err
}

// countingWriter counts what came, and tells once when the first byte did.
type countingWriter struct {
	io.Writer
	writing sync.Mutex
	bytes   int64
	last    byte
	first   time.Time
	once    sync.Once
	onFirst func()
}

func (c *countingWriter) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if len(p) > 0 {
		c.once.Do(func() {
			c.first = time.Now()
			if c.onFirst != nil {
				c.onFirst()
			}
		})
		c.last = p[len(p)-1]
	}
	c.bytes += int64(len(p))
	return c.Writer.Write(p)
}

// ownStderr is where `--stderr -` goes.
var ownStderr = &countingWriter{Writer: os.Stderr}

// streams are those that were asked for; the others are nil.
type streams struct {
	stdin          *countingReader
	stdout, stderr *countingWriter
}

func openStreams(opts options) streams {
	var s streams
	if opts.stdin != "" {
		s.stdin = &countingReader{Reader: opened(opts.stdin, os.Stdin, os.Open)}
		if opts.stdinLimit >= 0 {
			s.stdin.Reader = io.LimitReader(s.stdin.Reader, opts.stdinLimit)
		}
	}
	if opts.stdout != "" {
		s.stdout = &countingWriter{Writer: opened(opts.stdout, os.Stdout, os.Create)}
	}
	switch opts.stderr {
	case "":
	case "-":
		s.stderr = ownStderr
	default:
		s.stderr = &countingWriter{Writer: opened(opts.stderr, nil, os.Create)}
	}
	return s
}

func opened(name string, own *os.File, open func(string) (*os.File, error)) *os.File {
	if name == "-" {
		return own
	}
	file, err := open(name)
	if err != nil {
		usage(err.Error())
	}
	return file
}

// count writes into the result what went over the streams.
func (s streams) count(r *result, begin time.Time) {
	if s.stdin != nil {
		r.StdinBytes = s.stdin.bytes
	}
	if s.stdout != nil {
		r.StdoutBytes = s.stdout.bytes
		if !s.stdout.first.IsZero() {
			r.FirstByteMs = milliseconds(s.stdout.first.Sub(begin))
		}
	}
	if s.stderr != nil {
		r.StderrBytes = s.stderr.bytes
	}
}
