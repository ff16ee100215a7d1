// Package client asks the checkpoint, and believes only what it can check.
//
// A [Client] is the API in Go, with the checks that a caller should make and
// seldom does. It believes three things: its own clock, the key of the log (met
// once, or pinned), and what it remembers. All else is proven to it:
//
//   - every checkpoint is signed by the log's key, is no smaller than the largest
//     one known when the question was asked, and is consistent with it;
//   - every receipt's inclusion proof leads to such a checkpoint;
//   - every attestation that was registered or fetched is the one that its leaf
//     commits to: the leaf is rebuilt from envelope, signature and key, and the
//     signature is verified again;
//   - every verdict is about the artifact that was asked about, from a log at
//     least as long as the longest seen, not expired, and does not contradict
//     itself. What is not ALLOW is DENY.
//
// Its token it shows to nobody before: on every connection the log is recognised
// first, and what is public is asked without.
//
// What does not pass is a [Refusal], never an answer. What the service refused is
// an [Error]. Both work with errors.Is and the constants of type [Reason].
//
// Lists ([Client.List], [Client.Components], [Client.Dependents]) are what the
// index says: a list cannot prove that it is complete. Fetch what matters with
// [Client.Get]. Nothing here decides whom to believe, and nothing dereferences a
// URL that it was told.
package client
