// Package tiles keeps a log in a directory, as static tiles (C2SP tlog-tiles),
// on Tessera's POSIX driver. It suits one process on one machine and needs no
// other service; what it writes any web server could serve and any tlog client
// can read.
//
// Tessera sequences and writes. This package adds what a commit point needs:
//
//   - one writer. Two appenders on one directory corrupt the log, and Tessera's
//     own locks do not see a second one in the same process ([tlog.ErrLocked]);
//   - nothing is signed on top of damage, while running as at the start. The signer that
//     Tessera is given hashes every new tree again, from the last one and from what
//     Append was handed, reads back what Tessera wrote of it, and refuses what does not
//     agree; Open holds what it finds to the same. So an acknowledged entry was on disk,
//     whole, when the checkpoint over it was signed;
//   - the largest checkpoint ever signed is remembered apart from the log's directory,
//     durably and before it is published: a log that is shorter, or another one, does not
//     open, whatever its own files say. A directory of an edition that remembered
//     nothing is believed once;
//   - [Repair] makes the files again, from each other and from where entries are kept
//     elsewhere, and requires the remembered root;
//   - Append returns with a proof under a published checkpoint, built from tiles
//     that were read back from disk and authenticated;
//   - a handler that serves what is published and nothing else in the directory.
package tiles

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"
	"golang.org/x/mod/sumdb/note"
)

// Config says where a log is and how it signs. Zero durations and counts mean
// the defaults, which are for a service that answers people: an entry after a
// pause is published in some 20 ms, one of many in some 100 ms, the least interval
// between checkpoints that Tessera offers.
type Config struct {
	Dir      string         // made if absent; on a local file system
	Signer   note.Signer    // signs checkpoints; its name is the log's origin
	Verifier *tlog.Verifier // of what Signer signs

	// Remembered is the file, outside Dir, in which the largest checkpoint ever signed
	// is remembered; Dir and ".checkpoint" if empty.
	Remembered string
	// Unpublished is asked at Open about each entry that is written and under no
	// checkpoint yet, as after a crash; an error refuses the log. Nil believes what
	// hashes to what Tessera has written.
	Unpublished func(ctx context.Context, entry []byte) error

	BatchSize          uint          // entries written together; 64
	BatchAge           time.Duration // or after this time; 5 ms
	CheckpointInterval time.Duration // between published checkpoints, at least 100 ms; 100 ms
	PollInterval       time.Duration // how often a waiting Append looks for a checkpoint; 10 ms
	MaxQueued          int           // entries not yet on disk, beyond which tlog.ErrPushback; 4096
	CloseTimeout       time.Duration // how long Close waits for the last checkpoint; 60 s
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&c.BatchAge, 5*time.Millisecond)
	def(&c.CheckpointInterval, 100*time.Millisecond)
	def(&c.PollInterval, 10*time.Millisecond)
	def(&c.CloseTimeout, time.Minute)
	if c.BatchSize == 0 {
		c.BatchSize = 64
	}
	if c.MaxQueued == 0 {
		c.MaxQueued = 4096
	}
	return c
}

// A Log is an open log directory. It is a [tlog.Log].
type Log struct {
	*tlog.TileReader
	cfg   Config
	files *os.Root
	lock  *lock

	signer   *signer
	add      tessera.AddFn
	shutdown func(context.Context) error
	stop     context.CancelFunc // ends Tessera's goroutines and watch
	watching sync.WaitGroup

	queue     queue
	published publication
	close     func() error
}

// Open opens the log in cfg.Dir, or begins one if the directory is new or empty.
// It returns once everything that an earlier process had written, acknowledged or
// not, is published; ctx bounds only that.
//
// Errors: [tlog.ErrLocked]; [tlog.ErrKey] if Signer and Verifier do not belong
// together; [tlog.ErrInconsistent] if the log is shorter than it was, or another one;
// [tlog.ErrCheckpoint] or [tlog.ErrCorrupt] if what is there must not be built upon.
func Open(ctx context.Context, cfg Config) (*Log, error) {
	l, err := open(ctx, cfg.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("opening log in %s: %w", cfg.Dir, err)
	}
	return l, nil
}

