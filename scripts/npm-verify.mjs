// Verifies a bundle with npm's sigstore, from trusted_root.json and a key alone:
//   node npm-verify.mjs BUNDLE TRUSTED-ROOT KEY
// The packages are those of the directory that this file was copied to.
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { bundleFromJSON } from '@sigstore/bundle'
import { TrustedRoot } from '@sigstore/protobuf-specs'
import { toSignedEntity, toTrustMaterial, Verifier } from '@sigstore/verify'

const [bundlePath, rootPath, keyPath] = process.argv.slice(2)
const bundle = bundleFromJSON(JSON.parse(readFileSync(bundlePath)))
const root = TrustedRoot.fromJSON(JSON.parse(readFileSync(rootPath)))
const key = createPublicKey(readFileSync(keyPath))
const material = toTrustMaterial(root, () => ({ publicKey: key, validFor: () => true }))
try {
  new Verifier(material, { tlogThreshold: 1, tsaThreshold: 1, ctlogThreshold: 0 }).verify(toSignedEntity(bundle))
  console.log('Verified OK')
} catch (err) {
  console.error('not verified:', err.message)
  process.exit(1)
}
