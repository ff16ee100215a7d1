package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/sekisho-dev/sekisho/attest"
	"github.com/sekisho-dev/sekisho/internal/durable"
	"github.com/sekisho-dev/sekisho/server/identity"
	"github.com/sekisho-dev/sekisho/sign"
	"github.com/sekisho-dev/sekisho/sign/keyfile"
	"github.com/sekisho-dev/sekisho/sign/vault"
	"github.com/sekisho-dev/sekisho/tlog"
)

// openStatements opens the key that signs what callers hand in.
func openStatements(ctx context.Context, c *Config, getenv func(string) string) (sign.Signer, error) {
	k := c.Statements
	switch {
	case k.URI == "":
		return keyfile.OpenOrCreate(c.path("keys", "statements.pem"), attest.ECDSAP256SHA256)
	case strings.HasPrefix(k.URI, "hashivault://"):
		return vault.Open(ctx, vault.Config{
			URI:        k.URI,
			Address:    first(k.Vault.Address, getenv("VAULT_ADDR")),
			Mount:      k.Vault.Mount,
			TokenFile:  k.Vault.TokenFile,
			TokenEnv:   k.Vault.TokenEnv,
			Namespace:  k.Vault.Namespace,
			CAFile:     k.Vault.CAFile,
			KeyVersion: k.Vault.KeyVersion,
		})
	}
	return keyfile.Open(k.URI)
}

// openLogKey opens the log's key, making it at the first start. The origin is
// part of the key and cannot be changed afterwards.
func openLogKey(c *Config) (note.Signer, *tlog.Verifier, error) {
	path := c.path("keys", "log.key")
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		skey, _, err := tlog.GenerateKey(c.Log.Origin)
		if err != nil {
			return nil, nil, err
		}
		raw = []byte(skey + "\n")
		if err := durable.WriteFile(path, raw, 0o600); err != nil {
			return nil, nil, err
		}
	} else if err != nil {
		return nil, nil, err
	}
	signer, v, err := tlog.NewSigner(strings.TrimSpace(string(raw)))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if c.Log.Origin != "" && v.Origin() != c.Log.Origin {
		return nil, nil, fmt.Errorf("log.origin is %q, and this log was made as %q: an origin cannot be changed; start a new data directory", c.Log.Origin, v.Origin())
	}
	return signer, v, nil
}

// adminSubject and adminIssuer are the development admin, as trust roots spell it.
const (
	adminIssuer  = "token:admin"
	adminSubject = "admin"
)

// openTokens makes the development admin's token at the first start, and reads
// the tokens that the configuration names.
func openTokens(c *Config) (*identity.Tokens, error) {
	path := c.path("admin.token")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := durable.WriteFile(path, []byte(rand.Text()+"\n"), 0o600); err != nil {
			return nil, err
		}
	}
	tokens := identity.NewTokens()
	add := func(path string, caller identity.Caller) error {
		raw, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("token of %s/%s: %w; put 16 characters or more there that nobody guesses: openssl rand -hex 32 > FILE", caller.Issuer, caller.Subject, err)
		}
		return tokens.Add(string(raw), caller)
	}
	errs := []error{add(path, identity.Caller{Issuer: adminIssuer, Subject: adminSubject, Roles: []identity.Role{identity.Admin}})}
	for _, t := range c.Tokens {
		caller := identity.Caller{Issuer: "token:" + t.Name, Subject: t.Subject}
		for _, r := range t.Roles {
			role, err := identity.ParseRole(r)
			errs = append(errs, err)
			caller.Roles = append(caller.Roles, role)
		}
		errs = append(errs, add(t.File, caller))
	}
	return tokens, errors.Join(errs...)
}
