package tlog_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
	"github.com/sekisho-dev/sekisho/tlog/memlog"
)

// cases decodes a file of JSON lines.
func cases[T any](t *testing.T, file string) []T {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []T
	for s := bufio.NewScanner(f); s.Scan(); {
		var one T
		if err := json.Unmarshal(s.Bytes(), &one); err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no cases", file)
	}
	return all
}

// toHash reports whether b is a hash; what is not cannot reach the verifying
// functions, whose types are fixed.
func toHash(b []byte) (attest.Hash, bool) {
	if len(b) != len(attest.Hash{}) {
		return attest.Hash{}, false
	}
	return attest.Hash(b), true
}

func toHashes(bs [][]byte) ([]attest.Hash, bool) {
	var hs []attest.Hash
	for _, b := range bs {
		h, ok := toHash(b)
		if !ok {
			return nil, false
		}
		hs = append(hs, h)
	}
	return hs, true
}

func TestMerkleInclusionCases(t *testing.T) {
	for _, c := range cases[struct {
		Name              string
		LeafIdx, TreeSize uint64
		Root, LeafHash    []byte
		Proof             [][]byte
		WantErr           bool
	}](t, "../testdata/tlog/merkle-inclusion.jsonl") {
		root, ok1 := toHash(c.Root)
		leaf, ok2 := toHash(c.LeafHash)
		path, ok3 := toHashes(c.Proof)
		if ok1 && ok2 && ok3 {
			err := tlog.VerifyInclusion(attest.Checkpoint{Size: c.TreeSize, Root: root}, c.LeafIdx, leaf, path)
			check(t, c.Name, err, c.WantErr)
		} else if !c.WantErr {
			t.Errorf("%s: a good case with something that is no hash", c.Name)
		}
	}
}

func TestMerkleConsistencyCases(t *testing.T) {
	for _, c := range cases[struct {
		Name         string
		Size1, Size2 uint64
		Root1, Root2 []byte
		Proof        [][]byte
		WantErr      bool
	}](t, "../testdata/tlog/merkle-consistency.jsonl") {
		root1, ok1 := toHash(c.Root1)
		root2, ok2 := toHash(c.Root2)
		path, ok3 := toHashes(c.Proof)
		if ok1 && ok2 && ok3 {
			err := tlog.VerifyConsistency(attest.Checkpoint{Size: c.Size1, Root: root1}, attest.Checkpoint{Size: c.Size2, Root: root2}, path)
			check(t, c.Name, err, c.WantErr)
		} else if !c.WantErr {
			t.Logf("%s: accepted by others, has something that is no hash", c.Name)
		}
	}
}

func check(t *testing.T, name string, err error, want bool) {
	t.Helper()
	if (err != nil) != want || err != nil && !errors.Is(err, tlog.ErrProof) {
		t.Errorf("%s: %v, want an error: %v", name, err, want)
	}
}

