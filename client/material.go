package client

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"iter"
	"strings"

	sekishov1 "github.com/sekisho-dev/sekisho/proto/sekisho/v1"
)

// materials yields every key and certificate from which a leaf might be rebuilt:
// the one that is served beside the bundle, those in it, then those that the
// service publishes, then those in its trust root. Where one comes from proves nothing and need not: the leaf in the
// log has only one, and is signed for by the log.
func (c *Client) materials(ctx context.Context, resp *sekishov1.GetAttestationResponse) iter.Seq2[material, error] {
	return func(yield func(material, error) bool) {
		for _, m := range append(fromPEM([]byte(resp.GetPublicKey())), materialsIn(resp.GetBundle())...) {
			if !yield(m, nil) {
				return
			}
		}
		keys, err := c.trust.ListKeys(ctx, &sekishov1.ListKeysRequest{})
		if err != nil {
			yield(material{}, err)
			return
		}
		for _, k := range keys.GetKeys() {
			for _, m := range fromPEM([]byte(k.GetPem())) {
				if !yield(m, nil) {
					return
				}
			}
		}
		root, err := c.trust.GetTrustRoot(ctx, &sekishov1.GetTrustRootRequest{})
		if err != nil {
			return // there may be none, or it may not be ours to read
		}
		for _, m := range fromYAML(root.GetDocument()) {
			if !yield(m, nil) {
				return
			}
		}
	}
}

// Limits on looking for keys in a bundle.
const (
	maxBundleDepth = 24
	maxKeyText     = 64 << 10
)

// materialsIn finds everything in a JSON document that is a key or certificate: in
// base64, as DER or PEM, also within JSON that is in base64, as log entries are.
// Bundles v0.1 to v0.3, with entries of five kinds, keep them in a dozen places.
func materialsIn(doc []byte) []material {
	var v any
	if json.Unmarshal(doc, &v) != nil {
		return nil
	}
	return found(v, 0)
}

func found(v any, depth int) (ms []material) {
	if depth > maxBundleDepth {
		return nil
	}
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			ms = append(ms, found(e, depth+1)...)
		}
	case []any:
		for _, e := range v {
			ms = append(ms, found(e, depth+1)...)
		}
	case string:
		if raw, err := base64.StdEncoding.DecodeString(v); err == nil && len(v) <= maxKeyText {
			var inner any
			if len(raw) > 0 && raw[0] == '{' && json.Unmarshal(raw, &inner) == nil {
				return found(inner, depth+1)
			}
			ms = append(fromPEM(raw), fromDER(raw)...)
		}
	}
	return ms
}

// fromDER reads a certificate or a SubjectPublicKeyInfo.
func fromDER(der []byte) []material {
	if len(der) == 0 || der[0] != 0x30 { // an ASN.1 SEQUENCE
		return nil
	}
	if cert, err := x509.ParseCertificate(der); err == nil {
		return []material{{cert.RawSubjectPublicKeyInfo, cert.Raw}}
	}
	if _, err := x509.ParsePKIXPublicKey(der); err == nil {
		return []material{{spki: der}}
	}
	return nil
}

// fromPEM reads certificates and public keys.
func fromPEM(text []byte) (ms []material) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return ms
		}
		ms = append(ms, fromDER(block.Bytes)...)
	}
}

// fromYAML finds the public keys in a trust root, whichever way YAML quotes them.
func fromYAML(doc []byte) (ms []material) {
	const begin, end = "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----"
	rest := string(doc)
	for {
		_, after, ok := strings.Cut(rest, begin)
		if !ok {
			return ms
		}
		body, after, ok := strings.Cut(after, end)
		if !ok {
			return ms
		}
		body = strings.Join(strings.Fields(strings.ReplaceAll(body, `\n`, " ")), "")
		if der, err := base64.StdEncoding.DecodeString(body); err == nil {
			ms = append(ms, fromDER(der)...)
		}
		rest = after
	}
}
