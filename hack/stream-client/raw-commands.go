package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/client-go/util/exec"
)

// remoteRaw is exec or attach over a WebSocket subprotocol that client-go has no client for, or over none.
func remoteRaw(opts options) result {
	var r result
	begin := time.Now()
	conn, err := dialRaw(opts)
	if err != nil {
		r.finish(err, begin)
		return r
	}
	defer conn.ws.Close()
	s := openStreams(opts)
	if s.stdin != nil {
		go conn.sendAll(remotecommand.StreamStdIn, s.stdin)
	}
	if opts.size != "" {
		sendSizes(conn, newSizes(opts, s.stdout))
	}
	var status []byte
	err = conn.pump(&r, func(number int, data []byte) {
		switch {
		case number == remotecommand.StreamStdOut && s.stdout != nil:
			_, _ = s.stdout.Write(data)
		case number == remotecommand.StreamStdErr && s.stderr != nil:
			_, _ = s.stderr.Write(data)
		case number == remotecommand.StreamErr:
			status = append(status, data...)
		}
	})
	r.finish(errors.Join(err, conn.errorOf(status)), begin)
	if len(status) == 0 && (conn.isV4 || conn.isV5) && err == nil {
		r.ExitCode, r.Error = nil, "the connection ended without a status"
	}
	s.count(&r, begin)
	return r
}

func sendSizes(conn *rawConn, queue *sizes) {
	go func() {
		for {
			size, err := json.Marshal(queue.Next())
			if err != nil || conn.send(remotecommand.StreamResize, size) != nil {
				return
			}
		}
	}()
}

// errorOf reads the error channel: a Status from the fourth version on, before it text that is there on failure only.
func (c *rawConn) errorOf(message []byte) error {
	if len(message) == 0 {
		return nil
	}
	if !c.isV4 && !c.isV5 {
		return errors.New(string(message))
	}
	var status metav1.Status
	if err := json.Unmarshal(message, &status); err != nil {
		return fmt.Errorf("the status is not JSON: %s", message)
	}
	if status.Status == metav1.StatusSuccess {
		return nil
	}
	if status.Reason == remotecommand.NonZeroExitCodeReason && status.Details != nil {
		for _, cause := range status.Details.Causes {
			if code, err := strconv.Atoi(cause.Message); err == nil && cause.Type == remotecommand.ExitCodeCauseType {
				return exec.CodeExitError{Err: errors.New(status.Message), Code: code}
			}
		}
	}
	return errors.New(status.Message)
}

// forwardRaw is kubelet's own port-forward over a WebSocket, to the ports of the CRI call: stdin to the first of them
// and back; of the others, counts.
func forwardRaw(opts options) result {
	var r result
	begin := time.Now()
	ports := strings.Split(opts.ports, ",")
	conn, err := dialRaw(opts)
	if err != nil {
		r.finish(err, begin)
		return r
	}
	defer conn.ws.Close()
	s := openStreams(opts)
	if s.stdin != nil {
		go conn.sendAll(0, s.stdin)
	}
	greeted := map[int]bool{}
	var remoteErrors []error
	err = conn.pump(&r, func(number int, data []byte) {
		switch {
		case !greeted[number]:
			greeted[number] = true
			remoteErrors = append(remoteErrors, checkGreeting(ports, number, data))
		case number == 0 && s.stdout != nil:
			_, _ = s.stdout.Write(data)
		case number%2 == 1 && len(data) > 0:
			remoteErrors = append(remoteErrors, errors.New(string(data)))
		}
	})
	r.finish(errors.Join(append(remoteErrors, err)...), begin)
	r.ExitCode = nil
	s.count(&r, begin)
	return r
}

// checkGreeting wants the port in two bytes, little-endian, as the first message of a channel.
func checkGreeting(ports []string, number int, data []byte) error {
	if number/2 >= len(ports) {
		return fmt.Errorf("channel %d is of no port", number)
	}
	if len(data) != 2 || strconv.Itoa(int(binary.LittleEndian.Uint16(data))) != ports[number/2] {
		return fmt.Errorf("channel %d began with %x, not with port %s", number, data, ports[number/2])
	}
	return nil
}
