// Package hammer puts load on a real service and verifies every receipt that it is
// given. [Run] kills the service with SIGKILL in the middle of it: whatever was
// acknowledged must be there afterwards, at its place, in a log that extends every
// checkpoint ever shown, and everything must check. [Soak] lets the service live, has
// it attacked while honest callers use it, and measures whether it stays as it is.
package hammer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// Options say how hard, and how often.
type Options struct {
	Binary  string        // sekishod
	Data    string        // its data directory
	Rounds  int           // how often it is killed
	Workers int           // registrations in flight
	Length  time.Duration // of a round, about
	Out     io.Writer     // progress, one line a round
}

// hammer is one run.
type hammer struct {
	Options
	launch
	promises
	serial atomic.Int64
}

// Run hammers. It returns how many registrations were acknowledged, and the
// first promise that was not kept.
func Run(ctx context.Context, o Options) (acknowledged int, err error) {
	h := &hammer{Options: o, launch: launch{binary: o.Binary, data: o.Data}}
	for round := range o.Rounds {
		before := len(h.acked)
		if err := h.round(ctx); err != nil {
			return len(h.acked), fmt.Errorf("round %d: %w", round+1, err)
		}
		fmt.Fprintf(o.Out, "round %d: %d acknowledged, killed, %d in all are there\n", round+1, len(h.acked)-before, len(h.acked))
	}
	if len(h.acked) == 0 {
		return 0, errors.New("nothing was acknowledged: the hammer hit nothing")
	}
	return len(h.acked), nil
}

// round starts the service, checks what it promised before, loads it, kills it,
// and checks what it left behind.
func (h *hammer) round(ctx context.Context) error {
	s, err := h.start(ctx)
	if err != nil {
		return err
	}
	defer s.kill()
	if err := h.kept(s, h.sample()); err != nil {
		return err
	}
	work, stop := context.WithTimeout(s.ctx, h.Length/2+rand.N(h.Length))
	defer stop()
	var wg sync.WaitGroup
	lies := make(chan error, h.Workers)
	for range h.Workers {
		wg.Go(func() {
			if err := h.work(work, s); err != nil {
				lies <- err
				stop()
			}
		})
	}
	<-work.Done()
	s.kill()
	wg.Wait()
	select {
	case err := <-lies:
		return err
	default:
	}
	return h.fsck(ctx)
}

// work registers statements, one after the other, until it is stopped. An error
// of the service is none of ours, it is being killed; a receipt that does not
// verify is.
func (h *hammer) work(ctx context.Context, s *service) error {
	client := sekishov1.NewAttestationServiceClient(s.conn)
	for ctx.Err() == nil {
		statement := provenance(artifact("hammer", os.Getpid(), h.serial.Add(1)), localBuilder, strings.Repeat("x", 1500))
		resp, err := client.CreateAttestation(ctx, &sekishov1.CreateAttestationRequest{Document: &sekishov1.CreateAttestationRequest_Statement{Statement: statement}})
		if err != nil {
			continue
		}
		if err := h.acknowledge(resp.GetReceipt(), resp.GetAttestation()); err != nil {
			return err
		}
	}
	return nil
}

// localBuilder is one that the development trust root rates, level 1.
const localBuilder = "https://localhost/hammer"

// artifact is one that nobody else asks about: its name is made of these parts.
func artifact(parts ...any) attest.Digest {
	return attest.SHA256(fmt.Append(nil, parts...))
}

// provenance is a statement about an artifact.
func provenance(artifact attest.Digest, builder, padding string) []byte {
	return []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"` + artifact.Hex() + `"}}],` +
		`"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{"buildType":"https://localhost/hammer@v1",` +
		`"externalParameters":{"source":"git+https://github.com/acme/app@refs/heads/main","padding":"` + padding + `"}},` +
		`"runDetails":{"builder":{"id":"` + builder + `"}}}}`)
}
