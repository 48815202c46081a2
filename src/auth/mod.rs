//! Authentication as values: exchanges, verifiers and the rules that choose a method.
//!
//! Pure: nonces, salts and addresses come in as arguments. Secrets never print and are compared in
//! constant time.

pub mod hba;
pub mod md5;
pub mod scram;
pub mod secret;
pub mod verifier;

pub use scram::keys::ScramKeys;
pub use secret::Secret;
pub use verifier::Verifier;
