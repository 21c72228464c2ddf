//! The operations that the core needs from its host. Nothing else in the core reads a clock, waits or uses a network.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::algorithm::Algorithm;
use crate::crypto::sha256;
use crate::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable, is_within};
use crate::limits;

/// The environment that the flows run in: a Worker, a JavaScript module, a server, a test with a virtual clock.
///
/// Futures with nothing to wait for must be ready at the first poll: a flow that does not wait then completes at once.
///
/// A server with fixed keys needs little more than a clock:
///
/// ```
/// use core::fmt;
/// use std::time::{SystemTime, UNIX_EPOCH};
///
/// use edgeward::host::{Host, Level, Spawn};
/// use edgeward::io::{EdgeEntry, Incoming, Outgoing, UnixTime, Unreachable};
/// use edgeward::jwk::KeyJob;
///
/// struct Server;
///
/// impl Host for Server {
///     fn now(&self) -> UnixTime {
///         let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
///         UnixTime::from_secs(elapsed.as_secs().cast_signed())
///     }
///     async fn send(&self, _request: Outgoing) -> Result<Incoming, Unreachable> {
///         Err(Unreachable::Network) // an HTTP client would go here
///     }
///     async fn sleep(&self, _millis: u32) {}
///     async fn edge_get(&self, _key: String) -> Option<Vec<u8>> {
///         None
///     }
///     async fn edge_put(&self, _entry: EdgeEntry) {}
///     fn log(&self, level: Level, line: &dyn fmt::Display) {
///         eprintln!("{level:?}: {line}");
///     }
/// }
///
/// impl Spawn<KeyJob> for Server {
///     async fn spawn(&self, job: KeyJob) {
///         job.run(self).await; // a server would spawn a task, so that the job outlives a cancelled request
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use edgeward::{Verifier, jwt::{Algorithm, Policy}, testing::Issuer};
/// let issuer = Issuer::new("https://issuer.example.com/");
/// let policy = Policy::access_token(issuer.url(), ["https://api.example.com"], &[Algorithm::Rs256])?;
/// let verifier = Verifier::new(policy, issuer.key_cache());
/// let token = issuer.access_token("https://api.example.com", Server.now()).sign();
/// assert!(matches!(verifier.verify_if_ready(&token, &Server), Some(Ok(_))));
/// # Ok(())
/// # }
/// ```
pub trait Host {
    /// Returns the current time.
    fn now(&self) -> UnixTime;

    /// Sends a request once and reads the whole response, within the request's limits. Redirects are not followed.
    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Incoming, Unreachable>>;

    /// Waits for `millis` milliseconds.
    fn sleep(&self, millis: u32) -> impl Future<Output = ()>;

    /// Looks up a key in a cache that all instances of the program share. `None` if there is no such cache, or if it does not respond
    /// within [`EDGE_TIMEOUT_MS`](crate::limits::EDGE_TIMEOUT_MS).
    fn edge_get(&self, key: String) -> impl Future<Output = Option<Vec<u8>>>;

    /// Stores an entry in that cache. Failures are ignored: an entry only saves other instances a request.
    fn edge_put(&self, entry: EdgeEntry) -> impl Future<Output = ()>;

    /// Verifies a signature of ES256, ES384 or EdDSA, which the core leaves to the platform. By default, none can be verified.
    fn verify_signature(&self, check: SignatureCheck) -> impl Future<Output = SignatureVerdict> {
        drop(check);
        core::future::ready(SignatureVerdict::Unsupported)
    }

    /// Decrypts the content of a token with a private key, which the core leaves to the platform: RSAES-OAEP and AES-GCM (RFC 7518 §4.3
    /// and §5.3). If the encrypted key cannot be decrypted, or has another length, a random one must take its place, so that both failures
    /// look alike (RFC 7516 §11.5). By default, nothing can be decrypted.
    fn decrypt(&self, request: DecryptRequest) -> impl Future<Output = Result<Vec<u8>, DecryptError>> {
        drop(request);
        core::future::ready(Err(DecryptError::Unsupported))
    }

    /// Signs a message with a private key, which the core leaves to the platform. By default, nothing can be signed.
    fn sign(&self, request: SignRequest) -> impl Future<Output = Result<Vec<u8>, SignError>> {
        drop(request);
        core::future::ready(Err(SignError::Unsupported))
    }

    /// Writes a line to the log. It never contains a secret, a token, a code or a cookie. [`RecentLines`] tells repeated ones.
    fn log(&self, level: Level, line: &dyn fmt::Display);
}

/// A signature to verify. Its length is right, and its numbers are in the range of the curve; whether the key is on its curve is not known.
pub struct SignatureCheck {
    /// [`Es256`](Algorithm::Es256), [`Es384`](Algorithm::Es384) or [`EdDsa`](Algorithm::EdDsa).
    pub algorithm: Algorithm,
    /// The public key: an uncompressed point (SEC 1 §2.3.3), or the 32 octets of an Ed25519 key (RFC 8032 §5.1.2).
    pub key: Vec<u8>,
    /// The signed text, which is ASCII.
    pub message: String,
    /// The signature: `r` and `s`, or `R` and `S`, one after the other (RFC 7518 §3.4, RFC 8032 §5.1.6).
    pub signature: Vec<u8>,
}

