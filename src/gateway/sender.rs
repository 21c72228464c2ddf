//! Tokens that are bound to their sender: by proofs of possession (DPoP, RFC 9449), and by client certificates (RFC 8705).

use alloc::string::String;
use alloc::vec::Vec;

use super::Gateway;
use super::matched::MatchedRequest;
use super::token_source::Token;
use crate::crypto::TimedNonces;
use crate::dpop::{Acceptance, ProofRequest, UntrustedProof, VerifiedProof};
use crate::error::{CertificateError, ProofError, VerifyError};
use crate::host::Level;
use crate::http::{Reply, RequestHead, token_not_accepted, unavailable, with_dpop_challenge};
use crate::io::UnixTime;
use crate::jwk::KeyHost;
use crate::jwt::{Access, Binding, UnconfirmedToken, VerifiedToken};
use crate::limits;
use crate::oidc::{IntrospectionError, LoginHost, ShareError, is_opaque, shared_object, use_once};
use crate::shared::Shared;
use crate::text::{concat, decimal};
use crate::verifier::{VerificationError, Verifier};

/// How the senders of tokens prove that the tokens are theirs.
#[derive(Debug)]
pub(super) struct SenderRules {
    dpop: Acceptance,
    mtls: Acceptance,
    /// Whether every token must be bound, to a key or to a certificate.
    requires_binding: bool,
    /// The nonces that proofs need, if there are any.
    nonces: TimedNonces,
    used: Shared<UsedProofs>,
}

/// The header of a proof.
pub(super) const PROOF: &str = "dpop";

/// The header with the nonce for the next proof.
pub(super) const NONCE: &str = "dpop-nonce";

impl SenderRules {
    /// Creates the rules. Proofs need a nonce if there are secrets for it, of which the first makes the nonces.
    pub(super) fn new(dpop: Acceptance, mtls: Acceptance, nonce_secrets: &[String]) -> Self {
        let (nonces, used) = (TimedNonces::new(nonce_secrets), Shared::new(UsedProofs::default()));
        Self { dpop, mtls, requires_binding: false, nonces, used }
    }

    /// Requires that every token is bound, in one way or another.
    pub(super) fn with_required_binding(self) -> Self {
        Self { requires_binding: true, ..self }
    }

    /// Returns whether tokens may be bound to a certificate.
    pub(super) fn reads_certificates(&self) -> bool {
        self.mtls != Acceptance::Off
    }

    /// Returns whether every token must be bound to a key.
    pub(super) fn requires_dpop(&self) -> bool {
        self.dpop == Acceptance::Required
    }

    /// Returns whether the header `Authorization` may have the scheme `DPoP`.
    pub(super) fn reads_dpop(&self) -> bool {
        self.dpop != Acceptance::Off
    }

    /// Returns the certificate of the connection's client, which must be the one that the token is bound to (RFC 8705 §3).
    fn certificate(&self, head: &RequestHead<'_>, binding: Option<&Binding>) -> Result<Option<[u8; 32]>, VerifyError> {
        let bound = binding.and_then(|binding| binding.certificate);
        match bound {
            None if self.mtls == Acceptance::Required || self.requires_binding && binding.is_none() => {
                Err(VerifyError::TokenNotBound)
            }
            None => Ok(None),
            Some(_) if self.mtls == Acceptance::Off => Err(VerifyError::TokenSenderConstrained),
            Some(bound) => match head.client_certificate().map_err(VerifyError::Certificate)? {
                own if own == bound => Ok(Some(own)),
                _ => Err(VerifyError::Certificate(CertificateError::Mismatch)),
            },
        }
    }

    fn period(now: UnixTime) -> i64 {
        now.secs() / limits::PROOF_NONCE_PERIOD_S
    }

    /// Returns the nonce for the next proof, if proofs need one.
    pub(super) fn nonce(&self, now: UnixTime) -> Option<String> {
        self.nonces.of(Self::period(now))
    }

