package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// The most that the service may have in memory within GOMEMLIMIT=1GiB, in MiB, whatever
// is sent to it.
const bound = 1152

// TestConnectionsOfStrangers: whoever opens connections and shows no token takes
// neither the files that the log and the blobs need nor the places of who does.
func TestConnectionsOfStrangers(t *testing.T) {
	p := launch(t, 256)
	old := p.dial(t)
	if err := evaluate(t, old); err != nil {
		t.Fatal(err)
	}
	for mode, c := range map[string]struct{ addr, sent string }{
		"raw":      {p.GRPC, ""},
		"preface":  {p.GRPC, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"},
		"http":     {p.HTTP, "GET /v1/policy HTTP/1.1\r\nHost: x\r\n"},
		"httpidle": {p.HTTP, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"},
		"httpbody": {p.HTTP, "POST /v1/attestations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{"},
	} {
		t.Run(mode, func(t *testing.T) {
			for range 400 {
				conn, err := net.Dial("tcp", c.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				fmt.Fprint(conn, c.sent)
			}
			for i := range 3 {
				if err := evaluate(t, old); err != nil {
					t.Errorf("on a connection from before: %v", err)
				}
				if err := evaluate(t, p.dial(t)); err != nil {
					t.Errorf("on a new connection: %v", err)
				}
				if _, err := p.register(t, old, fmt.Sprint(mode, i), 100<<10); err != nil {
					t.Errorf("registering: %v", err)
				}
			}
		})
	}
	if logs := p.stderr.String(); strings.Contains(logs, "too many open files") {
		t.Errorf("files ran out:\n%.2000s", logs)
	}
}

// halfMessage announces a message, gives nearly all of it, and waits.
type halfMessage struct {
	prefix []byte
	left   int
	ctx    context.Context
}

func (h *halfMessage) Read(b []byte) (int, error) {
	if len(h.prefix) > 0 {
		n := copy(b, h.prefix)
		h.prefix = h.prefix[n:]
		return n, nil
	}
	if h.left == 0 {
		<-h.ctx.Done()
		return 0, io.EOF
	}
	n := min(len(b), h.left)
	h.left -= n
	return n, nil
}

// halves sends half messages, so many at once on one connection, and returns when all
// of them have ended.
func (p *process) halves(ctx context.Context, streams, mib int, method, token string) {
	var plain http.Protocols
	plain.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &plain, HTTP2: &http.HTTP2Config{StrictMaxConcurrentRequests: true}}
	defer transport.CloseIdleConnections()
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			prefix := make([]byte, 5)
			binary.BigEndian.PutUint32(prefix[1:], uint32(mib<<20)+1)
			r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.GRPC+method, &halfMessage{prefix, mib << 20, ctx})
			if err != nil {
				return
			}
			r.Header.Set("Content-Type", "application/grpc")
			r.Header.Set("TE", "trailers")
			if token != "" {
				r.Header.Set("Authorization", "Bearer "+token)
			}
			if resp, err := transport.RoundTrip(r); err == nil {
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
}

// TestHalfSentMessages: messages that never end take a bounded part of memory, with a
// token and without, and hold nobody up.
func TestHalfSentMessages(t *testing.T) {
	p := launch(t, 4096)
	old := p.dial(t)
	if err := evaluate(t, old); err != nil { // which is when it connects: attackers of the same address may fill that
		t.Fatal(err)
	}
	for _, c := range []struct { // in this order: what a process has had, it gives back slowly
		name, method, token string
		bound               int
	}{
		{"a stranger", sekishov1.LogService_GetCheckpoint_FullMethodName, "", 250},
		{"a stranger, of what wants a token", sekishov1.AttestationService_CreateAttestation_FullMethodName, "", 250},
		{"a builder", sekishov1.AttestationService_CreateAttestation_FullMethodName, builderToken, 700},
		{"a deployer, of what is always small", sekishov1.AdmissionService_EvaluateDeployment_FullMethodName, deployerToken, 700},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
			defer stop()
			var attackers sync.WaitGroup
			most := p.peak(t, func() {
				for range 4 {
					attackers.Go(func() {
						for ctx.Err() == nil {
							p.halves(ctx, 250, 23, c.method, c.token)
						}
					})
				}
				for i := 0; ctx.Err() == nil; i++ {
					if err := evaluate(t, old); err != nil {
						t.Errorf("evaluating meanwhile: %v", err)
					}
					if _, err := p.register(t, old, fmt.Sprint(c.name, i), 100); err != nil {
						t.Errorf("registering meanwhile: %v", err)
					}
				}
				attackers.Wait()
			})
			t.Logf("at most %d MiB", most)
			if most > c.bound {
				t.Errorf("%d MiB, want at most %d", most, c.bound)
			}
		})
	}
}

