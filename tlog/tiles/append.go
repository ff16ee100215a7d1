package tiles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/tessera"
)

// Append is [tlog.Appender]'s.
func (l *Log) Append(ctx context.Context, entry []byte) (attest.Receipt, error) {
	if len(entry) > tlog.MaxEntry {
		return attest.Receipt{}, fmt.Errorf("appending to log: %w: %d bytes, at most %d", tlog.ErrTooLarge, len(entry), tlog.MaxEntry)
	}
	r, err := l.append(ctx, entry)
	if err != nil {
		return attest.Receipt{}, fmt.Errorf("appending to log: %w", err)
	}
	return r, nil
}

func (l *Log) append(ctx context.Context, entry []byte) (attest.Receipt, error) {
	// Nothing is added while what is published cannot be read: it would be
	// written and never acknowledged.
	if err := errors.Join(ctx.Err(), l.published.fault()); err != nil {
		return attest.Receipt{}, err
	}
	if err := l.queue.enter(); err != nil {
		return attest.Receipt{}, err
	}
	defer l.queue.callers.Done()
	leaf := attest.LeafHash(entry)
	index, err := l.sequence(ctx, entry, leaf)
	if err != nil {
		return attest.Receipt{}, err
	}
	if err := l.published.wait(ctx, index); err != nil {
		return attest.Receipt{}, fmt.Errorf("waiting for entry %d, which is written, to be published: %w", index, err)
	}
	r, err := l.Receipt(ctx, index, leaf)
	if errors.Is(err, tlog.ErrProof) {
		err = fmt.Errorf("%w: another entry has the index that this one was given: %w", tlog.ErrInconsistent, err)
	}
	return r, err
}

// sequence writes an entry and returns its index, durable. The queue has been
// entered; it is left when Tessera is done, which may be after sequence returns.
func (l *Log) sequence(ctx context.Context, entry []byte, leaf attest.Hash) (uint64, error) {
	// Tessera hashes the entry now and writes it later. If the context ends in
	// between, the caller has its buffer back; so Tessera gets its own.
	ticket := l.signer.sequenced.hand()
	future := l.add(ctx, tessera.NewEntry(bytes.Clone(entry)))
	type result struct {
		index tessera.Index
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer l.queue.leave()
		index, err := future()
		if rollback := l.signer.sequenced.settle(ticket, leaf, index, err); rollback != nil {
			l.signer.refuse(rollback)
			err = rollback
		}
		done <- result{index, err}
	}()
	select {
	case r := <-done:
		if errors.Is(r.err, tessera.ErrPushback) {
			return 0, fmt.Errorf("%w: %w", tlog.ErrPushback, r.err)
		}
		if r.err != nil {
			return 0, errors.Join(r.err, l.stateFault())
		}
		return r.index.Index, nil
	case <-ctx.Done():
		return 0, fmt.Errorf("waiting for the entry, which is queued, to be written: %w", ctx.Err())
	}
}

// stateFault says so where an entry could not be written because Tessera's state is
// no state, which it reads before each batch.
func (l *Log) stateFault() error {
	if _, err := l.state(); errors.Is(err, tlog.ErrCorrupt) {
		return err
	}
	return nil
}

// Checkpoint is [tlog.Reader]'s. While the newest tree is refused a signature, it
// returns why: what follows the log, and who asks whether it is well, must know.
func (l *Log) Checkpoint(ctx context.Context) (attest.Checkpoint, error) {
	if err := l.signer.refused(); err != nil {
		return attest.Checkpoint{}, err
	}
	return l.TileReader.Checkpoint(ctx)
}

// A queue counts the entries that Tessera has been given and not yet written.
type queue struct {
	mu      sync.Mutex
	free    int
	closed  bool
	inside  sync.WaitGroup // entries not yet written
	callers sync.WaitGroup // Appends not yet returned
}

func (q *queue) enter() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return tlog.ErrClosed
	case q.free <= 0:
		return fmt.Errorf("%w: too many entries wait to be written", tlog.ErrPushback)
	}
	q.free--
	q.inside.Add(1)
	q.callers.Add(1)
	return nil
}

func (q *queue) leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.free++
	q.inside.Done()
}

// end lets nobody in and waits until everybody is out.
func (q *queue) end() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.inside.Wait()
}

// A publication is how far the log is published, and those who wait for more.
// Tessera's PublicationAwaiter wakes every waiter at every poll; with hundreds
// waiting, this one wakes them only when there is news.
type publication struct {
	mu      sync.Mutex
	size    uint64
	err     error // what the last look found wrong
	waiting int
	changed chan struct{} // closed, and replaced, on news
}

// set announces what a look at the published checkpoint found.
func (p *publication) set(cp attest.Checkpoint, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && p.err == nil && cp.Size == p.size {
		return
	}
	p.size, p.err = max(p.size, cp.Size), err
	close(p.changed)
	p.changed = make(chan struct{})
}

// wait returns once the entry is published, with an error if that cannot be
// found out.
func (p *publication) wait(ctx context.Context, index uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting++
	defer func() { p.waiting-- }()
	for p.size <= index {
		if p.err != nil {
			return p.err
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		p.mu.Lock()
		if err := ctx.Err(); err != nil && p.size <= index {
			return err
		}
	}
	return nil
}

// fault returns what the last look found wrong.
func (p *publication) fault() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// wanted reports whether a look would be of use to anybody.
func (p *publication) wanted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting > 0 || p.err != nil
}

// watch looks for new checkpoints while somebody waits for one.
func (l *Log) watch(ctx context.Context) {
	tick := time.NewTicker(l.cfg.PollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !l.published.wanted() {
			continue
		}
		cp, err := l.Checkpoint(ctx)
		if ctx.Err() != nil {
			return
		}
		l.published.set(cp, err)
	}
}