func open(ctx context.Context, cfg Config) (*Log, error) {
	if err := checkKey(cfg.Signer, cfg.Verifier); err != nil {
		return nil, err
	}
	lock, err := acquire(cfg.Dir)
	if err != nil {
		return nil, err
	}
	if cfg.Remembered == "" {
		cfg.Remembered = lock.dir + ".checkpoint"
	}
	l := &Log{cfg: cfg, lock: lock, queue: queue{free: cfg.MaxQueued}}
	l.published.changed = make(chan struct{})
	l.close = sync.OnceValue(l.finish)
	size, err := l.check(ctx)
	if err == nil {
		err = l.start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	if err := l.catchUp(ctx, size); err != nil {
		// Tessera runs and cannot be joined, only told to stop: as after a failed
		// Close, the directory stays locked while this process lives.
		l.stop()
		return nil, err
	}
	return l, nil
}

// checkKey signs something and verifies it: a log whose checkpoints do not open
// would take entries and acknowledge none.
func checkKey(s note.Signer, v *tlog.Verifier) error {
	if s == nil || v == nil {
		return fmt.Errorf("%w: signer and verifier are both needed", tlog.ErrKey)
	}
	const text = "sekisho log key self-test\n" // not a checkpoint: it has one line
	signed, err := note.Sign(&note.Note{Text: text}, s)
	if err != nil {
		return fmt.Errorf("trying the log's key: %w", err)
	}
	known, err := note.NewVerifier(v.String())
	if err == nil {
		_, err = note.Open(signed, note.VerifierList(known))
	}
	if err != nil {
		return fmt.Errorf("%w: the signer of %.100q does not sign for %.100q: %w", tlog.ErrKey, s.Name(), v.Origin(), err)
	}
	return nil
}

// start starts Tessera's appender and the watch for what it publishes.
func (l *Log) start(ctx context.Context) error {
	// The appender lives until Close, whatever becomes of the caller's context.
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	driver, err := posix.New(ctx, posix.Config{Path: l.cfg.Dir})
	if err != nil {
		return err
	}
	appender, shutdown, _, err := tessera.NewAppender(ctx, driver, tessera.NewAppendOptions().
		WithCheckpointSigner(l.signer).
		WithBatching(l.cfg.BatchSize, l.cfg.BatchAge).
		WithCheckpointInterval(l.cfg.CheckpointInterval).
		// An unchanged tree is not published again. So once Close has seen the
		// last checkpoint, a publisher of Tessera's that is slow to stop has
		// nothing left to write over a successor's work.
		WithCheckpointRepublishInterval(0).
		WithShutdownTimeout(l.cfg.CloseTimeout))
	if err != nil {
		return err
	}
	l.add, l.shutdown = appender.Add, shutdown
	l.watching.Go(func() { l.watch(ctx) })
	return nil
}

// catchUp waits until the first size entries are published.
func (l *Log) catchUp(ctx context.Context, size uint64) error {
	tick := time.NewTicker(l.cfg.PollInterval)
	defer tick.Stop()
	for {
		cp, err := l.Checkpoint(ctx)
		if err == nil && cp.Size >= size {
			l.published.set(cp, nil)
			return nil
		}
		if err != nil && !errors.Is(err, tlog.ErrNotFound) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %d entries to be published: %w", size, ctx.Err())
		case <-tick.C:
		}
	}
}

// Close takes no more entries, waits until those taken are published and the
// Appends of them can return, and gives the directory up, in that order: stopping
// Tessera first would leave futures that never resolve. If the last checkpoint
// does not appear within CloseTimeout, Close fails and the directory stays
// locked until the process ends, because Tessera may still write to it; nothing
// that was acknowledged is lost. Where the last checkpoint is refused a signature, Close
// does not wait for it, and says why. Closing again returns the same.
//
// Reading ends with it: tlog.ErrClosed.
func (l *Log) Close() error { return l.close() }

func (l *Log) finish() error {
	l.queue.end()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go l.unlessRefused(ctx, cancel)
	if err := l.shutdown(ctx); err != nil {
		if refused := l.signer.retire(); refused != nil {
			l.published.set(attest.Checkpoint{}, refused)
			l.queue.callers.Wait()
			return errors.Join(fmt.Errorf("closing log in %s: %w", l.cfg.Dir, refused), l.release())
		}
		l.published.set(attest.Checkpoint{}, fmt.Errorf("%w before the entry was published", tlog.ErrClosed))
		return fmt.Errorf("closing log in %s: %w", l.cfg.Dir, err)
	}
	cp, err := l.Checkpoint(context.Background())
	l.published.set(cp, err)
	l.queue.callers.Wait() // they still read tiles, for their proofs
	return errors.Join(err, l.release())
}

// unlessRefused gives up waiting for a checkpoint that is refused.
func (l *Log) unlessRefused(ctx context.Context, giveUp func()) {
	tick := time.NewTicker(l.cfg.PollInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		if l.signer.refused() != nil {
			giveUp()
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// release undoes open, as far as it came.
func (l *Log) release() error {
	var err error
	if l.stop != nil {
		l.stop()
	}
	l.watching.Wait()
	if l.files != nil {
		err = l.files.Close()
	}
	return errors.Join(err, l.lock.release())
}
