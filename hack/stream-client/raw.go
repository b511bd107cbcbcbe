package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

const closeSignal = 255

// rawConn speaks the channel protocols by hand: a message is the channel's number and data, in base64 as text.
type rawConn struct {
	ws         *websocket.Conn
	isBase64   bool
	isV4, isV5 bool
	writing    sync.Mutex
}

func dialRaw(opts options) (*rawConn, error) {
	target, err := url.Parse(opts.url)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := rawTLS(opts)
	if err != nil {
		return nil, err
	}
	target.Scheme = map[string]string{"http": "ws", "https": "wss"}[target.Scheme]
	dialer := websocket.Dialer{TLSClientConfig: tlsConfig}
	if opts.protocol != "" {
		dialer.Subprotocols = []string{opts.protocol}
	}
	ws, response, err := dialer.Dial(target.String(), http.Header{})
	if err != nil {
		return nil, handshakeError(err, response)
	}
	chosen := ws.Subprotocol()
	return &rawConn{
		ws:       ws,
		isBase64: strings.Contains(chosen, "base64."),
		isV4:     strings.HasPrefix(chosen, "v4."),
		isV5:     strings.HasPrefix(chosen, "v5."),
	}, nil
}

func rawTLS(opts options) (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: opts.tlsInsecure}
	if opts.ca == "" {
		return config, nil
	}
	pem, err := os.ReadFile(opts.ca)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("no certificate in %s", opts.ca)
	}
	return config, nil
}

func handshakeError(err error, response *http.Response) error {
	if response == nil {
		return err
	}
	body, _ := io.ReadAll(response.Body)
	return fmt.Errorf("%w (%s): %s", err, response.Status, strings.TrimSpace(string(body)))
}

func (c *rawConn) send(channel byte, data []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.isBase64 {
		text := string('0'+rune(channel)) + base64.StdEncoding.EncodeToString(data)
		return c.ws.WriteMessage(websocket.TextMessage, []byte(text))
	}
	return c.ws.WriteMessage(websocket.BinaryMessage, append([]byte{channel}, data...))
}

// closeChannel tells the end of stdin, which only the fifth version can.
func (c *rawConn) closeChannel(channel byte) {
	if c.isV5 {
		_ = c.send(closeSignal, []byte{channel})
	}
}

// receive answers the next message, and refuses one in the kind of frame that the protocol does not have.
func (c *rawConn) receive() (channel int, data []byte, err error) {
	kind, message, err := c.ws.ReadMessage()
	if err != nil {
		return 0, nil, err
	}
	if len(message) == 0 {
		return 0, nil, errors.New("a message without a channel came")
	}
	if (kind == websocket.TextMessage) != c.isBase64 {
		return 0, nil, fmt.Errorf("a frame of type %d came, which %q does not have", kind, c.ws.Subprotocol())
	}
	if !c.isBase64 {
		return int(message[0]), message[1:], nil
	}
	data, err = base64.StdEncoding.DecodeString(string(message[1:]))
	return int(message[0]) - '0', data, err
}

// pump reads until the server closes, gives each message to `take`, and answers what went wrong.
func (c *rawConn) pump(r *result, take func(channel int, data []byte)) error {
	r.Channels = map[int]*channel{}
	r.Protocol = new(string)
	*r.Protocol = c.ws.Subprotocol()
	for {
		number, data, err := c.receive()
		if err != nil {
			return c.end(r, err)
		}
		seen := r.Channels[number]
		if seen == nil {
			seen = &channel{FirstBytes: len(data)}
			r.Channels[number] = seen
		}
		seen.Messages++
		seen.Bytes += int64(len(data))
		take(number, data)
	}
}

func (c *rawConn) end(r *result, err error) error {
	var closed *websocket.CloseError
	if !errors.As(err, &closed) {
		return err
	}
	r.CloseCode = closed.Code
	if closed.Code == websocket.CloseNormalClosure {
		return nil
	}
	return err
}

// sendAll sends a stream on a channel, and its end where the protocol can tell that.
func (c *rawConn) sendAll(channel byte, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && c.send(channel, buffer[:n]) != nil {
			return
		}
		if err != nil {
			c.closeChannel(channel)
			return
		}
	}
}
