// Command stream-client drives the streaming URLs of a container runtime (CRI Exec, Attach and PortForward) with
// client-go, as kubectl and critest do, and prints what happened as JSON for the tests.
//
//	stream-client exec|attach  --url URL --transport spdy|websocket|raw-websocket [--protocol NAME]
//	                           [--stdin FILE|- [--stdin-limit BYTES]] [--stdout FILE|-] [--stderr FILE|-]
//	                           [--tty --size COLSxROWS [--resize-to COLSxROWS]]
//	stream-client port-forward --url URL --transport spdy|websocket --ports 0:80,0:81
//	stream-client port-forward --url URL --transport raw-websocket [--protocol NAME] --ports 80,81
//	                           [--stdin FILE|- [--stdin-limit BYTES]] [--stdout FILE|-]
//	stream-client load         --address HOST:PORT [--connections N] [--send BYTES [--close-write]] [--receive BYTES]
//	stream-client serve        --ports PORT:RECEIVE:SEND,PORT,…
//
// A stream is asked for by naming where it goes to or comes from; `-` is the program's own. With https, --ca FILE or
// --tls-insecure. The last line of stderr is the result; the exit status is 0 whenever there is one, 2 for bad usage.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"k8s.io/klog/v2"
)

type options struct {
	url, transport, protocol string
	stdin, stdout, stderr    string
	stdinLimit               int64
	tty                      bool
	size, resizeTo           string
	ca                       string
	tlsInsecure, verbose     bool
	closeWrite               bool
	ports, address           string
	connections              int
	sendBytes, receiveBytes  int64
}

func main() {
	command, opts := parse(os.Args)
	if !opts.verbose {
		klog.LogToStderr(false)
		klog.SetOutput(io.Discard)
	}
	print(command(opts))
}

func parse(args []string) (func(options) result, options) {
	var opts options
	flags := flag.NewFlagSet("stream-client", flag.ExitOnError)
	flags.StringVar(&opts.url, "url", "", "what the CRI call answered")
	flags.StringVar(&opts.transport, "transport", "spdy", "spdy, websocket or raw-websocket")
	flags.StringVar(&opts.protocol, "protocol", "", "the only subprotocol to offer; without it those of kubectl, by raw-websocket none")
	flags.StringVar(&opts.stdin, "stdin", "", "a file, or - for stdin")
	flags.Int64Var(&opts.stdinLimit, "stdin-limit", -1, "how many bytes of it to send at most")
	flags.StringVar(&opts.stdout, "stdout", "", "a file, or - for stdout")
	flags.StringVar(&opts.stderr, "stderr", "", "a file, or - for stderr")
	flags.BoolVar(&opts.tty, "tty", false, "the process has a terminal")
	flags.StringVar(&opts.size, "size", "", "the first size of the terminal, COLSxROWS")
	flags.StringVar(&opts.resizeTo, "resize-to", "", "its size once the first output has come")
	flags.StringVar(&opts.ca, "ca", "", "the certificates that an https URL is checked by")
	flags.BoolVar(&opts.tlsInsecure, "tls-insecure", false, "do not check the server's certificate")
	flags.BoolVar(&opts.verbose, "verbose", false, "let client-go log to stderr")
	flags.StringVar(&opts.ports, "ports", "", "LOCAL:REMOTE,…; raw-websocket: those of the CRI call; serve: PORT:RECEIVE:SEND or PORT,…")
	flags.StringVar(&opts.address, "address", "", "where load connects to")
	flags.IntVar(&opts.connections, "connections", 1, "how many connections load opens at once")
	flags.Int64Var(&opts.sendBytes, "send", 0, "how many bytes load sends on each")
	flags.BoolVar(&opts.closeWrite, "close-write", false, "load closes its side after that")
	flags.Int64Var(&opts.receiveBytes, "receive", -1, "how many bytes load wants from each; all that come unless given")
	if len(args) < 2 {
		usage("name a command: exec, attach, port-forward, load or serve")
	}
	_ = flags.Parse(args[2:])
	if flags.NArg() > 0 {
		usage("unexpected argument " + flags.Arg(0))
	}
	return commandNamed(args[1], opts), opts
}

func commandNamed(name string, opts options) func(options) result {
	if name != "load" && name != "serve" && opts.url == "" {
		usage("--url is missing")
	}
	isRaw := opts.transport == "raw-websocket"
	switch {
	case !isRaw && opts.transport != "spdy" && opts.transport != "websocket":
		usage("unknown transport " + opts.transport)
	case name == "load":
		return load
	case name == "serve":
		return serve
	case name == "port-forward" && isRaw:
		return forwardRaw
	case name == "port-forward":
		return forward
	case (name == "exec" || name == "attach") && isRaw:
		return remoteRaw
	case name == "exec" || name == "attach":
		return remote
	}
	usage("unknown command " + name)
	return nil
}

func usage(message string) {
	fmt.Fprintln(os.Stderr, "stream-client: "+message)
	os.Exit(2)
}

// print ends what the remote side wrote to stderr with a newline, so that the result has a line of its own.
func print(r result) {
	line, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	if ownStderr.bytes > 0 && ownStderr.last != '\n' {
		fmt.Fprintln(os.Stderr)
	}
	fmt.Fprintln(os.Stderr, string(line))
}
