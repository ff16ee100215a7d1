package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/server"
	"github.com/sekisho-dev/sekisho/server/decide"
	"github.com/sekisho-dev/sekisho/server/follow"
	"github.com/sekisho-dev/sekisho/server/register"
)

// decideWait is how long a question waits for an index that is behind.
const decideWait = 2 * time.Second

// serve opens the house, serves, and closes it again.
func serve(ctx context.Context, c *Config, log *slog.Logger, now func() time.Time, getenv func(string) string, stdout io.Writer) (err error) {
	available := memory(getenv, os.DirFS("/"))
	defer outlive(log)()
	h, err := open(ctx, c, log, now, getenv)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	tokens, err := openTokens(c)
	if err != nil {
		return err
	}
	registrar := register.New(register.Config{
		Log: h.log, Blobs: h.blobs, Follow: h.follow, Signer: h.signer, Time: h.time, Now: now,
		PerArtifact: c.Limits.PerArtifact,
	})
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Before the index has the whole log, nobody can know what is registered
	// already, or who is trusted by now. An index that is damaged still serves:
	// every answer says so, and it goes on by itself once the blobs are restored.
	err = frugally(func() error { return h.follow.CatchUp(ctx) })
	damaged := errors.Is(err, follow.ErrDamaged)
	if err != nil && !damaged {
		return fmt.Errorf("catching up with the log: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return h.follow.Run(ctx) })
	g.Go(func() error {
		defer stop()
		if !damaged {
			if err := h.registerStarters(ctx, registrar); err != nil {
				return fmt.Errorf("registering the starter trust root and policy: %w", err)
			}
		}
		tlsConfig, err := openTLS(c.TLS)
		if err != nil {
			return err
		}
		keys, trustedRoot, err := h.published(ctx)
		if err != nil {
			return fmt.Errorf("publishing keys: %w", err)
		}
		metrics := prometheus.NewRegistry()
		metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		s, err := server.New(server.Config{
			Register:    registrar,
			Decide:      decide.New(h.follow, decideWait, now),
			Follow:      h.follow,
			Log:         h.log,
			LogKey:      h.logKey,
			Tiles:       h.log.Handler(),
			Blobs:       h.blobs,
			Keys:        keys,
			TrustedRoot: trustedRoot,
			Tokens:      tokens,
			TLS:         tlsConfig,
			Logger:      log,
			Metrics:     metrics,
			Connections: connections(),
			Memory:      available,
		})
		if err != nil {
			return err
		}
		return h.listen(ctx, s, stdout)
	})
	return g.Wait()
}

// connections is how many each port may have: a quarter of the files that the process
// may have open, so that half of them is the log's and the blobs'.
func connections() int {
	const most, fewest = 4096, 16
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fewest
	}
	return int(max(min(limit.Cur/4, most), fewest))
}

// listen binds both ports, says where, and serves until the context is done.
func (h *house) listen(ctx context.Context, s *server.Server, stdout io.Writer) error {
	grpcListener, err := net.Listen("tcp", h.config.GRPCAddr)
	if err != nil {
		return fmt.Errorf("listening for gRPC: %w; name another address with --grpc-addr (port 0 takes a free one)", err)
	}
	defer grpcListener.Close() //nolint:errcheck // Serve closes it; this is for what fails before
	httpListener, err := net.Listen("tcp", h.config.HTTPAddr)
	if err != nil {
		return fmt.Errorf("listening for HTTP: %w; name another address with --http-addr (port 0 takes a free one)", err)
	}
	defer httpListener.Close() //nolint:errcheck // likewise
	for name, l := range map[string]net.Listener{"--grpc-addr": grpcListener, "--http-addr": httpListener} {
		if err := h.config.guardPort(name, l.Addr().String()); err != nil { // whatever "localhost" means here
			return err
		}
		if h.config.TLS.Cert == "" && !client.Loopback(l.Addr().String()) {
			h.logger.Warn("tokens and answers travel in plain text, as was asked for", "address", l.Addr())
		}
	}
	if err := h.announce(grpcListener.Addr(), httpListener.Addr(), stdout); err != nil {
		return err
	}
	defer os.Remove(h.config.path("endpoint.json")) //nolint:errcheck // nobody believes one whose lock is not held
	return s.Serve(ctx, grpcListener, httpListener)
}

// endpoint is DATA/endpoint.json: how clients on this machine find the service.
type endpoint struct {
	GRPC      string `json:"grpc"`
	HTTP      string `json:"http"`
	PID       int    `json:"pid"`
	TLS       bool   `json:"tls"` // both ports speak it
	TokenFile string `json:"tokenFile"`
	LogOrigin string `json:"logOrigin"`
}

// dialable is where clients on this machine reach a listener: one that listens on
// every address has none of its own.
func dialable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(tcp.Port))
	}
	return addr.String()
}

// outlive has the service live on when its terminal goes away, or somebody hopes that
// it reads its files again: ended that way it would not say goodbye. It returns what
// undoes it.
func outlive(log *slog.Logger) func() {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	go func() {
		for range hangups {
			log.Warn("SIGHUP changes nothing: certificates, keys and tokens are read at the start; restart the service to have them read again")
		}
	}()
	return func() { signal.Stop(hangups); close(hangups) }
}

// announce writes endpoint.json and says in five lines what is served.
func (h *house) announce(grpcAddr, httpAddr net.Addr, stdout io.Writer) error {
	token, err := filepath.Abs(h.config.path("admin.token"))
	if err != nil {
		return err
	}
	raw, err := json.MarshalIndent(endpoint{
		GRPC: dialable(grpcAddr), HTTP: dialable(httpAddr), PID: os.Getpid(), TLS: h.config.TLS.Cert != "", TokenFile: token, LogOrigin: h.logKey.Origin(),
	}, "", "  ")
	if err != nil {
		return err
	}
	if err := durable.WriteFile(h.config.path("endpoint.json"), append(raw, '\n'), 0o600); err != nil {
		return err
	}
	scheme := "http"
	if h.config.TLS.Cert != "" {
		scheme = "https"
	}
	development := "trust root pinned by the configuration"
	if h.config.TrustRoot == "" {
		development = "keys, trust root and admin token are for development; replace them before production (docs/operations.md)"
	}
	fmt.Fprintf(stdout, "sekishod %s  data %s\n", version, h.config.Data)
	fmt.Fprintf(stdout, "gRPC %s  %s://%s\n", grpcAddr, scheme, httpAddr)
	fmt.Fprintf(stdout, "log %s  %d entries\n", h.logKey.Origin(), h.follow.Control().Size)
	fmt.Fprintf(stdout, "statements key %.16s  admin token %s\n", h.signer.Key().ID, token)
	_, err = fmt.Fprintln(stdout, development)
	return err
}

func openTLS(c TLSConfig) (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, fmt.Errorf("opening the TLS certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, nil
}
