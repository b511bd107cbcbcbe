package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// serve is what is talked to in a pod: on each port it reads so many bytes of a connection, sends so many, and closes
// it; a port alone sends back what it reads, in capitals, and ends with its client. Busybox's servers have a backlog of two or nine, which hundreds of connections at once overflow.
func serve(opts options) result {
	var r result
	begin := time.Now()
	failed := make(chan error)
	for _, text := range strings.Split(opts.ports, ",") {
		var port int
		var receive, send int64
		if _, err := fmt.Sscanf(text, "%d:%d:%d", &port, &receive, &send); err == nil {
			go func() { failed <- servePort(port, exchange(receive, send)) }()
		} else if port > 0 && text == fmt.Sprint(port) {
			go func() { failed <- servePort(port, echo) }()
		} else {
			usage("serve wants PORT:RECEIVE:SEND or PORT, not " + text)
		}
	}
	r.finish(<-failed, begin)
	return r
}

func servePort(port int, answer func(net.Conn)) error {
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
			answer(conn)
		}()
	}
}

func exchange(receive, send int64) func(net.Conn) {
	return func(conn net.Conn) {
		if _, err := io.CopyN(io.Discard, conn, receive); err == nil {
			_, _ = io.CopyN(conn, zeros{}, send)
		}
	}
}

func echo(conn net.Conn) {
	buffer := make([]byte, 64<<10)
	for {
		count, err := conn.Read(buffer)
		if _, failed := conn.Write(bytes.ToUpper(buffer[:count])); err != nil || failed != nil {
			return
		}
	}
}
