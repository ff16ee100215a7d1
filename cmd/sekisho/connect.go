package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sekisho-dev/sekisho/client"
	"github.com/sekisho-dev/sekisho/tlog"
)

// defaultServer is where sekishod listens unless it was told otherwise.
const defaultServer = "127.0.0.1:7443"

// call makes a command's work one that has a client and a deadline.
func (a *app) call(work func(ctx context.Context, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := a.checkOutput(cmd); err != nil {
			return err
		}
		c, err := a.connect()
		if err != nil {
			return err
		}
		defer c.Close() //nolint:errcheck // nothing is under way any more
		ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
		defer cancel()
		return work(ctx, c, args)
	}
}

func (a *app) connect() (*client.Client, error) {
	s, err := a.find()
	if err != nil {
		return nil, err
	}
	token, err := a.token(s)
	if err != nil {
		return nil, err
	}
	config := client.Config{
		Server:    s.addr,
		Unnamed:   s.named == "" && s.local.GRPC == "",
		Token:     token,
		Plaintext: a.plaintext,
		State:     a.stateDir(),
		LogKey:    a.logKey,
		LogOrigin: s.local.LogOrigin,
		Now:       a.now,
		Warn:      a.warn,
	}
	if s.local.TLS || a.caFile != "" {
		if config.TLS, err = a.authorities(); err != nil {
			return nil, err
		}
	}
	c, err := client.New(config)
	if err != nil && a.logKey != "" && errors.Is(err, tlog.ErrKey) {
		return nil, usageError{fmt.Errorf("--log-key %.200q: want NAME+HASH+BASE64, the verifierKey of 'sekisho log checkpoint -o json': %w", a.logKey, err)}
	}
	return c, err
}

// A service is where to ask.
type service struct {
	addr  string
	named string   // what named it; "" where nobody did
	local endpoint // what it says about itself, if that is to be believed
}

// find finds the service, once. One that nobody named is told of on stderr: whoever
// made the working directory may have meant another than whoever works in it.
func (a *app) find() (service, error) {
	if a.found != nil {
		return *a.found, nil
	}
	s, err := a.seek()
	if err != nil {
		return service{}, err
	}
	if s.named == "" {
		from := "the default address"
		if s.local.GRPC != "" {
			from = a.endpointFile()
		}
		a.note("using the service at %s (%s)", s.addr, from)
	}
	a.found = &s
	return s, nil
}

func (a *app) seek() (service, error) {
	server, by := a.setting(a.server, "--server", "SEKISHO_SERVER")
	data, dataBy := a.setting(a.data, "--data", "SEKISHO_DATA")
	local, err := openEndpoint(a.dataDir())
	missing := errors.Is(err, fs.ErrNotExist)
	if err == nil && data == "" && !client.Loopback(local.GRPC) {
		// It is not this machine's, so that nothing here shows whose it is.
		err = fmt.Errorf("it leads to %.200q, which is not this machine; if that is meant, name it with --server", local.GRPC)
	}
	switch {
	case server != "":
		if err != nil || local.GRPC != server {
			local = endpoint{} // whatever is, or is not, in the data directory
		}
		if own, _ := a.ownToken(); err != nil && !missing && own == "" {
			a.note("passed over %s: %v", a.endpointFile(), err)
		}
		return service{server, by, local}, nil
	case data != "" && missing:
		return service{}, fmt.Errorf("no service is running from %s (it has no endpoint.json); start one with: sekishod --data %[1]s", data)
	case data != "" && errors.Is(err, errNotServed):
		return service{}, fmt.Errorf("%s: %w; start one with: sekishod --data %s", a.endpointFile(), err, data)
	case data != "" && err != nil:
		return service{}, fmt.Errorf("%s is not believed: %w; mend that, or name the service with --server, and its token with --token-file", a.endpointFile(), err)
	case data != "":
		return service{local.GRPC, dataBy, local}, nil
	case err == nil:
		return service{local.GRPC, "", local}, nil
	case !missing:
		a.note("passed over %s: %v", a.endpointFile(), err)
	}
	return service{addr: defaultServer}, nil
}

// setting is a flag's value, or else an environment variable's, and which of them it is.
func (a *app) setting(flag, flagName, env string) (value, name string) {
	if flag != "" {
		return flag, flagName
	}
	if v := a.getenv(env); v != "" {
		return v, env
	}
	return "", ""
}

func (a *app) dataDir() string {
	if dir, _ := a.setting(a.data, "--data", "SEKISHO_DATA"); dir != "" {
		return dir
	}
	return "sekisho-data"
}

// endpointFile is the file of the data directory, as it stands in a sentence.
func (a *app) endpointFile() string {
	path := filepath.Join(a.dataDir(), "endpoint.json")
	if !filepath.IsAbs(path) {
		path = "." + string(filepath.Separator) + path
	}
	return path
}

// token is the caller's own, or else that of the service's data directory. The
// caller's own is for a service that they named: whatever else is found in the
// working directory, or has a port on this machine, may be anybody's. It is not
// replaced then, because another token may do what this one must not.
func (a *app) token(s service) (string, error) {
	own, read := a.ownToken()
	switch {
	case own == "":
		return s.local.token, nil
	case s.named == "":
		a.note("the token of %s is not sent there, because nobody has named that service: add --server %s", own, s.addr)
		return "", nil
	}
	return read()
}

// ownToken says which setting holds the caller's own token, "" for none, and reads it.
func (a *app) ownToken() (setting string, read func() (string, error)) {
	if path, by := a.setting(a.tokenFile, "--token-file", "SEKISHO_TOKEN_FILE"); path != "" {
		return by, func() (string, error) {
			raw, err := os.ReadFile(path)
			if err != nil {
				return "", fmt.Errorf("reading the token: %w", err)
			}
			return strings.TrimSpace(string(raw)), nil
		}
	}
	token, by := a.setting("", "", "SEKISHO_TOKEN")
	return by, func() (string, error) { return token, nil }
}

// stateDir is where the logs that were met are remembered.
func (a *app) stateDir() string {
	if dir := a.getenv("SEKISHO_STATE_DIR"); dir != "" {
		return dir
	}
	if dir := a.getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "sekisho")
	}
	home := a.getenv("HOME")
	if home == "" {
		a.warn("there is no place to remember the log in (set SEKISHO_STATE_DIR): a log that is rolled back will not be noticed next time")
		return ""
	}
	return filepath.Join(home, ".local", "state", "sekisho")
}

// authorities are those whose certificates are believed: of --ca-file, or the system's.
func (a *app) authorities() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS13}
	if a.caFile == "" {
		return config, nil
	}
	raw, err := os.ReadFile(a.caFile)
	if err != nil {
		return nil, fmt.Errorf("reading --ca-file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(raw) {
		return nil, fmt.Errorf("reading --ca-file: no certificate in %s; want PEM, -----BEGIN CERTIFICATE-----", a.caFile)
	}
	return config, nil
}

// httpPort is the base URL of the port where the log's tiles are.
func (a *app) httpPort(flag string) (string, error) {
	if flag == "" {
		s, err := a.find()
		if err != nil {
			return "", err
		}
		local := s.local
		if local.HTTP == "" {
			return "", errors.New("where the log's tiles are is not known: give --log-url http://HOST:PORT, the service's HTTP port")
		}
		flag = "http://" + local.HTTP
		if local.TLS {
			flag = "https://" + local.HTTP
		}
	}
	u, err := url.Parse(flag)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", fmt.Errorf("--log-url %.200q: want http://HOST:PORT or https://HOST:PORT", flag)
	}
	return strings.TrimSuffix(flag, "/"), nil
}
