// Package identity says who is calling: by bearer token today, by OIDC and mTLS
// next. It only names the caller; what a caller may do is server/authz.go's, and
// whose statements it may have signed is the trust root's.
package identity

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
)

// ErrUnauthenticated: no credential, or one that is not known.
var ErrUnauthenticated = errors.New("not authenticated")

// A Role is what a caller may do, coarsely.
type Role string

// The roles.
const (
	Builder  Role = "builder"  // hands in attestations and SBOMs
	Deployer Role = "deployer" // asks whether artifacts may be deployed
	Auditor  Role = "auditor"  // reads everything
	Admin    Role = "admin"    // all of it
)

// ParseRole reads a role's name.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Builder, Deployer, Auditor, Admin:
		return r, nil
	}
	return "", fmt.Errorf("unknown role %q: builder, deployer, auditor or admin", s)
}

// A Caller is somebody who has been authenticated.
type Caller struct {
	Issuer  string // "token:" and the token's name, as trust roots spell it
	Subject string
	Roles   []Role
}

// maxToken bounds a credential before anything looks into it.
const maxToken = 4096

// Tokens authenticates bearer tokens. Only hashes are kept.
type Tokens struct {
	callers map[[sha256.Size]byte]Caller
}

// NewTokens returns an authenticator that knows no token.
func NewTokens() *Tokens { return &Tokens{callers: map[[sha256.Size]byte]Caller{}} }

// Add makes a token known. Tokens of fewer than 16 characters are refused, and
// so is one token for two callers.
func (t *Tokens) Add(token string, c Caller) error {
	token = strings.TrimSpace(token)
	if len(token) < 16 || len(token) > maxToken {
		return fmt.Errorf("token of %s/%s has %d characters, want 16 to %d", c.Issuer, c.Subject, len(token), maxToken)
	}
	key := sha256.Sum256([]byte(token))
	if other, ok := t.callers[key]; ok {
		return fmt.Errorf("%s/%s and %s/%s have the same token", c.Issuer, c.Subject, other.Issuer, other.Subject)
	}
	t.callers[key] = c
	return nil
}

// Authenticate names the caller who sent an authorization header. Looking a
// token up by its hash takes the same time for a near miss as for any other.
func (t *Tokens) Authenticate(authorization string) (Caller, error) {
	if authorization == "" {
		return Caller{}, fmt.Errorf("%w: send a token (--token-file, SEKISHO_TOKEN_FILE or SEKISHO_TOKEN)", ErrUnauthenticated)
	}
	scheme, token, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || len(token) > maxToken {
		return Caller{}, fmt.Errorf("%w: the authorization header is not \"Bearer TOKEN\"", ErrUnauthenticated)
	}
	c, ok := t.callers[sha256.Sum256([]byte(token))]
	if !ok {
		return Caller{}, fmt.Errorf("%w: the token is not known here", ErrUnauthenticated)
	}
	return c, nil
}
