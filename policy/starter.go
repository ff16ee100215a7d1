package policy

import _ "embed"

//go:embed starter.yaml
var starter []byte

// Starter returns the policy that a service without one begins with: level,
// repository and ref come from the question, and the builder must be one that
// the trust root names.
func Starter() []byte { return starter }