impl fmt::Debug for SignatureCheck {
    /// Omits message and signature: they are a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignatureCheck").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// A host's verdict on a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureVerdict {
    /// The signature is genuine.
    Valid,
    /// The signature is not genuine.
    Invalid,
    /// The key is not a point of its curve.
    KeyRefused,
    /// The platform cannot verify signatures of this algorithm.
    Unsupported,
}

/// The encrypted content of a token.
pub struct DecryptRequest {
    /// The key management algorithm: `RSA-OAEP`, or with `-256`, `-384` or `-512`.
    pub algorithm: &'static str,
    /// The content encryption algorithm: `A128GCM` or `A256GCM`.
    pub encryption: &'static str,
    /// The private key: a JWK without any but the required members, as a JSON text.
    pub key: String,
    /// The encrypted key of the content.
    pub encrypted_key: Vec<u8>,
    /// The initialization vector of 12 bytes, the encrypted content, and the authentication tag of 16 bytes.
    pub content: Vec<u8>,
    /// The additional authenticated data, which is ASCII.
    pub aad: String,
}

impl fmt::Debug for DecryptRequest {
    /// Omits key and content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptRequest").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why a host returns no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecryptError {
    /// The content was not encrypted with this key, or was altered.
    Failed,
    /// The key's numbers are no key of its type.
    KeyRefused,
    /// The platform cannot decrypt.
    Unsupported,
}

impl fmt::Display for DecryptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "the content cannot be decrypted",
            Self::KeyRefused => "the platform refuses the private key",
            Self::Unsupported => "the platform cannot decrypt",
        })
    }
}

impl core::error::Error for DecryptError {}

/// A message to sign.
pub struct SignRequest {
    /// The algorithm; the key fits it.
    pub algorithm: Algorithm,
    /// The private key: a JWK without any but the required members, as a JSON text.
    pub key: String,
    /// The message, which is ASCII.
    pub message: String,
}

impl fmt::Debug for SignRequest {
    /// Omits key and message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignRequest").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

/// Why a host returns no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignError {
    /// The key's numbers are no key of its type.
    KeyRefused,
    /// The platform cannot sign with this algorithm.
    Unsupported,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KeyRefused => "the platform refuses the private key",
            Self::Unsupported => "the platform cannot sign with this algorithm",
        })
    }
}

impl core::error::Error for SignError {}

/// The severity of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Something that calls for no action.
    Information,
    /// Something to look into.
    Warning,
    /// Something that fails.
    Error,
}

/// The log lines of the last minute, so that a host need not repeat one with every request. Bounded: the oldest are evicted.
///
/// ```
/// use edgeward::host::RecentLines;
/// use edgeward::io::UnixTime;
///
/// let mut recent = RecentLines::default();
/// let mut admits = |line: &str, second| recent.admits(line, UnixTime::from_secs(second));
/// assert!(admits("jwks_unreachable: https://a.example/keys answered 503", 0));
/// assert!(!admits("jwks_unreachable: https://a.example/keys answered 503", 59));
/// assert!(admits("jwks_unreachable: https://b.example/keys answered 503", 59));
/// assert!(admits("jwks_unreachable: https://a.example/keys answered 503", 60));
/// // The request that it happened to does not matter.
/// assert!(admits("state_invalid: the login is unknown (request 1)", 60));
/// assert!(!admits("state_invalid: the login is unknown (request 2)", 60));
/// ```
#[derive(Debug, Default)]
pub struct RecentLines(Vec<([u8; 32], UnixTime)>);

impl RecentLines {
    /// Returns whether the line is to be written: it was not in the last minute, whatever its request.
    pub fn admits(&mut self, line: &str, now: UnixTime) -> bool {
        let cause = line.split(REQUEST).next().unwrap_or_default();
        let hash = sha256(cause.as_bytes());
        let is_recent = |at: UnixTime| is_within(limits::LOG_REPEAT_MS, at.millis(), now.millis());
        self.0.retain(|(_, at)| is_recent(*at));
        if self.0.iter().any(|(one, _)| *one == hash) {
            return false;
        }
        if self.0.len() >= limits::MAX_RECENT_LINES {
            self.0.remove(0);
        }
        self.0.push((hash, now));
        true
    }
}

/// Begins the part of a line that names the request.
pub(crate) const REQUEST: &str = " (request ";

/// Runs jobs of one type in the background.
pub trait Spawn<J> {
    /// Starts a job, which must run to its end even if the request that started it is cancelled: other requests may rely on it. The
    /// future is ready when the job has ended, or when that cannot be known any more; dropping it must not stop the job.
    fn spawn(&self, job: J) -> impl Future<Output = ()>;
}

/// Gets a JSON document. If the network fails, calls `before_retry` and tries once more at once: one reset connection must not cost every
/// request a pause.
pub(crate) async fn get_json(
    host: &impl Host,
    request: Outgoing,
    before_retry: impl FnOnce(),
) -> Result<Incoming, Unreachable> {
    match host.send(request.clone()).await {
        Err(Unreachable::Network) => {
            before_retry();
            host.send(request).await
        }
        response => response,
    }
}
