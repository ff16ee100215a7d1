package server

import (
	"context"
	"fmt"

	"google.golang.org/grpc/encoding"
	protocodec "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// What a document takes in memory, as a multiple of its size: measured at the peak,
// over documents that are mostly structure, which take the most.
const (
	timesAttested = 8
	timesSBOM     = 26
	timesLoaded   = 10 // its envelope and its bundle, and both as a message
	timesJSON     = 6  // its text, what it decodes to, and the same as a message
)

// loading is what it takes to answer with a document that was registered, as a
// multiple of its size; 0 for what answers with none.
func loading(method string) int64 {
	switch method {
	case sekishov1.AttestationService_GetAttestation_FullMethodName:
		return timesLoaded
	case sekishov1.SbomService_GetSbom_FullMethodName, sekishov1.SbomService_ListComponents_FullMethodName:
		return timesSBOM
	}
	return 0
}

// large reports whether a method takes documents.
func large(method string) bool {
	switch method {
	case sekishov1.AttestationService_CreateAttestation_FullMethodName, sekishov1.SbomService_UploadSbom_FullMethodName:
		return true
	}
	return false
}

// asking reports whether a method answers those who must not wait for documents.
func asking(method string) bool {
	switch method {
	case sekishov1.AdmissionService_EvaluateDeployment_FullMethodName, sekishov1.AdmissionService_BatchEvaluateDeployments_FullMethodName:
		return true
	}
	return len(access[method]) > 0 && access[method][0] == everyone
}

// weigh takes what a request needs until it is answered. It is whole, and nobody has
// looked into it.
func (b *budget) weigh(ctx context.Context, c *call, req any) (*hold, error) {
	if c.small = c.conn != nil && c.conn.size(c) < smallMessage/2; c.small { // half, for what the transport had read ahead
		return nil, nil
	}
	m, ok := req.(proto.Message)
	if !ok || c.gateway && !large(c.method) {
		return nil, nil // of what comes over the JSON port only the parsing is still to be weighed
	}
	size := int64(proto.Size(m))
	if size <= smallMessage {
		return nil, nil
	}
	switch c.method {
	case sekishov1.AttestationService_CreateAttestation_FullMethodName:
		return b.working.take(ctx, account(c.caller), timesAttested*size)
	case sekishov1.SbomService_UploadSbom_FullMethodName:
		return b.working.take(ctx, account(c.caller), timesSBOM*size)
	}
	return b.answers.take(ctx, account(c.caller), size)
}

// sized is an answer with what it holds until the other side has taken it.
type sized struct {
	proto.Message
	conn *conn
	hold *hold
}

// send takes what a large answer needs until the other side has taken it: who does
// not read must not have it kept for nothing.
func (b *budget) send(ctx context.Context, c *call, resp any) (any, error) {
	if c.conn == nil {
		return resp, nil // through memory: the JSON port counts what it writes
	}
	if c.small && c.method == sekishov1.AdmissionService_EvaluateDeployment_FullMethodName {
		return resp, nil // a small question has a small answer, and this one is asked all the time
	}
	m, ok := resp.(proto.Message)
	if !ok {
		return resp, nil
	}
	size := int64(proto.Size(m))
	if size <= smallMessage {
		return resp, nil
	}
	from := b.unsent
	if asking(c.method) {
		from = b.answers
	}
	if c.work.of(from) {
		c.work.release() // who takes of one pool twice could wait for himself
	}
	h, err := from.take(ctx, account(c.caller), size)
	if err != nil {
		return nil, err
	}
	c.work.release()
	c.conn.owe(h)
	return &sized{m, c.conn, h}, nil
}

// codec is protobuf's, but that it knows when an answer was taken.
type codec struct{ encoding.CodecV2 }

func newCodec() encoding.CodecV2 { return codec{encoding.GetCodecV2(protocodec.Name)} }

// Marshal writes a message.
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	s, ok := v.(*sized)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	raw, err := proto.Marshal(s.Message)
	if err != nil {
		s.conn.paid(s.hold)
		return nil, fmt.Errorf("writing an answer: %w", err)
	}
	return mem.BufferSlice{mem.NewBuffer(&raw, s)}, nil
}

// Get is not called: a sized answer takes a buffer back, and gives none.
func (s *sized) Get(n int) *[]byte { b := make([]byte, n); return &b }

// Put is called when the last byte of the answer is out of the service's hands.
func (s *sized) Put(*[]byte) { s.conn.paid(s.hold) }
