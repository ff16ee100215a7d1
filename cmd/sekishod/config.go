package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sekisho-dev/sekisho/internal/strictyaml"
	"github.com/sekisho-dev/sekisho/server/identity"
)

// Config is the whole configuration of the service. Every key may be left out;
// with no file at all the service runs on its embedded defaults. Unknown keys
// are refused. Secrets are named by file or environment variable, never given.
type Config struct {
	// Data is the directory that everything lives in: log/, blobs/, keys/,
	// index.bolt, admin.token, endpoint.json, lock.
	Data string `yaml:"data"`
	// GRPCAddr and HTTPAddr are host:port; port 0 takes a free one.
	GRPCAddr string `yaml:"grpcAddr"`
	HTTPAddr string `yaml:"httpAddr"`
	// TLS serves both ports with a certificate; plain text without.
	TLS TLSConfig `yaml:"tls"`
	// Plaintext allows plain text on addresses that are not loopback: for whoever has
	// something else protect the way, such as a mesh. Refused without it.
	Plaintext bool `yaml:"plaintext"`
	// Statements is the key that signs what callers hand in:
	// a PKCS#8 PEM file, or hashivault://NAME. By default a key is made at
	// DATA/keys/statements.pem.
	Statements KeyConfig `yaml:"statements"`
	// Log is the transparency log's.
	Log LogConfig `yaml:"log"`
	// TrustRoot is the file of the first trust root. It pins who may sign the
	// next. By default a development trust root is made at DATA/keys/trust-root.yaml.
	TrustRoot string `yaml:"trustRoot"`
	// Tokens are callers beside the development admin.
	Tokens []TokenConfig `yaml:"tokens"`
	// MaxStaleness is how long the index may be behind the log and still
	// answer; 5s by default.
	MaxStaleness time.Duration `yaml:"maxStaleness"`
	// Limits are on what callers may register.
	Limits LimitsConfig `yaml:"limits"`

	file    string // it was read from; "" for none
	reindex bool   // throw the index away when opening
	offline bool   // only look: nothing will be signed, so that Vault need not answer
	write   bool   // repair is to write what it finds
}

// TLSConfig names a certificate and its key, PEM files. Both or neither.
type TLSConfig struct {
	Pos  strictyaml.Pos `yaml:"-"`
	Cert string         `yaml:"cert"`
	Key  string         `yaml:"key"`
}

// KeyConfig names a key.
type KeyConfig struct {
	Pos strictyaml.Pos `yaml:"-"`
	// URI is a PKCS#8 PEM file, or hashivault://NAME (Vault Transit).
	URI string `yaml:"uri"`
	// Vault is used with hashivault:// only.
	Vault VaultConfig `yaml:"vault"`
}

// VaultConfig says how to reach Vault Transit.
type VaultConfig struct {
	Address string `yaml:"address"` // https://vault.example:8200
	Mount   string `yaml:"mount"`   // "transit" by default
	// TokenFile or TokenEnv says where the token is; VAULT_TOKEN by default.
	TokenFile string `yaml:"tokenFile"`
	TokenEnv  string `yaml:"tokenEnv"`
	Namespace string `yaml:"namespace"`
	CAFile    string `yaml:"caFile"`
	// KeyVersion pins a version; the newest at the start by default.
	KeyVersion int `yaml:"keyVersion"`
}

// LogConfig is the log's.
type LogConfig struct {
	// Origin is the log's name. Made once at the first start, and immutable.
	Origin string `yaml:"origin"`
}

// LimitsConfig is on what callers may register.
type LimitsConfig struct {
	// PerArtifact is how many attestations about one artifact one caller may
	// register; 10,000 by default.
	PerArtifact int `yaml:"perArtifact"`
}

// TokenConfig is one caller who is known by a bearer token.
type TokenConfig struct {
	Pos strictyaml.Pos `yaml:"-"`
	// Name is what trust roots call the issuer: "token:" and this name.
	Name string `yaml:"name"`
	// Subject is the caller's name in trust roots.
	Subject string `yaml:"subject"`
	// File holds the token.
	File  string   `yaml:"file"`
	Roles []string `yaml:"roles"` // builder, deployer, auditor, admin
}

