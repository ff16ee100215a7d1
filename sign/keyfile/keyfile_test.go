package keyfile_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/sign/signtest"
)

func TestSigner(t *testing.T) {
	for _, details := range []attest.KeyDetails{
		attest.ECDSAP256SHA256, attest.ECDSAP384SHA384, attest.ECDSAP521SHA512, attest.RSA3072SHA256,
	} {
		t.Run(string(details), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			signtest.Run(t, func(t *testing.T) sign.Signer {
				s, err := keyfile.OpenOrCreate(path, details)
				if err != nil {
					t.Fatal(err)
				}
				if s.Key().Details != details {
					t.Fatalf("a key of %s, want %s", s.Key().Details, details)
				}
				return s
			})
		})
	}
}

// TestCreate: a key file is its owner's alone, whole, and never written over.
func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key.pem")
	s := create(t, path)
	st, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if st.Mode() != 0o600 {
		t.Errorf("mode %v, want -rw-------", st.Mode())
	}
	if _, err := keyfile.Create(path, attest.ECDSAP256SHA256); !errors.Is(err, fs.ErrExist) || !errors.Is(err, sign.ErrKey) {
		t.Errorf("creating it again: %v", err)
	}
	again, err := keyfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if again.Key().ID != s.Key().ID {
		t.Error("it was written over")
	}
	if names := list(t, dir); len(names) != 1 {
		t.Errorf("left behind: %v", names)
	}
	if _, err := keyfile.Create(filepath.Join(dir, "no", "key.pem"), attest.ECDSAP256SHA256); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	if _, err := keyfile.Create(filepath.Join(dir, "ed25519.pem"), "PKIX_ED25519"); !errors.Is(err, sign.ErrKey) {
		t.Errorf("of a kind that cannot be logged: %v", err)
	}
}

// TestOneKeyOfMany: of many that open or create at the same moment, all have the
// key that is in the file.
func TestOneKeyOfMany(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key.pem")
	ids := make([]string, 16)
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			s, err := keyfile.OpenOrCreate(path, attest.ECDSAP256SHA256)
			if err != nil {
				t.Error(err)
				return
			}
			ids[i] = s.Key().ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			t.Fatalf("several keys: %v", ids)
		}
	}
}

func TestRefused(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	good := pkcs8(t, ec)
	for _, tt := range []struct {
		name string
		raw  []byte
		mode os.FileMode
		want error
		says string
	}{
		{"good", good, 0o600, nil, ""},
		{"read only", good, 0o400, nil, ""},
		{"trailing newlines", append(bytes.Clone(good), "\n\n"...), 0o600, nil, ""},
		{"mounted for a group", good, 0o640, nil, ""},
		{"mounted for everybody", good, 0o644, nil, ""},
		{"written by everybody", good, 0o602, sign.ErrKey, "chmod go-w"},
		{"empty", nil, 0o600, sign.ErrKey, "no PEM block"},
		{"not PEM", []byte("secret"), 0o600, sign.ErrKey, "no PEM block"},
		{"SEC 1", block("EC PRIVATE KEY", sec1), 0o600, sign.ErrKey, "openssl pkcs8"},
		{"encrypted", block("ENCRYPTED SIGSTORE PRIVATE KEY", []byte("x")), 0o600, sign.ErrKey, "ENCRYPTED SIGSTORE"},
		{"a public key", block("PUBLIC KEY", []byte("x")), 0o600, sign.ErrKey, "PUBLIC KEY"},
		{"two keys", append(bytes.Clone(good), pkcs8(t, p224)...), 0o600, sign.ErrKey, "one PEM block"},
		{"nonsense inside", block("PRIVATE KEY", []byte("x")), 0o600, sign.ErrKey, "PKCS #8"},
		{"D8 Ed25519", pkcs8(t, ed), 0o600, attest.ErrNotLoggable, "Ed25519"},
		{"P-224", pkcs8(t, p224), 0o600, attest.ErrNotLoggable, ""},
		{"too large", bytes.Repeat([]byte("x"), 1<<20), 0o600, sign.ErrKey, "too many"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key.pem")
			if err := os.WriteFile(path, tt.raw, tt.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tt.mode); err != nil { // whatever the umask is
				t.Fatal(err)
			}
			_, err := keyfile.Open(path)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if err != nil && (!errors.Is(err, sign.ErrKey) || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("%v: want ErrKey that says %q", err, tt.says)
			}
		})
	}
	if _, err := keyfile.Open(t.TempDir()); !errors.Is(err, sign.ErrKey) {
		t.Errorf("a directory: %v", err)
	}
}

// TestAdvisoryE8_PrintingShowsNoKey: no verb prints the private half.
func TestAdvisoryE8_PrintingShowsNoKey(t *testing.T) {
	s := create(t, filepath.Join(t.TempDir(), "key.pem"))
	private, err := s.Crypto().(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	decimal := s.Crypto().(*ecdsa.PrivateKey).D.String() //nolint:staticcheck // what printing would show
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		text := fmt.Sprintf(verb, s) + fmt.Sprintf(verb, struct{ S sign.Signer }{s})
		if strings.Contains(text, hex.EncodeToString(private)) || strings.Contains(text, decimal) {
			t.Errorf("%s shows it", verb)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pkcs8(f, ec))
	f.Add(block("PRIVATE KEY", []byte{0x30, 0}))
	path := filepath.Join(f.TempDir(), "key.pem")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := keyfile.Open(path)
		if err != nil {
			if !errors.Is(err, sign.ErrKey) {
				t.Fatalf("untyped error: %v", err)
			}
			return
		}
		// What opens can sign.
		if _, err := sign.Envelope(context.Background(), s, "t", raw); err != nil {
			t.Fatal(err)
		}
	})
}

func create(t *testing.T, path string) *keyfile.Signer {
	t.Helper()
	s, err := keyfile.Create(path, attest.ECDSAP256SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func list(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return block("PRIVATE KEY", der)
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
