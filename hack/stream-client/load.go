package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// load opens connections at once, sends on each what is asked, and reads until it has what is wanted or its end.
func load(opts options) result {
	var r result
	var wait sync.WaitGroup
	var sent, received atomic.Int64
	failures := make([]error, opts.connections)
	begin := time.Now()
	for i := range opts.connections {
		wait.Go(func() { failures[i] = loadOne(opts, &sent, &received) })
	}
	wait.Wait()
	r.finish(errors.Join(failures...), begin)
	r.ExitCode = nil
	r.StdinBytes, r.StdoutBytes = sent.Load(), received.Load()
	return r
}

func loadOne(opts options, sent, received *atomic.Int64) error {
	conn, err := net.Dial("tcp", opts.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	n, err := io.CopyN(conn, zeros{}, opts.sendBytes)
	sent.Add(n)
	if err != nil {
		return fmt.Errorf("after %d bytes sent: %w", n, err)
	}
	if opts.closeWrite {
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			return err
		}
	}
	if opts.receiveBytes < 0 {
		n, err = io.Copy(io.Discard, conn)
		received.Add(n)
		return err
	}
	n, err = io.CopyN(io.Discard, conn, opts.receiveBytes)
	received.Add(n)
	if err != nil {
		return fmt.Errorf("after %d bytes of %d: %w", n, opts.receiveBytes, err)
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