const (
	defaultData     = "./sekisho-data"
	defaultGRPCAddr = "127.0.0.1:7443"
	defaultHTTPAddr = "127.0.0.1:7080"
)

// paths in the data directory.
func (c *Config) path(elem ...string) string {
	return filepath.Join(append([]string{c.Data}, elem...)...)
}

// options are the command's flags.
type options struct {
	command string // serve, fsck, reindex, repair
	json    bool
	config  Config
}

// usageError is a mistake in flags or configuration: exit 2.
type usageError struct{ error }

// parse reads flags, environment, file and defaults, in that order of
// precedence, and reports all faults of the configuration at once.
func parse(args []string, getenv func(string) string) (o options, err error) {
	o.command = "serve"
	if len(args) > 0 && len(args[0]) > 0 && args[0][0] != '-' {
		o.command, args = args[0], args[1:]
	}
	switch o.command {
	case "serve", "fsck", "reindex", "repair":
	case "help", "version":
		return o, nil
	default:
		return o, usageError{fmt.Errorf("unknown command %q: serve, fsck, reindex or repair (sekishod --help)", o.command)}
	}
	fs := flag.NewFlagSet("sekishod", flag.ContinueOnError)
	fs.SetOutput(io.Discard) // main says what is wrong, once
	var flags Config
	plaintext := getenv("SEKISHOD_PLAINTEXT")
	file := fs.String("config", getenv("SEKISHOD_CONFIG"), "")
	fs.StringVar(&flags.Data, "data", getenv("SEKISHOD_DATA"), "")
	if o.command == "serve" {
		fs.StringVar(&flags.GRPCAddr, "grpc-addr", getenv("SEKISHOD_GRPC_ADDR"), "")
		fs.StringVar(&flags.HTTPAddr, "http-addr", getenv("SEKISHOD_HTTP_ADDR"), "")
		fs.BoolFunc("plaintext", "", func(v string) error { plaintext = v; return nil })
	} else {
		format := fs.String("o", "text", "")
		defer func() { o.json = *format == "json" }()
	}
	write := false
	if o.command == "repair" {
		fs.BoolVar(&write, "write", false, "")
	}
	version := fs.Bool("version", false, "")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		o.command = "help"
		return o, nil
	} else if err != nil {
		return o, usageError{fmt.Errorf("%w (sekishod --help)", err)}
	}
	if *version {
		o.command = "version"
		return o, nil
	}
	if fs.NArg() > 0 {
		return o, usageError{fmt.Errorf("unexpected argument %q (sekishod --help)", fs.Arg(0))}
	}
	if f := fs.Lookup("o"); f != nil && f.Value.String() != "text" && f.Value.String() != "json" {
		return o, usageError{fmt.Errorf("-o %s: text or json", f.Value)}
	}
	c := &o.config
	defer func() { c.write = write }()
	if *file != "" {
		if err := c.read(*file); err != nil {
			return o, usageError{err}
		}
	}
	c.Data = first(flags.Data, c.Data, defaultData)
	c.GRPCAddr = first(flags.GRPCAddr, c.GRPCAddr, defaultGRPCAddr)
	c.HTTPAddr = first(flags.HTTPAddr, c.HTTPAddr, defaultHTTPAddr)
	if err := errors.Join(checkAddr("--grpc-addr", c.GRPCAddr), checkAddr("--http-addr", c.HTTPAddr)); err != nil {
		return o, usageError{err}
	}
	if o.command != "serve" {
		return o, nil
	}
	if plaintext != "" {
		if c.Plaintext, err = strconv.ParseBool(plaintext); err != nil {
			return o, usageError{fmt.Errorf("--plaintext (SEKISHOD_PLAINTEXT) %q: want true or false", plaintext)}
		}
	}
	if err := errors.Join(c.guardPort("--grpc-addr", c.GRPCAddr), c.guardPort("--http-addr", c.HTTPAddr)); err != nil {
		return o, usageError{err}
	}
	return o, nil
}

// read reads the file, and reports all its faults at once: what is no configuration,
// and what is none that makes sense.
func (c *Config) read(path string) error {
	c.file = path
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	if err := errors.Join(strictyaml.Decode(raw, c), c.validate(raw)); err != nil {
		return fmt.Errorf("configuration %s:\n%w", path, err)
	}
	return nil
}