// filled returns a log in memory with those entries and their receipts.
func filled(t testing.TB, n int) (*memlog.Log, [][]byte, []attest.Receipt) {
	t.Helper()
	l, err := memlog.New(memlog.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var entries [][]byte
	var receipts []attest.Receipt
	for i := range n {
		entry := []byte{byte(i), byte(i >> 8), 'x'}
		r, err := l.Append(t.Context(), entry)
		if err != nil {
			t.Fatal(err)
		}
		entries, receipts = append(entries, entry), append(receipts, r)
	}
	return l, entries, receipts
}

// Advisory A9: a proof is worth what its checkpoint is worth. Everything that a
// receipt says is changed, one thing at a time.
func TestAdvisoryA9_ReceiptUnderForgedCheckpoint(t *testing.T) {
	l, entries, receipts := filled(t, 11)
	other, _, others := filled(t, 11) // the same entries under another key
	v, entry, good := l.Verifier(), entries[10], receipts[10]
	if err := tlog.VerifyReceipt(v, entry, good); err != nil {
		t.Fatal(err)
	}
	if err := tlog.VerifyReceipt(other.Verifier(), entry, good); !errors.Is(err, tlog.ErrCheckpoint) {
		t.Errorf("with another log's key: %v", err)
	}
	for name, c := range map[string]struct {
		change func(*attest.Receipt)
		want   error
	}{
		"no note":                     {func(r *attest.Receipt) { r.Checkpoint.Note = nil }, tlog.ErrCheckpoint},
		"root":                        {func(r *attest.Receipt) { r.Checkpoint.Root[0] ^= 1 }, tlog.ErrCheckpoint},
		"size":                        {func(r *attest.Receipt) { r.Checkpoint.Size++ }, tlog.ErrCheckpoint},
		"origin":                      {func(r *attest.Receipt) { r.Checkpoint.Origin = "x" }, tlog.ErrCheckpoint},
		"another log's checkpoint":    {func(r *attest.Receipt) { r.Checkpoint = others[10].Checkpoint }, tlog.ErrCheckpoint},
		"an earlier checkpoint":       {func(r *attest.Receipt) { r.Checkpoint = receipts[9].Checkpoint }, tlog.ErrProof},
		"an earlier note only":        {func(r *attest.Receipt) { r.Checkpoint.Note = receipts[9].Checkpoint.Note }, tlog.ErrCheckpoint},
		"14 index equal to the size":  {func(r *attest.Receipt) { r.Index = r.Checkpoint.Size }, tlog.ErrProof},
		"another index":               {func(r *attest.Receipt) { r.Index-- }, tlog.ErrProof},
		"another leaf":                {func(r *attest.Receipt) { r.LeafHash[0] ^= 1 }, tlog.ErrProof},
		"a bit of the proof":          {func(r *attest.Receipt) { r.Proof[0][31] ^= 1 }, tlog.ErrProof},
		"a hash too many":             {func(r *attest.Receipt) { r.Proof = append(r.Proof, attest.Hash{}) }, tlog.ErrProof},
		"a hash too few":              {func(r *attest.Receipt) { r.Proof = r.Proof[1:] }, tlog.ErrProof},
		"another entry's whole proof": {func(r *attest.Receipt) { r.Index, r.LeafHash, r.Proof = 3, receipts[3].LeafHash, receipts[3].Proof }, tlog.ErrProof},
	} {
		r := good
		r.Proof = append([]attest.Hash{}, good.Proof...)
		c.change(&r)
		if err := tlog.VerifyReceipt(v, entry, r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// 15 of the C2SP test list: the two child hashes of a node, presented as a
// 64-byte entry, do not stand for the node.
func TestSecondPreimage(t *testing.T) {
	l, _, receipts := filled(t, 2)
	cp := receipts[1].Checkpoint
	node := append(append([]byte{}, receipts[0].LeafHash[:]...), receipts[1].LeafHash[:]...)
	err := tlog.VerifyReceipt(l.Verifier(), node, attest.Receipt{Index: 0, LeafHash: cp.Root, Checkpoint: cp})
	if !errors.Is(err, tlog.ErrProof) {
		t.Errorf("with the root as leaf hash: %v", err)
	}
	one := attest.Checkpoint{Size: 1, Root: cp.Root}
	if err := tlog.VerifyInclusion(one, 0, attest.LeafHash(node), nil); !errors.Is(err, tlog.ErrProof) {
		t.Errorf("as the only leaf of a tree of one: %v", err)
	}
}

// 12 and 13 of the C2SP test list, for a caller who remembers a checkpoint.
func TestInconsistentCheckpoints(t *testing.T) {
	_, _, receipts := filled(t, 5)
	_, _, fork := filled(t, 6)
	three, five := receipts[2].Checkpoint, receipts[4].Checkpoint
	if err := tlog.VerifyConsistency(five, three, nil); !errors.Is(err, tlog.ErrProof) {
		t.Errorf("rollback: %v", err)
	}
	other := five
	other.Root = fork[5].Checkpoint.Root
	if err := tlog.VerifyConsistency(five, other, nil); !errors.Is(err, tlog.ErrInconsistent) || !errors.Is(err, tlog.ErrProof) {
		t.Errorf("split view: %v", err)
	}
	if err := tlog.VerifyConsistency(five, fork[4].Checkpoint, nil); !errors.Is(err, tlog.ErrProof) {
		t.Errorf("another log: %v", err)
	}
}

func b64(h attest.Hash) string { return base64.StdEncoding.EncodeToString(h[:]) }