    /// Adds to a response to a request that was refused how to send a bound token.
    pub(super) fn with_challenge(&self, reply: Reply, head: &RequestHead<'_>) -> Reply {
        if !self.reads_dpop() {
            return reply;
        }
        let authorization = (head.header)("authorization").unwrap_or_default();
        let is_dpop = authorization.split(' ').next().is_some_and(|scheme| scheme.eq_ignore_ascii_case("dpop"));
        with_dpop_challenge(reply, is_dpop, self.dpop == Acceptance::Required)
    }
}

impl Gateway {
    /// Confirms that a verified token comes from the sender that it is bound to. Returns the proof, which may have been used before.
    pub(super) async fn confirm_sender(
        &self,
        verified: UnconfirmedToken<Access>,
        head: &RequestHead<'_>,
        token: &Token,
        host: &impl KeyHost,
    ) -> Result<(VerifiedToken<Access>, Option<VerifiedProof>), VerificationError> {
        let (sender, text) = (&self.sender, token.as_str());
        let refused = VerificationError::Refused;
        let binding = verified.binding();
        let certificate = sender.certificate(head, binding).map_err(refused)?;
        let proof = Some(PROOF).filter(|_| sender.reads_dpop()).and_then(head.header);
        let key = sender.dpop.key_to_prove(binding, token.is_dpop(), proof.is_some()).map_err(refused)?;
        let proof = match proof.zip(key) {
            None => None,
            Some((proof, key)) => {
                let request = ProofRequest { method: head.method, url: head.url, access_token: text };
                let proof =
                    sender.check_proof(&proof, &key, &request, host.now()).map_err(|error| refused(error.into()))?;
                Some(proof.verify(host).await?)
            }
        };
        let key = proof.as_ref().map(VerifiedProof::key);
        Ok((verified.confirm(key, certificate.as_ref()).map_err(refused)?, proof))
    }
}

impl SenderRules {
    /// Checks all but the signature of a proof. A nonce says when it was made, whatever the client's clock shows (RFC 9449 §4.3).
    fn check_proof<'t>(
        &self,
        text: &'t str,
        key: &[u8; 32],
        request: &ProofRequest<'_>,
        now: UnixTime,
    ) -> Result<UntrustedProof<'t>, ProofError> {
        let proof = UntrustedProof::parse(text, key)?;
        proof.check_request(request)?;
        if self.nonces.is_empty() {
            proof.check_times(now)?;
        } else if !proof.nonce().is_some_and(|nonce| self.nonces.recognizes(nonce, Self::period(now))) {
            return Err(ProofError::NonceRequired);
        }
        Ok(proof)
    }
}

impl MatchedRequest<'_> {
    /// Verifies the token of a request, or asks its issuer about an opaque one, and confirms that it comes from the sender that it is
    /// bound to, with a proof that was not used before.
    ///
    /// # Errors
    /// The response to the request.
    pub(super) async fn authenticate(
        &self,
        verifier: &Verifier,
        head: &RequestHead<'_>,
        token: &Token,
        host: &impl LoginHost,
    ) -> Result<VerifiedToken<Access>, Reply> {
        let sender = &self.gateway.sender;
        let text = token.as_str();
        let verified = match self.gateway.introspection.as_ref().filter(|_| is_opaque(text)) {
            None => verifier.verify_unconfirmed(text, host).await,
            Some(introspection) => match introspection.verify(text, host).await {
                Ok(verified) => Ok(verified),
                Err(IntrospectionError::Refused(error)) => Err(VerificationError::Refused(error)),
                Err(IntrospectionError::Inactive) => {
                    return Err(token_not_accepted("token_inactive", "The issuer says that the token is not active."));
                }
                Err(IntrospectionError::Unavailable { retry_after_s }) => {
                    let detail = "The issuer cannot be asked about the token.";
                    let reply = Reply::problem(503, "introspection_unavailable", detail);
                    return Err(reply.with("retry-after", decimal(retry_after_s.unsigned_abs())));
                }
            },
        };
        let confirmed = match verified {
            Ok(verified) => self.gateway.confirm_sender(verified, head, token, host).await,
            Err(error) => Err(error),
        };
        let (token, proof) = match confirmed {
            Ok(confirmed) => confirmed,
            Err(VerificationError::Refused(error)) => return Err(self.refuse(&error)),
            Err(VerificationError::Unavailable(why)) => return Err(unavailable(why.error, why.retry_after_s)),
        };
        let Some(proof) = proof else { return Ok(token) };
        match sender.is_first_use(&proof, host).await {
            Some(true) => Ok(token),
            Some(false) => Err(self.refuse(&ProofError::Replayed.into())),
            None => {
                let detail = "Whether the proof was used before cannot be told at the moment.";
                let more = [("error", "temporarily_unavailable")];
                Err(Reply::problem_with(503, "replay_check_unavailable", detail, &more).with("retry-after", "1"))
            }
        }
    }
}