// checkAddr checks an address, wherever it came from. name is its flag.
func checkAddr(name, addr string) error {
	if _, port, err := net.SplitHostPort(addr); err != nil || port == "" {
		return fmt.Errorf("%s: %q is not host:port, such as 127.0.0.1:0 for any free port", name, addr)
	}
	return nil
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// validate reports every fault that can be seen without opening anything, each with
// its line in the document.
func (c *Config) validate(raw []byte) error {
	var errs []error
	key := func(name string) strictyaml.Pos { return keyAt(raw, name) }
	for name, addr := range map[string]string{"grpcAddr": c.GRPCAddr, "httpAddr": c.HTTPAddr} {
		if addr == "" {
			continue
		}
		if err := checkAddr(name, addr); err != nil {
			errs = append(errs, key(name).Errorf("%v", err))
		}
	}
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		errs = append(errs, c.TLS.Pos.Errorf("tls: cert and key go together"))
	}
	if scheme, _, ok := strings.Cut(c.Statements.URI, "://"); ok && scheme != "hashivault" {
		errs = append(errs, c.Statements.Pos.Errorf("statements.uri: %q: this edition signs with a PEM file or hashivault://NAME", c.Statements.URI))
	}
	if c.MaxStaleness < 0 {
		errs = append(errs, key("maxStaleness").Errorf("maxStaleness: %s: must not be negative", c.MaxStaleness))
	}
	if c.Limits.PerArtifact < 0 {
		errs = append(errs, key("limits").Errorf("limits.perArtifact: %d: must not be negative", c.Limits.PerArtifact))
	}
	for i, t := range c.Tokens {
		if t.Name == "" || t.Subject == "" || t.File == "" || len(t.Roles) == 0 {
			errs = append(errs, t.Pos.Errorf("tokens[%d]: name, subject, file and roles are required", i))
		}
		for _, r := range t.Roles {
			if _, err := identity.ParseRole(r); err != nil {
				errs = append(errs, t.Pos.Errorf("tokens[%d]: %v", i, err))
			}
		}
	}
	slices.SortStableFunc(errs, func(a, b error) int { return cmp.Compare(line(a), line(b)) })
	return errors.Join(errs...)
}

// keyAt is where a key of the document stands.
func keyAt(raw []byte, name string) strictyaml.Pos {
	var doc yaml.Node
	if yaml.Unmarshal(raw, &doc) == nil && len(doc.Content) == 1 {
		for _, n := range doc.Content[0].Content {
			if n.Value == name {
				return strictyaml.Pos{Line: n.Line, Column: n.Column}
			}
		}
	}
	return strictyaml.Pos{Line: 1, Column: 1}
}

func line(err error) int {
	if e := (*strictyaml.Error)(nil); errors.As(err, &e) {
		return e.Line
	}
	return 0
}

const usage = `sekishod is the checkpoint: it registers attestations, signs and logs them, and
answers whether an artifact may be deployed.

  sekishod [serve]      serve; with no configuration at all, on loopback from
                        ./sekisho-data, with keys of its own for development
  sekishod fsck         check log, blobs and index against each other; the
                        service must be stopped
  sekishod reindex      make the index again from log and blobs; the service
                        must be stopped
  sekishod repair       show what of log/ is missing or damaged and can be made
                        again from itself and from blobs/; with --write, do it;
                        the service must be stopped

Flags (each also in the environment, as shown):
  --config FILE         configuration, YAML                 SEKISHOD_CONFIG
  --data DIR            data directory (./sekisho-data)     SEKISHOD_DATA
  --grpc-addr ADDR      gRPC (127.0.0.1:7443)               SEKISHOD_GRPC_ADDR
  --http-addr ADDR      JSON and tiles (127.0.0.1:7080)     SEKISHOD_HTTP_ADDR
  --plaintext           allow plain text on an address      SEKISHOD_PLAINTEXT
                        that is not loopback
  --write               repair: write what can be made again
  -o text|json          output of fsck, reindex and repair
  --version             print the version

Exit status: 0 clean; 1 could not start, or damage found; 2 usage.
`
