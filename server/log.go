package server

import (
	"context"
	"fmt"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
	"github.com/sekisho-dev/sekisho/tlog"
)

// logs is the LogService.
type logs struct {
	sekishov1.UnimplementedLogServiceServer
	Config
}

func (l *logs) GetCheckpoint(ctx context.Context, _ *sekishov1.GetCheckpointRequest) (*sekishov1.GetCheckpointResponse, error) {
	cp, err := l.Log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	return &sekishov1.GetCheckpointResponse{
		Checkpoint:  string(cp.Note),
		TreeSize:    cp.Size,
		Origin:      cp.Origin,
		VerifierKey: l.LogKey.String(),
	}, nil
}

func (l *logs) GetInclusionProof(ctx context.Context, req *sekishov1.GetInclusionProofRequest) (*sekishov1.GetInclusionProofResponse, error) {
	current, err := tlog.Receipt(ctx, l.Log, req.GetLogIndex())
	if err != nil {
		return nil, err
	}
	size, proof := current.Checkpoint.Size, current.Proof
	if asked := req.GetTreeSize(); asked != 0 && asked != size {
		size = asked
		if proof, err = l.Log.Inclusion(ctx, req.GetLogIndex(), size); err != nil {
			return nil, err
		}
	}
	return &sekishov1.GetInclusionProofResponse{
		InclusionProof: inclusion(req.GetLogIndex(), size, proof),
		Checkpoint:     string(current.Checkpoint.Note),
		LeafHash:       current.LeafHash[:],
	}, nil
}

func (l *logs) GetConsistencyProof(ctx context.Context, req *sekishov1.GetConsistencyProofRequest) (*sekishov1.GetConsistencyProofResponse, error) {
	cp, err := l.Log.Checkpoint(ctx)
	if err != nil {
		return nil, err
	}
	to := req.GetToSize()
	if to == 0 {
		to = cp.Size
	}
	proof, err := l.Log.Consistency(ctx, req.GetFromSize(), to)
	if err != nil {
		return nil, fmt.Errorf("from %d to %d: %w", req.GetFromSize(), to, err)
	}
	return &sekishov1.GetConsistencyProofResponse{
		FromSize:   req.GetFromSize(),
		ToSize:     to,
		Hashes:     hashes(proof),
		Checkpoint: string(cp.Note),
	}, nil
}