impl SenderRules {
    /// Returns whether no other request had this proof; `None` if that is unknown.
    async fn is_first_use(&self, proof: &VerifiedProof, host: &impl LoginHost) -> Option<bool> {
        let (now, is_shared) = (host.now(), host.has_shared_records());
        let remembered_s = if self.nonces.is_empty() {
            limits::MAX_PROOF_AGE_S + limits::MAX_PROOF_ADVANCE_S + 1
        } else {
            2 * limits::PROOF_NONCE_PERIOD_S
        };
        let until = UnixTime::from_secs(now.secs().saturating_add(remembered_s));
        let use_here = self.used.with(|used| used.add(proof.key(), proof.id_bytes(), now, until));
        match use_here {
            Use::Repeated => return Some(false),
            Use::First if !is_shared => return Some(true),
            // Only where instances share it, an instance may forget what it has seen.
            Use::Full if !is_shared => {
                let line = "replay_check_unavailable: an isolate remembers no more proofs of possession; bind EDGEWARD_SESSIONS";
                host.log(Level::Error, &line);
                return None;
            }
            Use::FullForKey if !is_shared => {
                let line = "replay_check_unavailable: an isolate remembers no more proofs of possession of one client; bind \
                            EDGEWARD_SESSIONS";
                host.log(Level::Error, &line);
                return None;
            }
            Use::First | Use::Full | Use::FullForKey => {}
        }
        let id = proof.id();
        let shard =
            char::from(b'a' + proof.id_bytes().first().copied().unwrap_or_default() % limits::PROOF_OBJECTS_PER_KEY);
        let object =
            shared_object("dpop", &concat(&[&crate::base64url::encode(proof.key()), shard.encode_utf8(&mut [0; 4])]));
        let is_first = use_once(object, &id, until, limits::PROOF_TIMEOUT_MS, host).await;
        match is_first {
            Ok(is_first) => return Some(is_first),
            Err(ShareError::Full) => host.log(
                Level::Error,
                &"replay_check_unavailable: the Durable Object that remembers proofs of possession has no room for more of \
                  this client",
            ),
            Err(ShareError::Unreachable) => host.log(
                Level::Error,
                &"replay_check_unavailable: the Durable Object that remembers proofs of possession did not respond",
            ),
        }
        None
    }
}

/// The proofs that this instance has accepted lately, each until it may be forgotten, in buckets by the beginning of their ids. Bounded.
#[derive(Default)]
pub(super) struct UsedProofs {
    buckets: Vec<Vec<(UnixTime, RememberedProof)>>,
    count: usize,
    /// The number of proofs of each key, sorted by key.
    of_keys: Vec<(KeyId, u16)>,
    /// When all buckets were last searched for proofs to forget.
    swept_s: i64,
}

