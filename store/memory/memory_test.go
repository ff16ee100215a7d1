package memory_test

import (
	"testing"

	"github.com/sekisho-dev/sekisho/store"
	"github.com/sekisho-dev/sekisho/store/memory"
	"github.com/sekisho-dev/sekisho/store/storetest"
)

func TestIndex(t *testing.T) {
	storetest.RunIndex(t, func(string) (store.Index, error) { return memory.NewIndex(), nil })
}

func TestBlobs(t *testing.T) {
	storetest.RunBlobs(t, func(string) (store.Blobs, error) { return memory.NewBlobs(), nil })
}
