package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
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

// An endpoint is DATA/endpoint.json: what a service on this machine says about
// itself.
type endpoint struct {
	GRPC      string `json:"grpc"`
	HTTP      string `json:"http"`
	TLS       bool   `json:"tls"` // both ports speak TLS
	TokenFile string `json:"tokenFile"`
	LogOrigin string `json:"logOrigin"`
}

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
	server, local, err := a.find()
	if err != nil {
		return nil, err
	}
	token, err := a.token(local)
	if err != nil {
		return nil, err
	}
	config := client.Config{
		Server:    server,
		Token:     token,
		Plaintext: a.plaintext,
		State:     a.stateDir(),
		LogKey:    a.logKey,
		LogOrigin: local.LogOrigin,
		Now:       a.now,
		Warn:      a.warn,
	}
	if local.TLS || a.caFile != "" {
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

// find returns the server's address, and what the service on this machine says
// about itself if that is the one: its token is for nobody else.
func (a *app) find() (string, endpoint, error) {
	named := a.server
	if named == "" {
		named = a.getenv("SEKISHO_SERVER")
	}
	local, err := a.local()
	switch {
	case named != "" && (err != nil || named != local.GRPC):
		return named, endpoint{}, nil // whatever is, or is not, in the data directory
	case err != nil:
		return "", endpoint{}, err
	case local.GRPC == "":
		return defaultServer, endpoint{}, nil
	}
	return local.GRPC, local, nil
}

// local reads endpoint.json. One that was asked for must be there.
func (a *app) local() (endpoint, error) {
	dir := a.dataDir()
	asked := a.data != "" || a.getenv("SEKISHO_DATA") != ""
	raw, err := os.ReadFile(filepath.Join(dir, "endpoint.json"))
	if errors.Is(err, fs.ErrNotExist) && !asked {
		return endpoint{}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return endpoint{}, fmt.Errorf("no service is running from %s (it has no endpoint.json); start one with: sekishod --data %s", dir, dir)
	}
	if err != nil {
		return endpoint{}, err
	}
	var e endpoint
	if err := json.Unmarshal(raw, &e); err != nil {
		return endpoint{}, fmt.Errorf("reading %s: %w", filepath.Join(dir, "endpoint.json"), err)
	}
	return e, nil
}

func (a *app) dataDir() string {
	for _, dir := range []string{a.data, a.getenv("SEKISHO_DATA")} {
		if dir != "" {
			return dir
		}
	}
	return "sekisho-data"
}

func (a *app) token(local endpoint) (string, error) {
	path := a.tokenFile
	if path == "" {
		path = a.getenv("SEKISHO_TOKEN_FILE")
	}
	if path == "" {
		if token := a.getenv("SEKISHO_TOKEN"); token != "" {
			return token, nil
		}
		path = local.TokenFile
	}
	if path == "" {
		return "", nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the token: %w", err)
	}
	return strings.TrimSpace(string(raw)), nil
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
		_, local, err := a.find()
		if err != nil {
			return "", err
		}
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
