package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sekisho-dev/sekisho/internal/stock"
	"github.com/sekisho-dev/sekisho/internal/vaulttest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sekisho": main})
}

// TestScripts runs the walkthroughs and the contract of the command line against a
// real sekishod.
func TestScripts(t *testing.T) {
	testscript.Run(t, scripts(t, "testdata/script"))
}

// scripts are the parameters of a directory of scripts.
func scripts(t *testing.T, dir string) testscript.Params {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", bin, "../sekishod").CombinedOutput(); err != nil {
		t.Fatalf("building sekishod: %v\n%s", err, out)
	}
	repository, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+e.Getenv("PATH"))
			e.Setenv("SEKISHO_STATE_DIR", filepath.Join(e.WorkDir, "state"))
			e.Setenv("SEKISHOD_GRPC_ADDR", "127.0.0.1:0")
			e.Setenv("SEKISHOD_HTTP_ADDR", "127.0.0.1:0")
			e.Setenv("TESTDATA", filepath.Join(repository, "testdata"))
			return nil
		},
		Condition: func(name string) (bool, error) { return name == "root" && os.Getuid() == 0, nil },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":        exits,
			"ready":        ready,
			"deafport":     deafPort,
			"stranger":     stranger,
			"hold":         hold,
			"fill":         fill,
			"where":        where,
			"hangup":       hangup,
			"certificate":  certificate,
			"verifybundle": verifyBundle,
			"vault":        func(ts *testscript.TestScript, _ bool, _ []string) { startVault(t, ts) },
		},
	}
}

// startVault starts a Vault with a Transit key "statements"; $VAULT_ADDR and
// $VAULT_TOKEN say where.
func startVault(t *testing.T, ts *testscript.TestScript) {
	v := vaulttest.Start(t)
	v.Key(t, "statements", "ecdsa-p256")
	ts.Setenv("VAULT_ADDR", v.Address)
	ts.Setenv("VAULT_TOKEN", v.Token)
}

// verifyBundle BUNDLE TRUSTED-ROOT KEY ARTIFACT verifies as a stranger would, with
// sigstore-go alone.
func verifyBundle(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 4 {
		ts.Fatalf("usage: verifybundle BUNDLE TRUSTED-ROOT KEY ARTIFACT")
	}
	_, err := stock.Verify([]byte(ts.ReadFile(args[0])), []byte(ts.ReadFile(args[1])), []byte(ts.ReadFile(args[2])), strings.NewReader(ts.ReadFile(args[3])))
	if (err != nil) != neg {
		ts.Fatalf("verifying: %v", err)
	}
}

// exits CODE COMMAND ARG… runs a command that must end with this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit := &exec.ExitError{}
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// ready waits until the service in a data directory listens.
func ready(ts *testscript.TestScript, _ bool, args []string) {
	dir := "sekisho-data"
	if len(args) > 0 {
		dir = args[0]
	}
	for range 300 {
		if _, err := os.Stat(ts.MkAbs(filepath.Join(dir, "endpoint.json"))); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	ts.Fatalf("%s: the service is not ready after 15 s", dir)
}

// deafPort sets $DEAF to a loopback address where nobody listens.
func deafPort(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Setenv("DEAF", fmt.Sprint(l.Addr()))
	ts.Check(l.Close())
}

// certificate writes tls.crt and tls.key, of 127.0.0.1 by its own authority.
func certificate(ts *testscript.TestScript, _ bool, _ []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	for name, block := range map[string]*pem.Block{"tls.crt": {Type: "CERTIFICATE", Bytes: der}, "tls.key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		ts.Check(os.WriteFile(ts.MkAbs(name), pem.EncodeToMemory(block), 0o600))
	}
}
