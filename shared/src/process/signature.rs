//! Signs and verifies access tokens for jsonwebtoken with ring's Ed25519 (RFC 8032, RFC 8037), which TLS brings anyway;
//! the library's own choices would add the code for RSA and four more curves.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Signer};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| signer(*algorithm, key),
    verifier_factory: |algorithm, key| verifier(*algorithm, key),
    // For JWKs of other parties; ours is written by hand.
    key_utils: KeyUtils::new_unimplemented(),
};

/// The keys that jsonwebtoken signs and verifies with, and the public key, out of the private key's 32 bytes.
pub(crate) fn keys(seed: &[u8; 32]) -> (EncodingKey, DecodingKey, [u8; 32]) {
    // Only an earlier call can have installed a provider, and it was this one.
    _ = PROVIDER.install_default();
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a key");
    let public = pair.public_key().as_ref().try_into().expect("an Ed25519 public key has 32 bytes");
    (EncodingKey::from_ed_der(seed), DecodingKey::from_ed_der(pair.public_key().as_ref()), public)
}

struct Private(Ed25519KeyPair);

struct Public(UnparsedPublicKey<Vec<u8>>);

fn signer(algorithm: Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    only_ours(algorithm)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(key.as_bytes()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(Box::new(Private(pair)))
}

fn verifier(algorithm: Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    only_ours(algorithm)?;
    Ok(Box::new(Public(UnparsedPublicKey::new(&ED25519, key.try_get_as_bytes()?.to_vec()))))
}

fn only_ours(algorithm: Algorithm) -> Result<()> {
    if algorithm == Algorithm::EdDSA { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

impl Signer<Vec<u8>> for Private {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}

impl JwtSigner for Private {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

impl signature::Verifier<Vec<u8>> for Public {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        self.0.verify(message, signature).map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for Public {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}
