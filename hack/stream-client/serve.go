package main

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// serve is what load talks to in a pod: on each port it reads so many bytes of a connection, sends so many, and closes
// it. Busybox's servers have a backlog of two or nine, which hundreds of connections at once overflow.
func serve(opts options) result {
	var r result
	begin := time.Now()
	failed := make(chan error)
	for _, text := range strings.Split(opts.ports, ",") {
		var port int
		var receive, send int64
		if _, err := fmt.Sscanf(text, "%d:%d:%d", &port, &receive, &send); err != nil {
			usage("serve wants PORT:RECEIVE:SEND, not " + text)
		}
		go func() { failed <- servePort(port, receive, send) }()
	}
	r.finish(<-failed, begin)
	return r
}

func servePort(port int, receive, send int64) error {
	listener, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	if err != nil {
		return err
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			if _, err := io.CopyN(io.Discard, conn, receive); err == nil {
				_, _ = io.CopyN(conn, zeros{}, send)
			}
		}()
	}
}
