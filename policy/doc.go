// Package policy decides: may this artifact pass?
//
// [Decide] is a pure function of three values. The [Policy] says what is
// expected, and is a YAML document that [Parse] reads and refuses as a whole if
// anything in it is unknown, empty or ambiguous. The [Question] names an artifact
// and can only add to what the policy demands. The [Evidence] is what is known
// about the artifact, after somebody else has applied the trust root to it. There
// is no context, no clock, no I/O and no error: a refusal is an answer, and
// whatever is not an allowance is a refusal, the zero [Decision] included.
//
// Three rules make the answer worth having, and everything here serves them.
//
// Default deny. Every rule demands believed provenance of at least L1; no policy,
// no environment, no rule, no evidence and a panic all refuse. External parameters
// that nobody stated an expectation for refuse too.
//
// One candidate satisfies everything. The provenance that allows meets all demands
// itself: a level is never taken from one attestation and a source from another.
//
// Latest counts. Of the results of one type by one signer only the latest counts,
// by the time it claims, believed no later than the time it is proven by. Where
// that leaves several, by a tie or because a time is absent, all of them must
// satisfy: a good one never hides a bad one. A revoked attestation keeps its place
// and fails there, or revoking the newest would bring back the one before it. The
// price is paid in availability and is deliberate: whoever can sign as a believed
// signer can also withdraw what that signer said before. Provenance is no result:
// one that is good is enough, whatever other provenance there is, or whoever shares
// a builder with somebody could stop the other's deployments. (Design, sections 5
// and 9; decisions/0005; SLSA v1.2, verifying artifacts.)
package policy
