package client

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"google.golang.org/grpc"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// listed lists what a server of n pages sends.
func listed(n int, page func(i int) *sekishov1.ListAttestationsResponse) (got, asked int, err error) {
	call := func(context.Context, *sekishov1.ListAttestationsRequest, ...grpc.CallOption) (*sekishov1.ListAttestationsResponse, error) {
		resp := page(asked)
		if asked++; asked < n {
			resp.NextPageToken = fmt.Sprint(asked)
		}
		return resp, nil
	}
	for _, err := range pages(&sekishov1.ListAttestationsRequest{}, call, context.Background(),
		func(r *sekishov1.ListAttestationsRequest, token string) { r.PageToken = token }, (*sekishov1.ListAttestationsResponse).GetAttestations) {
		if err != nil {
			return got, asked, err
		}
		got++
	}
	return got, asked, nil
}

// TestEmptyPages: a page that is empty and not the last is gone past; a server that
// sends nothing else is not asked for ever.
func TestEmptyPages(t *testing.T) {
	sparse := func(i int) *sekishov1.ListAttestationsResponse {
		r := &sekishov1.ListAttestationsResponse{}
		if i%7 == 6 {
			r.Attestations = []*sekishov1.Attestation{{LogIndex: uint64(i)}}
		}
		return r
	}
	for pages, want := range map[int]int{1: 0, 7: 1, 70: 10, 75: 10} {
		if got, asked, err := listed(pages, sparse); got != want || asked != pages || err != nil {
			t.Errorf("%d pages: %d elements of %d pages, %v; want %d", pages, got, asked, err, want)
		}
	}
	nothing := func(int) *sekishov1.ListAttestationsResponse { return &sekishov1.ListAttestationsResponse{} }
	if _, asked, err := listed(1<<40, nothing); !errors.Is(err, ErrBadAnswer) || asked > maxEmpty+1 {
		t.Errorf("nothing for ever: asked %d times, %v", asked, err)
	}
}