/// The beginning of a key's thumbprint: enough that no two keys share it by chance or by design.
type KeyId = [u8; 12];

/// The beginning of a proof's id, followed by that of its key.
type RememberedProof = [u8; 32];

const KEY_AT: usize = 32 - size_of::<KeyId>();

fn key_of(proof: &RememberedProof) -> KeyId {
    let mut key = KeyId::default();
    key.copy_from_slice(proof.split_at(KEY_AT).1);
    key
}

/// Enough for a bucket to hold a few proofs.
const BUCKETS: usize = 4096;

/// A use of a proof.
enum Use {
    First,
    Repeated,
    /// There is no room to remember it.
    Full,
    /// There is no room for more of its key.
    FullForKey,
}

impl UsedProofs {
    fn add(&mut self, key: &[u8; 32], id: &[u8; 32], now: UnixTime, until: UnixTime) -> Use {
        if self.buckets.is_empty() {
            self.buckets.resize_with(BUCKETS, Vec::new);
        }
        let mut proof = *id;
        proof.split_at_mut(KEY_AT).1.copy_from_slice(key.split_at(size_of::<KeyId>()).0);
        let key = key_of(&proof);
        let number = usize::from(u16::from_le_bytes([id[0], id[1]])) % BUCKETS;
        // Where there is no room, all buckets make some; but not for every request of a client that floods them.
        let sweeps = self.lack(&key).is_some() && self.swept_s != now.secs();
        if sweeps {
            self.swept_s = now.secs();
        }
        let (from, buckets) = if sweeps { (0, BUCKETS) } else { (number, 1) };
        let of_keys = &mut self.of_keys;
        let mut removed = 0;
        for bucket in self.buckets.iter_mut().skip(from).take(buckets) {
            bucket.retain(|(until, proof)| {
                let is_current = now < *until;
                if !is_current {
                    removed += 1;
                    forget(of_keys, &key_of(proof));
                }
                is_current
            });
        }
        self.count = self.count.saturating_sub(removed);
        let full = self.lack(&key);
        let Some(bucket) = self.buckets.get_mut(number) else { return Use::Full };
        if bucket.iter().any(|(_, one)| *one == proof) {
            return Use::Repeated;
        }
        if let Some(full) = full {
            return full;
        }
        bucket.push((until, proof));
        self.count += 1;
        match self.of_keys.binary_search_by(|(one, _)| one.cmp(&key)) {
            Ok(at) => {
                if let Some((_, count)) = self.of_keys.get_mut(at) {
                    *count += 1;
                }
            }
            Err(at) => self.of_keys.insert(at, (key, 1)),
        }
        Use::First
    }

    /// Returns why there is no room for a further proof of a key; `None` if there is.
    fn lack(&self, key: &KeyId) -> Option<Use> {
        let at = self.of_keys.binary_search_by(|(one, _)| one.cmp(key)).ok();
        let of_key = at.and_then(|at| self.of_keys.get(at)).map_or(0, |(_, count)| usize::from(*count));
        match () {
            () if of_key >= limits::MAX_REMEMBERED_PROOFS_PER_KEY => Some(Use::FullForKey),
            () if self.count >= limits::MAX_REMEMBERED_PROOFS => Some(Use::Full),
            () => None,
        }
    }
}

/// Counts one proof of a key less.
fn forget(of_keys: &mut Vec<(KeyId, u16)>, key: &KeyId) {
    let Ok(at) = of_keys.binary_search_by(|(one, _)| one.cmp(key)) else { return };
    match of_keys.get_mut(at) {
        Some((_, count)) if *count > 1 => *count -= 1,
        _ => drop(of_keys.remove(at)),
    }
}

impl core::fmt::Debug for UsedProofs {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("UsedProofs")
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;
    use core::ops::Range;

    use super::{BUCKETS, Use, UsedProofs};
    use crate::io::UnixTime;
    use crate::limits::MAX_REMEMBERED_PROOFS_PER_KEY;

