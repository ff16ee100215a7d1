package server

import (
	"slices"

	"github.com/sekisho-dev/sekisho/server/identity"
)

// everyone marks a method that needs no credential: what it returns is meant to
// be checked by strangers, and proves itself.
const everyone identity.Role = "everyone"

var (
	anybody = []identity.Role{everyone}
	writers = []identity.Role{identity.Builder, identity.Admin}
	readers = []identity.Role{identity.Builder, identity.Deployer, identity.Auditor, identity.Admin}
	askers  = []identity.Role{identity.Deployer, identity.Auditor, identity.Admin}
)

// access is the one authorization table: who may call what. A method that is
// not in it is denied, and a test walks the service descriptors so that none is
// forgotten.
var access = map[string][]identity.Role{
	"/sekisho.v1.AttestationService/CreateAttestation": writers,
	"/sekisho.v1.AttestationService/GetAttestation":    readers,
	"/sekisho.v1.AttestationService/ListAttestations":  readers,

	"/sekisho.v1.AdmissionService/EvaluateDeployment":       askers,
	"/sekisho.v1.AdmissionService/BatchEvaluateDeployments": askers,
	"/sekisho.v1.AdmissionService/ExplainArtifact":          askers,

	"/sekisho.v1.SbomService/UploadSbom":     writers,
	"/sekisho.v1.SbomService/GetSbom":        readers,
	"/sekisho.v1.SbomService/ListComponents": readers,
	"/sekisho.v1.SbomService/ListDependents": readers,

	"/sekisho.v1.LogService/GetCheckpoint":       anybody,
	"/sekisho.v1.LogService/GetInclusionProof":   anybody,
	"/sekisho.v1.LogService/GetConsistencyProof": anybody,

	"/sekisho.v1.TrustService/GetTrustedRoot": anybody,
	"/sekisho.v1.TrustService/ListKeys":       anybody,
	"/sekisho.v1.TrustService/GetTrustRoot":   readers,
	"/sekisho.v1.TrustService/GetPolicy":      readers,

	"/grpc.health.v1.Health/Check": anybody,
	"/grpc.health.v1.Health/List":  anybody,
	"/grpc.health.v1.Health/Watch": anybody,

	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      anybody,
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": anybody,
}

// allowed reports whether a caller with these roles may call a method.
func allowed(method string, roles []identity.Role) bool {
	for _, r := range access[method] {
		if r == everyone || slices.Contains(roles, r) {
			return true
		}
	}
	return false
}
