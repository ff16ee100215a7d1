package client

import (
	"context"
	"crypto/sha256"
	"iter"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// A page is a part of a list.
type page interface {
	proto.Message
	GetNextPageToken() string
}

// maxEmpty is how many pages in a row may be empty: a server ends a page also where it
// had to pass over many rows, and none of them was asked for.
const maxEmpty = 10000

// pages yields the elements of every page. A server that sends a page again, under
// whatever name, would have us ask for ever, and so would one that sends nothing
// and always promises more: both are errors.
func pages[Req any, Resp page, Elem any](
	req Req,
	call func(context.Context, Req, ...grpc.CallOption) (Resp, error),
	ctx context.Context,
	turn func(Req, string),
	elements func(Resp) []Elem,
) iter.Seq2[Elem, error] {
	return func(yield func(Elem, error) bool) {
		var none Elem
		seen := map[[sha256.Size]byte]bool{}
		for next, empty := "", 0; ; {
			turn(req, next)
			resp, err := call(ctx, req)
			if err != nil {
				yield(none, err)
				return
			}
			next = resp.GetNextPageToken()
			content := fingerprint(resp)
			if empty++; len(elements(resp)) > 0 {
				empty = 0
			} else if next != "" { // of an empty page only its name is its own
				content = sha256.Sum256([]byte(next))
			}
			if seen[content] || empty > maxEmpty {
				yield(none, refuse(ErrBadAnswer, nil, "the server's pages go round in a circle"))
				return
			}
			seen[content] = true
			for _, e := range elements(resp) {
				if !yield(e, nil) {
					return
				}
			}
			if next == "" {
				return
			}
		}
	}
}

// fingerprint hashes what is on a page, without the name of the next one, which it
// removes.
func fingerprint(p page) [sha256.Size]byte {
	m := p.ProtoReflect()
	m.Clear(m.Descriptor().Fields().ByName("next_page_token"))
	raw, _ := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	return sha256.Sum256(raw)
}
