package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
)

// forward listens on local ports until stdin closes, as `kubectl port-forward` does until it is interrupted.
func forward(opts options) result {
	var r result
	begin := time.Now()
	// Where client-go tells what went wrong with one connection.
	klog.SetOutput(ownStderr)
	r.finish(forwardUntilEOF(opts), begin)
	klog.Flush()
	klog.SetOutput(io.Discard)
	r.ExitCode = nil
	r.StderrBytes = ownStderr.bytes
	return r
}

func forwardUntilEOF(opts options) error {
	dialer, err := newDialer(opts)
	if err != nil {
		return err
	}
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddressesForStreaming(
		dialer, []string{"127.0.0.1"}, strings.Split(opts.ports, ","), stop, ready, io.Discard, ownStderr)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case err := <-ended:
		return err
	case <-ready:
	}
	if err := printPorts(forwarder); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(stop)
	}()
	return <-ended
}

func newDialer(opts options) (httpstream.Dialer, error) {
	target, err := url.Parse(opts.url)
	if err != nil {
		return nil, err
	}
	if opts.transport == "websocket" {
		return portforward.NewSPDYOverWebsocketDialerForStreaming(target, restConfig(opts))
	}
	roundTripper, upgrader, err := spdy.RoundTripperFor(restConfig(opts))
	if err != nil {
		return nil, err
	}
	return spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: roundTripper}, "POST", target), nil
}

type forwardedPort struct {
	Local  uint16 `json:"local"`
	Remote uint16 `json:"remote"`
}

func printPorts(forwarder *portforward.PortForwarder) error {
	forwarded, err := forwarder.GetPorts()
	if err != nil {
		return err
	}
	ports := []forwardedPort{}
	for _, port := range forwarded {
		ports = append(ports, forwardedPort{port.Local, port.Remote})
	}
	line, err := json.Marshal(map[string]any{"ports": ports})
	if err != nil {
		return err
	}
	fmt.Println(string(line))
	return nil
}
