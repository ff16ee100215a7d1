package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// stranger [ADDR] listens at an address, or at a free one, and writes what it is asked
// into the file asked: the method, and the token that came with it. $STRANGER says
// where.
func stranger(ts *testscript.TestScript, _ bool, args []string) {
	addr := "127.0.0.1:0"
	if len(args) > 0 {
		addr = args[0]
	}
	l, err := net.Listen("tcp", addr)
	ts.Check(err)
	asked := ts.MkAbs("asked")
	ts.Check(os.WriteFile(asked, nil, 0o600))
	var mu sync.Mutex
	s := grpc.NewServer(grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		method, _ := grpc.MethodFromServerStream(stream)
		mu.Lock()
		defer mu.Unlock()
		f, err := os.OpenFile(asked, os.O_APPEND|os.O_WRONLY, 0)
		if err == nil {
			fmt.Fprintln(f, method, md.Get("authorization"))
			err = f.Close()
		}
		return status.Error(codes.Internal, fmt.Sprint("a stranger's answer ", err))
	}))
	go s.Serve(l)
	ts.Defer(s.Stop)
	ts.Setenv("STRANGER", l.Addr().String())
}

// hold FILE holds a lock as a running service does, to the end of the script.
func hold(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_RDWR, 0o600)
	ts.Check(err)
	ts.Check(unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	ts.Defer(func() { f.Close() })
}

// fill FILE… puts the environment's values where $NAME stands.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o644))
	}
}

// where DIR sets $GRPC and $PID to the address and process of the service in a data
// directory.
func where(ts *testscript.TestScript, _ bool, args []string) {
	var e struct {
		GRPC string
		PID  int
	}
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(filepath.Join(args[0], "endpoint.json"))), &e))
	ts.Setenv("GRPC", e.GRPC)
	ts.Setenv("PID", strconv.Itoa(e.PID))
}

// hangup signals $PID that its terminal is gone.
func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	pid, err := strconv.Atoi(ts.Getenv("PID"))
	ts.Check(err)
	ts.Check(syscall.Kill(pid, syscall.SIGHUP))
}
