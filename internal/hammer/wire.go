package hammer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// preface is all that HTTP/2 asks of a client before its first request.
const preface = http2.ClientPreface + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"

func slowBody(token string) string {
	if token != "" {
		token = "Authorization: Bearer " + token + "\r\n"
	}
	return "POST /v1/attestations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + token + "Content-Length: 1000000\r\n\r\n{"
}

// idle opens connections, of which all who do it have more than there is room for, says something on each, and waits until the service
// has ended them all, or for as long as it holds them.
func (h *hostile) idle(addr, said string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, h.held)
		defer cancel()
		var wg sync.WaitGroup
		defer wg.Wait()
		for range 150 {
			c, err := h.dial(ctx, addr)
			if err != nil {
				continue // it lets nobody in just now
			}
			stop := context.AfterFunc(ctx, func() { c.Close() }) //nolint:errcheck // it is given up
			wg.Go(func() {
				defer stop()
				defer c.Close()         //nolint:errcheck // it is given up
				io.WriteString(c, said) //nolint:errcheck // the other side may have ended it
				io.Copy(io.Discard, c)  //nolint:errcheck // likewise
			})
		}
		wg.Wait()
		if ctx.Err() != nil {
			return "held to the end", nil
		}
		return "all ended by the service", nil
	}
}

// part is the beginning of a gRPC message that announces more, and then nothing.
type part struct {
	io.Reader
	forever <-chan struct{}
}

func (p *part) Read(b []byte) (int, error) {
	if n, err := p.Reader.Read(b); n > 0 || err != io.EOF {
		return n, err
	}
	<-p.forever
	return 0, io.ErrUnexpectedEOF
}

// halfMessages begins so many calls on one connection, of each so many bytes of a
// message of nearly the largest size, and never sends the rest.
func (h *hostile) halfMessages(token string, streams, size int) func(context.Context) (string, error) {
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	begin := binary.BigEndian.AppendUint32([]byte{0}, 23<<20)
	begin = append(begin, make([]byte, size)...)
	return func(ctx context.Context) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, h.held)
		defer cancel()
		t := &http.Transport{Protocols: &protocols, DialContext: func(ctx context.Context, _, addr string) (net.Conn, error) { return h.dial(ctx, addr) }}
		defer t.CloseIdleConnections()
		var g errgroup.Group
		for range streams {
			g.Go(func() error {
				r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+h.s.grpc+sekishov1.AttestationService_CreateAttestation_FullMethodName, &part{bytes.NewReader(begin), ctx.Done()})
				if err != nil {
					return err
				}
				r.Header.Set("Content-Type", "application/grpc")
				r.Header.Set("TE", "trailers")
				if token != "" {
					r.Header.Set("Authorization", "Bearer "+token)
				}
				resp, err := t.RoundTrip(r)
				if err != nil {
					return nil // the connection ended, or we held it to the end
				}
				defer resp.Body.Close() //nolint:errcheck // it has none
				if status := resp.Header.Get("Grpc-Status"); status == "0" {
					return errors.New("half a message was answered with OK")
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			return "", err
		}
		if ctx.Err() != nil {
			return "held to the end", nil
		}
		return "all ended by the service", nil
	}
}

// A framer is an HTTP/2 connection of which every frame is ours.
type framer struct {
	net.Conn
	*http2.Framer
	head bytes.Buffer
	enc  *hpack.Encoder
	next uint32 // stream
}

func (h *hostile) frames(ctx context.Context) (*framer, error) {
	c, err := h.dial(ctx, h.s.grpc)
	if err != nil {
		return nil, err
	}
	f := &framer{Conn: c, Framer: http2.NewFramer(c, c), next: 1}
	f.enc = hpack.NewEncoder(&f.head)
	_, err = io.WriteString(c, preface)
	return f, err
}

// call sends a whole request on a stream of its own.
func (f *framer) call(method, token string, message []byte) (stream uint32, err error) {
	f.head.Reset()
	for _, field := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}, {"authorization", "Bearer " + token}} {
		if err := f.enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}); err != nil {
			return 0, err
		}
	}
	stream = f.next
	f.next += 2
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: f.head.Bytes(), EndHeaders: true}); err != nil {
		return 0, err
	}
	return stream, f.WriteData(stream, true, append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(message))), message...))
}

// resets opens streams and takes them back at once, as fast as it goes.
func (h *hostile) resets(ctx context.Context) (string, error) {
	f, err := h.frames(ctx)
	if err != nil {
		return lost, nil
	}
	defer f.Conn.Close()           //nolint:errcheck // it is given up
	go io.Copy(io.Discard, f.Conn) //nolint:errcheck // what it says is not listened to
	for range 20_000 {
		stream, err := f.call(sekishov1.LogService_GetCheckpoint_FullMethodName, "", nil)
		if err == nil {
			err = f.WriteRSTStream(stream, http2.ErrCodeCancel)
		}
		if err != nil {
			return lost, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return "20,000 reset", nil
}

// knocks opens a connection and resets it.
func (h *hostile) knocks(ctx context.Context) (string, error) {
	c, err := h.dial(ctx, h.s.grpc)
	if err != nil {
		return lost, nil
	}
	if tcp, is := c.(*net.TCPConn); is {
		tcp.SetLinger(0) //nolint:errcheck // then it ends politely
	}
	c.Close() //nolint:errcheck // it is given up
	return "reset", nil
}

// watches opens health watches on twenty connections, and does not end them.
func (h *hostile) watches(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, h.held)
	defer cancel()
	how := "held to the end"
	for range 20 {
		conn, err := h.client()
		if err != nil {
			return "", err
		}
		defer conn.Close() //nolint:errcheck // it is given up
		for range 8 {
			w, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{})
			if err == nil {
				_, err = w.Recv()
			}
			if err != nil && outcome(err) != codes.Canceled.String() {
				how = outcome(err) // some are let in, the rest is told why not
				break
			}
		}
	}
	<-ctx.Done()
	return how, nil
}

// unread asks for long explanations, and never reads one.
func (h *hostile) unread(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, h.held)
	defer cancel()
	question, err := proto.Marshal(&sekishov1.ExplainArtifactRequest{Question: ask(target(0), 1), PageSize: 10_000})
	if err != nil {
		return "", err
	}
	f, err := h.frames(ctx)
	if err != nil {
		return lost, nil
	}
	defer f.Conn.Close() //nolint:errcheck // it is given up
	for range 50 {
		if _, err := f.call(sekishov1.AdmissionService_ExplainArtifact_FullMethodName, h.deployer, question); err != nil {
			return lost, nil
		}
	}
	<-ctx.Done()
	return "held to the end", nil
}