    const LIFETIME_S: i64 = 361;

    /// Adds a proof of a key. Proofs with successive numbers are in successive buckets.
    fn add(used: &mut UsedProofs, key: u8, number: usize, now_s: i64) -> Use {
        let mut id = [0; 32];
        [id[0], id[1], ..] = number.to_le_bytes();
        used.add(&[key; 32], &id, UnixTime::from_secs(now_s), UnixTime::from_secs(now_s + LIFETIME_S))
    }

    fn fill(used: &mut UsedProofs, key: u8, numbers: Range<usize>, now_s: i64) {
        for number in numbers {
            assert!(matches!(add(used, key, number, now_s), Use::First), "{number}");
        }
    }

    #[test]
    fn proofs_are_spread_over_all_buckets() {
        let mut used = UsedProofs::default();
        fill(&mut used, 1, 0..BUCKETS, 1000);
        assert!(used.buckets.iter().all(|bucket| bucket.len() == 1));
    }

    #[test]
    fn where_there_is_no_room_expired_proofs_make_some_in_whatever_buckets_they_are() {
        let mut used = UsedProofs::default();
        // None of them is in the first bucket.
        fill(&mut used, 1, 1..BUCKETS, 1000);
        fill(&mut used, 1, BUCKETS + 1..MAX_REMEMBERED_PROOFS_PER_KEY + 2, 1000);
        let end_s = 1000 + LIFETIME_S;
        assert!(matches!(add(&mut used, 1, 0, end_s - 1), Use::FullForKey));
        assert!(matches!(add(&mut used, 1, 0, end_s), Use::First));
        assert_eq!(used.count, 1);
        fill(&mut used, 1, 1..MAX_REMEMBERED_PROOFS_PER_KEY, end_s);
        assert!(matches!(add(&mut used, 1, MAX_REMEMBERED_PROOFS_PER_KEY, end_s), Use::FullForKey));
    }

    #[test]
    fn while_there_is_room_one_bucket_is_searched() {
        let mut used = UsedProofs::default();
        fill(&mut used, 1, 0..1, 1000);
        fill(&mut used, 1, 1..2, 1000 + LIFETIME_S);
        assert_eq!(used.count, 2, "the expired one is in another bucket");
        fill(&mut used, 1, BUCKETS..BUCKETS + 1, 1000 + LIFETIME_S);
        assert_eq!(used.count, 2);
    }

    #[test]
    fn each_proof_that_is_forgotten_makes_room_for_one_of_its_key() {
        let mut used = UsedProofs::default();
        let half = MAX_REMEMBERED_PROOFS_PER_KEY / 2;
        fill(&mut used, 1, 0..half, 1000);
        fill(&mut used, 1, half..2 * half, 1010);
        let end_s = 1000 + LIFETIME_S;
        fill(&mut used, 1, 2 * half..3 * half, end_s);
        assert!(matches!(add(&mut used, 1, 3 * half, end_s), Use::FullForKey));
    }

    #[test]
    fn a_key_is_forgotten_with_its_last_proof() {
        let mut used = UsedProofs::default();
        fill(&mut used, 1, 0..1, 1000);
        fill(&mut used, 1, BUCKETS..BUCKETS + 1, 1001);
        let keys = |used: &UsedProofs| -> Vec<(u8, u16)> {
            used.of_keys.iter().map(|(key, count)| (key[0], *count)).collect()
        };
        fill(&mut used, 2, 2 * BUCKETS..2 * BUCKETS + 1, 1000 + LIFETIME_S);
        assert_eq!(keys(&used), [(1, 1), (2, 1)]);
        fill(&mut used, 2, 3 * BUCKETS..3 * BUCKETS + 1, 1001 + LIFETIME_S);
        assert_eq!(keys(&used), [(2, 2)]);
    }
}
