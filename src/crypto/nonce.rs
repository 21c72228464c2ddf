//! Nonces that need no storage: each is derived from a secret and a period of time.

use alloc::string::String;
use alloc::vec::Vec;

use hkdf::Hkdf;
use sha2::Sha256;

use super::equal_in_constant_time;
use crate::base64url;

/// Makes nonces with the first of its secrets and recognizes those of any. Without secrets, it recognizes none.
#[derive(Default)]
pub(crate) struct TimedNonces(Vec<Hkdf<Sha256>>);

/// Bytes of a nonce: more than can be guessed.
const NONCE_BYTES: usize = 18;

impl TimedNonces {
    pub(crate) fn new<S: AsRef<str>>(secrets: &[S]) -> Self {
        Self(secrets.iter().map(|secret| Hkdf::new(Some(b"edgeward"), secret.as_ref().as_bytes())).collect())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the nonce of a period; `None` without a secret.
    pub(crate) fn of(&self, period: i64) -> Option<String> {
        self.0.first().map(|secret| nonce(secret, period))
    }

    /// Returns whether the nonce is of this period or of the one before.
    pub(crate) fn recognizes(&self, sent: &str, period: i64) -> bool {
        let is_of = |secret, period| equal_in_constant_time(nonce(secret, period).as_bytes(), sent.as_bytes());
        self.0.iter().any(|secret| is_of(secret, period) || is_of(secret, period.saturating_sub(1)))
    }
}

fn nonce(secret: &Hkdf<Sha256>, period: i64) -> String {
    let mut nonce = [0; NONCE_BYTES];
    // Cannot fail: it is shorter than HKDF's limit of 255 hash lengths.
    let _infallible = secret.expand_multi_info(&[b"nonce", &period.to_be_bytes()], &mut nonce);
    base64url::encode(&nonce)
}

impl core::fmt::Debug for TimedNonces {
    /// Omits the secrets.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("TimedNonces")
    }
}

#[cfg(test)]
mod tests {
    use super::TimedNonces;

    #[test]
    fn a_nonce_is_recognized_in_its_period_and_the_next_under_any_secret() {
        let (old, rotated) = (TimedNonces::new(&["old"]), TimedNonces::new(&["new", "old"]));
        let nonce = old.of(7).unwrap();
        for (nonces, period, expected) in
            [(&old, 6, false), (&old, 7, true), (&old, 8, true), (&old, 9, false), (&rotated, 8, true)]
        {
            assert_eq!(nonces.recognizes(&nonce, period), expected, "{period}");
        }
        assert!(!old.recognizes(&rotated.of(7).unwrap(), 7));
        assert!(!TimedNonces::new(&["new"]).recognizes(&nonce, 7));
        assert!(TimedNonces::default().is_empty() && !old.is_empty());
        assert!(!TimedNonces::default().recognizes("", 7) && TimedNonces::default().of(7).is_none());
    }
}
