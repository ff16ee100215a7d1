package vaulttest

import "testing"

// TestStart seals and unseals a Vault that signs.
func TestStart(t *testing.T) {
	s := Start(t)
	s.Key(t, "k", "ecdsa-p256")
	s.Seal(t)
	if _, err := s.do("GET", "transit/keys/k", nil); err == nil {
		t.Fatal("a sealed Vault answered")
	}
	s.Unseal(t)
	token := s.TokenFor(t, `path "transit/keys/k" { capabilities = ["read"] }`)
	weak := &Server{Address: s.Address, Token: token}
	if _, err := weak.do("GET", "transit/keys/k", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := weak.do("DELETE", "transit/keys/k", nil); err == nil {
		t.Fatal("the policy bounds nothing")
	}
}
