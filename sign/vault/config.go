package vault

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
	"unicode"
)

// scheme is cosign's for the same keys.
const scheme = "hashivault://"

// Defaults of [Config].
const (
	DefaultMount    = "transit"
	DefaultTokenEnv = "VAULT_TOKEN"
	DefaultTimeout  = 10 * time.Second
)

// A Config says which key to sign with, and how to reach it. It holds no secret:
// the token is in a file or in the environment. Vault's own environment variables
// are not read, but for the one that TokenEnv names.
type Config struct {
	URI        string        // hashivault://KEYNAME
	Address    string        // https://host:port; http:// on loopback only, as of a Vault Agent
	Mount      string        // where Transit is mounted; [DefaultMount] if empty
	TokenFile  string        // holds the token; read again when Vault refuses it; or
	TokenEnv   string        // the environment variable that does; [DefaultTokenEnv] if both are empty
	Namespace  string        // of Vault Enterprise; "" for none
	CAFile     string        // PEM of who issued Vault's certificate; the system's if empty
	KeyVersion int           // the version to sign with; 0 for the newest when opening
	Timeout    time.Duration // for one request, of which a signature makes at most 4; [DefaultTimeout] if 0
}

// String names the key, and nothing that an address could hide.
func (c Config) String() string { return fmt.Sprintf("%s version %d", c.URI, c.KeyVersion) }

// names are Transit's: \w(([\w-.]+)?\w)? in its own words.
var names = regexp.MustCompile(`\A\w([\w.-]*\w)?\z`)

// validate returns the key's name, or all that is wrong with the configuration.
func (c *Config) validate() (name string, err error) {
	var errs []error
	name, ok := strings.CutPrefix(c.URI, scheme)
	if !ok || !names.MatchString(name) {
		errs = append(errs, fmt.Errorf("uri %.100q: want %sNAME, the name of a Transit key", c.URI, scheme))
	}
	if c.Mount == "" {
		c.Mount = DefaultMount
	}
	for part := range strings.SplitSeq(c.Mount, "/") {
		if !names.MatchString(part) {
			errs = append(errs, fmt.Errorf("mount %.100q: want the path of a Transit engine, such as %s", c.Mount, DefaultMount))
			break
		}
	}
	if c.TokenFile == "" && c.TokenEnv == "" {
		c.TokenEnv = DefaultTokenEnv
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Timeout < 0 || c.KeyVersion < 0 {
		errs = append(errs, errors.New("timeout and key version must not be negative"))
	}
	return name, errors.Join(append(errs, checkAddress(c.Address))...)
}

// checkAddress refuses an address over which the token would travel in the
// clear. The address is not quoted: it may hold what it should not.
func checkAddress(address string) error {
	if address == "" {
		return errors.New("no address of Vault: want https://HOST:PORT")
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("address of Vault: want https://HOST:PORT and no more")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("address of Vault: scheme %.20q on %.100q would send the token in the clear; want https://, or http:// to a Vault Agent on this host", u.Scheme, u.Host)
}

func loopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

// token reads the token from where the configuration says it is.
func (c *Config) token() (string, error) {
	token, from := os.Getenv(c.TokenEnv), "environment variable "+c.TokenEnv
	if c.TokenFile != "" {
		raw, err := os.ReadFile(c.TokenFile)
		if err != nil {
			return "", fmt.Errorf("reading Vault token: %w", err)
		}
		token, from = string(raw), c.TokenFile
	}
	token = strings.TrimSpace(token)
	if token == "" {
		return "", fmt.Errorf("no Vault token in %s", from)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return !unicode.IsPrint(r) || r == ' ' }) {
		return "", fmt.Errorf("the Vault token in %s is more than one word, or not text", from)
	}
	return token, nil
}
