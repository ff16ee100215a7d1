package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"iter"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/testhouse"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/identity"
	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/bolt"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/memlog"
)

// echo answers every question with the same answer: what gRPC itself costs.
type echo struct {
	sekishov1.UnimplementedAdmissionServiceServer
	answer *sekishov1.EvaluateDeploymentResponse
}

func (e echo) EvaluateDeployment(context.Context, *sekishov1.EvaluateDeploymentRequest) (*sekishov1.EvaluateDeploymentResponse, error) {
	return e.answer, nil
}

// BenchmarkEvaluateDeployment asks over gRPC, with TLS and all interceptors, and
// beside it a bare echo that answers messages of the same size through the same.
// The last of the three asks both in turns, so that a machine which is now faster
// and now slower is so for both: of-echo is the throughput as a part of the echo's.
// SEKISHO_BENCH_LARGE=1 adds a million entries.
func BenchmarkEvaluateDeployment(b *testing.B) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // as sekishod does; the echo has it too
	sizes := []int{10_000}
	if os.Getenv("SEKISHO_BENCH_LARGE") != "" {
		sizes = append(sizes, 1_000_000)
	}
	for _, n := range sizes {
		w := newWorld(b, n)
		b.Run(fmt.Sprintf("entries=%d/evaluate", n), func(b *testing.B) { w.ask(b, w.server.grpc) })
		sample, err := sekishov1.NewAdmissionServiceClient(w.dial(b, w.server.grpc)).EvaluateDeployment(as(context.Background(), adminToken), w.question(0))
		if err != nil || sample.GetVerdict() != sekishov1.Verdict_VERDICT_ALLOW {
			b.Fatal(sample, err)
		}
		bare := grpc.NewServer(prepare(w.echoConfig()).options()...)
		sekishov1.RegisterAdmissionServiceServer(bare, echo{answer: sample})
		b.Run(fmt.Sprintf("entries=%d/echo", n), func(b *testing.B) { w.ask(b, bare) })
		b.Run(fmt.Sprintf("entries=%d/in-turns", n), func(b *testing.B) {
			evaluate, echo := w.clients(b, w.server.grpc), w.clients(b, bare)
			w.burst(b, evaluate)
			w.burst(b, echo)
			var evaluated, echoed time.Duration
			for b.Loop() {
				evaluated += w.burst(b, evaluate)
				echoed += w.burst(b, echo)
			}
			b.ReportMetric(echoed.Seconds()/evaluated.Seconds(), "of-echo")
			b.ReportMetric(float64(evaluated.Microseconds())/float64(b.N*burst), "µs/evaluation")
			b.ReportMetric(float64(echoed.Microseconds())/float64(b.N*burst), "µs/echo")
			b.ReportMetric(0, "ns/op") // of both together: it says nothing
		})
	}
}

// world is a service over an index of many entries, some of which are asked for.
type world struct {
	config    Config
	server    *Server
	artifacts []attest.Digest
	pool      *x509.CertPool
	addrs     sync.Map // of servers that serve
	whole     *testing.B
}

const asked = 256

func newWorld(b *testing.B, entries int) *world {
	b.Helper()
	h := testhouse.New(b, testhouse.Options{})
	w := &world{pool: x509.NewCertPool(), whole: b}
	var wg sync.WaitGroup
	for i := range asked {
		d := attest.SHA256(fmt.Append(nil, i))
		w.artifacts = append(w.artifacts, d)
		wg.Go(func() { h.Statement(b, testhouse.Provenance(d, "https://localhost/builder")) })
	}
	wg.Wait()
	idx, err := bolt.Open(filepath.Join(b.TempDir(), "index.bolt"))
	if err != nil {
		b.Fatal(err)
	}
	log := &paddedLog{Log: h.Log}
	log.pad(b, h, idx, entries)
	c := h.FollowConfig(idx)
	c.Log, c.Now = log, time.Now
	f, err := follow.New(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }() // the questions show it
	b.Cleanup(func() { cancel(); <-done; f.Close() })
	w.config = Config{
		Follow: f, Decide: decide.New(f, time.Second, time.Now), Log: h.Log, LogKey: h.Log.Verifier(), Blobs: h.Blobs, Tiles: http.NotFoundHandler(),
		Tokens: identity.NewTokens(), Logger: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), TLS: certificate(b, w.pool),
	}
	if err := w.config.Tokens.Add(adminToken, identity.Caller{Roles: []identity.Role{identity.Admin}}); err != nil {
		b.Fatal(err)
	}
	if w.server, err = New(w.config); err != nil {
		b.Fatal(err)
	}
	return w
}

