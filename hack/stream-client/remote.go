package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
)

// remote is exec or attach by client-go's executors: which of them it is, the URL knows.
func remote(opts options) result {
	var r result
	begin := time.Now()
	executor, err := newExecutor(opts)
	if err != nil {
		r.finish(err, begin)
		return r
	}
	s := openStreams(opts)
	streamOptions := remotecommand.StreamOptions{Tty: opts.tty}
	if s.stdin != nil {
		streamOptions.Stdin = s.stdin
	}
	if s.stdout != nil {
		streamOptions.Stdout = s.stdout
	}
	if s.stderr != nil {
		streamOptions.Stderr = s.stderr
	}
	if opts.size != "" {
		streamOptions.TerminalSizeQueue = newSizes(opts, s.stdout)
	}
	err = executor.StreamWithContext(context.Background(), streamOptions)
	r.finish(err, begin)
	s.count(&r, begin)
	return r
}

func newExecutor(opts options) (remotecommand.Executor, error) {
	if opts.transport == "websocket" {
		if opts.protocol == "" {
			return remotecommand.NewWebSocketExecutor(restConfig(opts), "GET", opts.url)
		}
		return remotecommand.NewWebSocketExecutorForProtocols(restConfig(opts), "GET", opts.url, opts.protocol)
	}
	target, err := url.Parse(opts.url)
	if err != nil {
		return nil, err
	}
	roundTripper, upgrader, err := spdy.RoundTripperFor(restConfig(opts))
	if err != nil {
		return nil, err
	}
	if opts.protocol == "" {
		return remotecommand.NewSPDYExecutorForTransports(roundTripper, upgrader, "POST", target)
	}
	return remotecommand.NewSPDYExecutorForProtocols(roundTripper, upgrader, "POST", target, opts.protocol)
}

func restConfig(opts options) *rest.Config {
	return &rest.Config{TLSClientConfig: rest.TLSClientConfig{Insecure: opts.tlsInsecure, CAFile: opts.ca}}
}

// sizes gives the terminal's first size at once, and the second after the first output: by then the process runs.
type sizes struct {
	next chan remotecommand.TerminalSize
}

func newSizes(opts options, stdout *countingWriter) *sizes {
	s := &sizes{next: make(chan remotecommand.TerminalSize, 2)}
	s.next <- parseSize(opts.size)
	if opts.resizeTo != "" && stdout != nil {
		second := parseSize(opts.resizeTo)
		stdout.onFirst = func() { s.next <- second }
	}
	return s
}

func (s *sizes) Next() *remotecommand.TerminalSize {
	size := <-s.next
	return &size
}

func parseSize(text string) remotecommand.TerminalSize {
	var size remotecommand.TerminalSize
	if _, err := fmt.Sscanf(text, "%dx%d", &size.Width, &size.Height); err != nil {
		usage("a size is COLSxROWS, not " + text)
	}
	return size
}
