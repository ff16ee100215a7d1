package client_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/tlog"
)

// A liar stands before the real service. It holds the log's key: every checkpoint
// that passes is signed anew, and so it can sign whatever it likes. It is honest
// until it is told a lie.
type liar struct {
	t      testing.TB
	signer note.Signer
	key    *tlog.Verifier

	mu  sync.Mutex
	lie func(method string, req, resp proto.Message) error // after an answer
	ask func(method string, req proto.Message)             // before a question
}

func newLiar(t testing.TB, origin string) *liar {
	t.Helper()
	skey, _, err := tlog.GenerateKey(origin)
	if err != nil {
		t.Fatal(err)
	}
	l := &liar{t: t}
	if l.signer, l.key, err = tlog.NewSigner(skey); err != nil {
		t.Fatal(err)
	}
	return l
}

// tell sets the lie, and what changes the questions; nil for the truth.
func (l *liar) tell(lie func(method string, req, resp proto.Message) error, ask func(method string, req proto.Message)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lie, l.ask = lie, ask
}

// sign signs a checkpoint of whatever size and root.
func (l *liar) sign(size uint64, root attest.Hash) string {
	signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", l.key.Origin(), size, base64.StdEncoding.EncodeToString(root[:]))}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(signed)
}

func (l *liar) between(ctx context.Context, method string, req, resp any, conn *grpc.ClientConn, next grpc.UnaryInvoker, o ...grpc.CallOption) error {
	l.mu.Lock()
	lie, ask := l.lie, l.ask
	l.mu.Unlock()
	short := method[strings.LastIndexByte(method, '/')+1:]
	asked := proto.Clone(req.(proto.Message))
	if ask != nil {
		ask(short, asked)
	}
	if err := next(ctx, method, asked, resp, conn, o...); err != nil {
		return err
	}
	l.reseal(resp.(proto.Message).ProtoReflect())
	if lie != nil {
		return lie(short, asked, resp.(proto.Message))
	}
	return nil
}

// reseal signs every checkpoint in a message anew.
func (l *liar) reseal(m protoreflect.Message) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				l.reseal(v.List().Get(i).Message())
			}
		case f.IsList():
		case f.Message() != nil:
			l.reseal(v.Message())
		case f.Name() == "checkpoint":
			size, root := read(l.t, v.String())
			m.Set(f, protoreflect.ValueOfString(l.sign(size, root)))
		case f.Name() == "verifier_key":
			m.Set(f, protoreflect.ValueOfString(l.key.String()))
		case f.Name() == "origin":
			m.Set(f, protoreflect.ValueOfString(l.key.Origin()))
		}
		return true
	})
}

// read reads a checkpoint that nobody has to believe.
func read(t testing.TB, signed string) (size uint64, root attest.Hash) {
	t.Helper()
	var origin, hash string
	if _, err := fmt.Sscanf(signed, "%s\n%d\n%s\n", &origin, &size, &hash); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(hash)
	if err != nil {
		t.Fatal(err)
	}
	return size, attest.Hash(raw)
}