func (w *world) echoConfig() Config {
	c := w.config
	c.Metrics = prometheus.NewRegistry()
	return c
}

func (w *world) question(i int) *sekishov1.EvaluateDeploymentRequest {
	return &sekishov1.EvaluateDeploymentRequest{
		Artifact: &sekishov1.Artifact{Digest: w.artifacts[i%asked].Set()}, MinBuildLevel: 1, Source: "git+https://github.com/acme/app",
	}
}

// clients are four connections to a server.
func (w *world) clients(b *testing.B, s *grpc.Server) (clients []sekishov1.AdmissionServiceClient) {
	for range 4 {
		clients = append(clients, sekishov1.NewAdmissionServiceClient(w.dial(b, s)))
	}
	return clients
}

// burst is how many questions are asked before it is the other's turn.
const burst = 4096

// burst asks, with 64 questions in flight, and returns how long it took.
func (w *world) burst(b *testing.B, clients []sekishov1.AdmissionServiceClient) time.Duration {
	const inFlight = 64
	start := time.Now()
	var wg sync.WaitGroup
	for i := range inFlight {
		wg.Go(func() {
			ctx := as(context.Background(), adminToken)
			for q := range burst / inFlight {
				if _, err := clients[i%len(clients)].EvaluateDeployment(ctx, w.question(i+q)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// ask asks with 64 questions in flight over four connections.
func (w *world) ask(b *testing.B, s *grpc.Server) {
	clients := w.clients(b, s)
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		ctx := as(context.Background(), adminToken)
		client := clients[n.Add(1)%4]
		for pb.Next() {
			if _, err := client.EvaluateDeployment(ctx, w.question(int(n.Add(1)))); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func (w *world) dial(b *testing.B, s *grpc.Server) *grpc.ClientConn {
	b.Helper()
	addr, ok := w.addrs.Load(s)
	if !ok {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		go s.Serve(w.server.guard(l)) // stopped by the clean-up
		w.whole.Cleanup(s.Stop)       // it outlives the sub-benchmark
		addr = l.Addr().String()
		w.addrs.Store(s, addr)
	}
	conn, err := grpc.NewClient(addr.(string), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: w.pool, ServerName: "localhost"})))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	return conn
}

// certificate is one for localhost, which a pool then knows.
func certificate(b testing.TB, pool *x509.CertPool) *tls.Config {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		b.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		b.Fatal(err)
	}
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS13}
}

// paddedLog is a log that is said to be longer than it is, so that an index of a
// million entries need not have a million registrations behind it.
type paddedLog struct {
	*memlog.Log
	real, said attest.Checkpoint
}

// Checkpoint is what is said.
func (p *paddedLog) Checkpoint(context.Context) (attest.Checkpoint, error) { return p.said, nil }

// Entries are the real ones.
func (p *paddedLog) Entries(ctx context.Context, _ attest.Checkpoint, from uint64) iter.Seq2[tlog.Entry, error] {
	return p.Log.Entries(ctx, p.real, from)
}

// pad copies the real rows into an index, and adds as many others.
func (p *paddedLog) pad(b *testing.B, h *testhouse.House, idx store.Index, entries int) {
	b.Helper()
	var rows []store.Record
	err := h.Follow.View(b.Context(), func(s store.Snapshot, _ *follow.Control) error {
		p.real = s.Checkpoint()
		for rec, err := range s.Find(store.Key{}, 0) {
			if err != nil {
				return err
			}
			if rec, err = s.Record(rec.Index); err != nil {
				return err
			}
			rows = append(rows, rec)
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	if err := idx.Apply(b.Context(), 0, p.real, rows); err != nil {
		b.Fatal(err)
	}
	p.said = p.real
	like := rows[len(rows)-1]
	for at := p.real.Size; at < uint64(entries); at = p.said.Size {
		p.said.Size = min(at+10_000, uint64(entries))
		p.said.Root[0]++
		var more []store.Record
		for i := at; i < p.said.Size; i++ {
			rec := store.Record{Index: i, Value: like.Value}
			for _, k := range like.Keys {
				switch k.Kind {
				case store.Subject, store.Payload, store.Attestation, store.Leaf, store.Evidence, store.Statement, store.Quota:
					k.Value = string(attest.SHA256(fmt.Append(nil, k.Kind, "padding", i)))
				}
				rec.Keys = append(rec.Keys, k)
			}
			more = append(more, rec)
		}
		if err := idx.Apply(b.Context(), at, p.said, more); err != nil {
			b.Fatal(err)
		}
	}
}