// components is an SBOM of nearly 16 MiB that takes as much memory as one can.
func components() []byte {
	var b bytes.Buffer
	b.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.5","version":1,"components":[`)
	for i := 0; b.Len() < 16<<20-4000; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"library","name":"n%d","version":"1","hashes":[{"alg":"SHA-256","content":"%064x"}]}`, i, i)
	}
	return append(b.Bytes(), "]}"...)
}

// outcome counts how calls ended.
type outcome struct{ ok, busy, other atomic.Int64 }

func (o *outcome) add(t *testing.T, err error) {
	switch status.Code(err) {
	case codes.OK:
		o.ok.Add(1)
	case codes.ResourceExhausted:
		o.busy.Add(1)
	default:
		t.Error(err)
		o.other.Add(1)
	}
}

// siege runs f so often at once, and evaluates meanwhile.
func (p *process) siege(t *testing.T, n int, f func() error) {
	t.Helper()
	old := p.dial(t)
	var o outcome
	var answers atomic.Int64
	most := p.peak(t, func() {
		ctx, stop := context.WithCancel(t.Context())
		var asking, calls sync.WaitGroup
		asking.Go(func() {
			for ctx.Err() == nil {
				if err := evaluate(t, old); err != nil {
					t.Errorf("evaluating meanwhile: %v", err)
					return
				}
				answers.Add(1)
			}
		})
		for range n {
			calls.Go(func() { o.add(t, f()) })
		}
		calls.Wait()
		stop()
		asking.Wait()
	})
	t.Logf("%d done, %d told to come again, %d answers meanwhile, at most %d MiB", o.ok.Load(), o.busy.Load(), answers.Load(), most)
	if most > bound {
		t.Errorf("%d MiB, want at most %d", most, bound)
	}
	if o.ok.Load() == 0 {
		t.Error("none was done")
	}
	if answers.Load() < 20 {
		t.Errorf("%d answers meanwhile", answers.Load())
	}
}

// TestLargeDocuments: however many large documents are handed in and asked for at
// once, memory is bounded, and answers are given.
func TestLargeDocuments(t *testing.T) {
	p := launch(t, 4096)
	large, err := p.register(t, p.dial(t), "large", 16<<20-4000)
	if err != nil {
		t.Fatal(err)
	}
	document := components()
	artifact := &sekishov1.Artifact{Digest: attest.SHA256([]byte("with components")).Set()}
	t.Run("SBOMs of one who is no submitter", func(t *testing.T) {
		p.strangersSBOM(t, document)
	})
	t.Run("SBOMs", func(t *testing.T) {
		p.siege(t, 8, func() error {
			_, err := sekishov1.NewSbomServiceClient(p.dial(t)).UploadSbom(as(t.Context(), p.admin), &sekishov1.UploadSbomRequest{Artifact: artifact, Document: document, ValidateOnly: true})
			return err
		})
	})
	t.Run("statements", func(t *testing.T) {
		n := atomic.Int64{}
		p.siege(t, 12, func() error {
			_, err := p.register(t, p.dial(t), fmt.Sprint("statement", n.Add(1)), 16<<20-4000)
			return err
		})
	})
	t.Run("attestations asked for", func(t *testing.T) {
		p.siege(t, 32, func() error {
			_, err := sekishov1.NewAttestationServiceClient(p.dial(t)).GetAttestation(as(t.Context(), p.admin), &sekishov1.GetAttestationRequest{Attestation: large.GetAttestation().GetDigest()})
			return err
		})
	})
	t.Run("attestations asked for over HTTP", func(t *testing.T) {
		p.siege(t, 12, func() error { return p.get(t, "/v1/attestations/"+large.GetAttestation().GetDigest()) })
	})
	t.Run("bodies over HTTP", func(t *testing.T) {
		body := `{"validateOnly":true,"statement":"` + strings.Repeat("AAAA", 22<<18) + `"}`
		p.siege(t, 16, func() error { return p.post(t, "/v1/attestations", body) })
	})
}

// TestAnswersThatNobodyReads: who asks for large documents and does not take them has a
// bounded part of memory, and gives it back with the connection.
func TestAnswersThatNobodyReads(t *testing.T) {
	p := launch(t, 4096)
	old := p.dial(t)
	large, err := p.register(t, old, "large", 16<<20-4000)
	if err != nil {
		t.Fatal(err)
	}
	request, err := proto.Marshal(&sekishov1.GetAttestationRequest{Attestation: large.GetAttestation().GetDigest()})
	if err != nil {
		t.Fatal(err)
	}
	message := append(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(request))), request...)
	var conns []net.Conn
	most := p.peak(t, func() {
		for range 4 {
			conn, err := net.Dial("tcp", p.GRPC)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			conns = append(conns, conn)
			framer := http2.NewFramer(conn, conn)
			io.WriteString(conn, http2.ClientPreface)
			framer.WriteSettings()
			for id := uint32(1); id < 200; id += 2 {
				var block bytes.Buffer
				enc := hpack.NewEncoder(&block)
				for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", sekishov1.AttestationService_GetAttestation_FullMethodName}, {":authority", "x"}, {"content-type", "application/grpc"}, {"te", "trailers"}, {"authorization", "Bearer " + builderToken}} {
					enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
				}
				framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
				framer.WriteData(id, true, message)
			}
		}
		for range 30 {
			if err := evaluate(t, old); err != nil {
				t.Errorf("evaluating meanwhile: %v", err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		for _, c := range conns {
			c.Close()
		}
	})
	t.Logf("at most %d MiB", most)
	if most > bound {
		t.Errorf("%d MiB, want at most %d", most, bound)
	}
	if _, err := sekishov1.NewAttestationServiceClient(old).GetAttestation(as(t.Context(), builderToken), &sekishov1.GetAttestationRequest{Attestation: large.GetAttestation().GetDigest()}); err != nil {
		t.Errorf("asked again by the same caller, who reads now: %v", err)
	}
}

// strangersSBOM hands in SBOMs as a builder who is no submitter: nobody reads them.
func (p *process) strangersSBOM(t *testing.T, document []byte) {
	t.Helper()
	var calls sync.WaitGroup
	most := p.peak(t, func() {
		for range 32 {
			calls.Go(func() {
				_, err := sekishov1.NewSbomServiceClient(p.dial(t)).UploadSbom(as(t.Context(), builderToken), &sekishov1.UploadSbomRequest{
					Artifact: &sekishov1.Artifact{Digest: attest.SHA256(nil).Set()}, Document: document,
				})
				if code := status.Code(err); code != codes.PermissionDenied && code != codes.ResourceExhausted {
					t.Error(err)
				}
			})
		}
		calls.Wait()
	})
	t.Logf("at most %d MiB", most)
	if most > bound {
		t.Errorf("%d MiB, want at most %d", most, bound)
	}
}

// get asks over HTTP as the admin, and reads all of the answer.
func (p *process) get(t *testing.T, path string) error {
	return p.http(t, http.MethodGet, path, "")
}

func (p *process) post(t *testing.T, path, body string) error {
	return p.http(t, http.MethodPost, path, body)
}

// http makes an error of a status that says that the service was busy, and none of
// any other answer.
func (p *process) http(t *testing.T, method, path, body string) error {
	r, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.HTTP+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+p.admin)
	resp, err := (&http.Transport{}).RoundTrip(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	switch {
	case err != nil:
		return err
	case resp.StatusCode == http.StatusTooManyRequests:
		if resp.Header.Get("Retry-After") == "" {
			return fmt.Errorf("%s without Retry-After", resp.Status)
		}
		return status.Error(codes.ResourceExhausted, resp.Status)
	case method == http.MethodGet && n < 16<<20:
		return fmt.Errorf("%s with %d bytes", resp.Status, n)
	}
	return nil
}
