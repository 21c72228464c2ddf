//! Verification in one call: the policies, keys and token cache of one or more issuers.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::ControlFlow::{self, Break, Continue};
use core::ops::Range;
use core::sync::atomic::Ordering;

use crate::error::{Mismatch, VerifyError};
use crate::host::{SignatureCheck, SignatureVerdict};
use crate::io::UnixTime;
use crate::jwk::{
    DecryptionKey, KeyCache, KeyHost, KeyJob, KeysError, KeysFailure, KeysUnavailable, Lookup, Permit, VerifyingKey,
};
use crate::jwt::{
    Access, Algorithm, Decryption, DecryptionFailure, Policy, Rules, TokenCache, UnconfirmedToken, UntrustedToken,
    Verified, VerifiedToken, is_encrypted,
};
use crate::limits;
use crate::shared::Shared;

/// Verifies the tokens of one or more issuers, each with its own policy and keys.
///
/// `K` is the kind of token: [`Access`] or [`Id`](crate::jwt::Id). Requests share one verifier.
///
/// ```
/// use edgeward::Verifier;
/// use edgeward::jwk::{KeyCache, KeyHost, KeySource};
/// use edgeward::jwt::{Algorithm, Policy};
///
/// # async fn verify(token: &str, host: &impl KeyHost) -> Result<(), Box<dyn std::error::Error>> {
/// let issuer = "https://tenant.us.auth0.com/";
/// let policy = Policy::access_token(issuer, ["https://api.example.com"], &[Algorithm::Rs256])?;
/// let verifier = Verifier::new(policy, KeyCache::new(issuer, KeySource::Discovery));
///
/// let verified = verifier.verify(token, host).await?;
/// println!("authenticated: {:?}", verified.claims().subject());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Verifier<K = Access> {
    inner: Inner,
    /// Decrypts tokens; `None` if encrypted ones are refused.
    decryption: Option<Decryption>,
    kind: PhantomData<fn() -> K>,
}

/// A verifier of either kind. Not generic, so that it is compiled once.
#[derive(Debug)]
struct Inner {
    issuers: Vec<Issuer>,
    /// The positions of the issuers, sorted by name: a request costs the same whatever their number.
    by_name: Vec<usize>,
    /// The positions of those with `{tenantid}`, which no name finds.
    templates: Vec<usize>,
    tokens: Shared<TokenCache>,
}

struct Issuer {
    rules: Box<Rules>,
    keys: Arc<KeyCache>,
}

/// Why a [`Verifier`] returned no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationError {
    /// The token breaks a rule.
    Refused(VerifyError),
    /// There are no keys to verify the token with, which is not the caller's fault.
    Unavailable(KeysUnavailable),
}

impl fmt::Display for VerificationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::Unavailable(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for VerificationError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Refused(error) => Some(error),
            Self::Unavailable(error) => Some(error),
        }
    }
}

/// The outcome of one check of a token, with the keys at hand.
#[derive(Debug)]
pub(crate) enum Check {
    /// The token is genuine and satisfies the policy. A permit, if any, is to be used in the background.
    Verified(Arc<Verified>, Option<Permit>),
    /// The token breaks a rule.
    Refused(VerifyError),
    /// Keys are needed: fetch them with the permit, then check again.
    Fetch(Permit),
    /// Another request is fetching the keys: wait [`limits::FETCH_POLL_MS`] and check again.
    Wait(Option<SignatureProof>),
    /// There are no keys to verify the token with.
    Unavailable(KeysUnavailable),
    /// A host is to verify the signature: check again with its verdict.
    Signature(PendingSignature),
}

/// A signature that a host is to verify.
#[derive(Debug)]
pub(crate) struct PendingSignature {
    key: Arc<VerifyingKey>,
    check: SignatureCheck,
}

/// A host's verdict on the signature of the token that is checked, under a key; or the core's, while it waits for another key.
#[derive(Debug)]
pub(crate) struct SignatureProof {
    key: Arc<VerifyingKey>,
    is_valid: bool,
}

type Verdict = Result<Arc<Verified>, VerificationError>;

/// Refuses a token that is bound to its sender.
fn unbound<K>(token: Arc<Verified>) -> Result<VerifiedToken<K>, VerificationError> {
    VerifiedToken::unbound(token).map_err(VerificationError::Refused)
}

impl<K> Verifier<K> {
    /// Creates a verifier for one issuer.
    #[must_use]
    pub fn new(policy: Policy<K>, keys: KeyCache) -> Self {
        let tokens = Shared::new(TokenCache::new(limits::TOKEN_CACHE_ENTRIES));
        Self {
            inner: Inner { issuers: Vec::new(), by_name: Vec::new(), templates: Vec::new(), tokens },
            decryption: None,
            kind: PhantomData,
        }
        .and_issuer(policy, keys)
    }

    /// Adds another issuer. A token is verified with the policy and keys of the issuer it names, never with another's.
    #[must_use]
    pub fn and_issuer(mut self, policy: Policy<K>, keys: KeyCache) -> Self {
        self.inner.add(Issuer { rules: policy.rules, keys: Arc::new(keys) });
        self
    }

    /// Accepts encrypted tokens too, which the host decrypts with these keys: signed JWTs inside a JWE (RFC 7519 §5.2). The `kid` of each key
    /// must be another.
    #[must_use]
    pub fn decrypt_with(mut self, keys: Vec<DecryptionKey>) -> Self {
        self.decryption = Some(Decryption::new(keys, self.cache_capacity()));
        self
    }

    /// Caches about this many verified tokens; 0 disables the cache.
    #[must_use]
    pub fn cache_entries(mut self, entries: usize) -> Self {
        self.inner.tokens = Shared::new(TokenCache::new(entries));
        if let Some(decryption) = &mut self.decryption {
            decryption.cache_entries(entries);
        }
        self
    }

    /// Verifies `token` as of now, fetching keys as needed.
    ///
    /// The future is ready at its first poll if the keys are at hand.
    ///
    /// # Errors
    /// See [`VerificationError`].
    pub async fn verify(&self, token: &str, host: &impl KeyHost) -> Result<VerifiedToken<K>, VerificationError> {
        let verified = self.verify_unconfirmed(token, host).await?;
        verified.confirm(None, None).map_err(VerificationError::Refused)
    }

    /// Verifies `token` likewise, but leaves it to the caller to confirm that it comes from the sender that it is bound to.
    ///
    /// # Errors
    /// See [`VerificationError`].
    pub async fn verify_unconfirmed(
        &self,
        token: &str,
        host: &impl KeyHost,
    ) -> Result<UnconfirmedToken<K>, VerificationError> {
        if let Some(decryption) = self.decryption.as_ref().filter(|_| is_encrypted(token)) {
            let known = decryption.find(token);
            let is_known = known.is_some();
            let inner = match known {
                Some(inner) => inner,
                None => decryption.decrypt(token, host).await.map_err(|failure| match failure {
                    DecryptionFailure::Refused(refusal) => VerificationError::Refused(refusal),
                    DecryptionFailure::Unsupported => {
                        VerificationError::Unavailable(unavailable(KeysError::AlgorithmUnsupported))
                    }
                })?,
            };
            let verdict = self.inner.verify(&inner, host).await;
            if !is_known && verdict.is_ok() {
                decryption.insert(token, inner);
            }
            return verdict.map(UnconfirmedToken::new);
        }
        self.inner.verify(token, host).await.map(UnconfirmedToken::new)
    }

    /// Returns the JWT inside an encrypted token that was decrypted before, and `Some(None)` for any other token. `None` if it has to be
    /// decrypted first.
    fn inner_token(&self, token: &str) -> Option<Option<Arc<str>>> {
        match self.decryption.as_ref().filter(|_| is_encrypted(token)) {
            None => Some(None),
            Some(decryption) => decryption.find(token).map(Some),
        }
    }

    /// Verifies `token` as of now if no wait is needed; returns `None`, and starts nothing, if its keys have to be fetched or it has to be
    /// decrypted first. For hosts where a future is expensive.
    pub fn verify_if_ready(
        &self,
        token: &str,
        host: &impl KeyHost,
    ) -> Option<Result<VerifiedToken<K>, VerificationError>> {
        let inner = self.inner_token(token)?;
        let token = inner.as_deref().unwrap_or(token);
        let verdict = self.inner.check(token, host.now(), 0, None).finish(host).break_value();
        verdict.map(|verdict| verdict.and_then(unbound))
    }

    /// Verifies `token` as of now with the keys at hand; returns `None` if there are none yet. Missing or stale keys are fetched in the
    /// background, for later calls. What only the host can do, verify some signatures and decrypt, is refused as `async_required`, unless the
    /// token is cached.
    pub fn verify_now(&self, token: &str, host: &impl KeyHost) -> Option<Result<VerifiedToken<K>, VerificationError>> {
        let Some(inner) = self.inner_token(token) else {
            return Some(Err(VerificationError::Refused(VerifyError::AsyncRequired { algorithm: None })));
        };
        let token = inner.as_deref().unwrap_or(token);
        let mut check = self.inner.check(token, host.now(), 0, None);
        if let Check::Fetch(permit) = check {
            drop(host.spawn(KeyJob::load(permit)));
            check = self.inner.check(token, host.now(), u8::MAX, None);
        }
        if let Check::Wait(Some(_)) = check {
            // The keys at hand decide about a signature.
            check = Check::Refused(VerifyError::SignatureInvalid);
        }
        if let Check::Signature(PendingSignature { check: SignatureCheck { algorithm, .. }, .. }) = check {
            check = Check::Refused(VerifyError::AsyncRequired { algorithm: Some(algorithm) });
        }
        check.finish(host).break_value().map(|verdict| verdict.and_then(unbound))
    }

    /// Loads the keys of every issuer that has no fresh ones.
    ///
    /// # Errors
    /// If an issuer still has no keys afterwards.
    pub async fn load(&self, host: &impl KeyHost) -> Result<(), KeysUnavailable> {
        self.inner.load(host).await
    }

    /// Returns the period around `now` in which a token that has just passed passes again without a fetch, unless new keys are stored
    /// meanwhile. `None` if there is no such period, or the token is not cached.
    #[must_use]
    pub fn stable_period(&self, token: &str, now: UnixTime) -> Option<Range<UnixTime>> {
        let inner = self.inner_token(token)?;
        self.inner.stable_period(inner.as_deref().unwrap_or(token), now)
    }

    /// Returns whether the token is in the cache of verified tokens.
    #[must_use]
    pub fn has_cached(&self, token: &str) -> bool {
        let Some(inner) = self.inner_token(token) else { return false };
        let token = inner.as_deref().unwrap_or(token);
        self.inner.tokens.with(|tokens| tokens.find(token).is_some())
    }

    /// Returns the approximate capacity of the token cache.
    #[must_use]
    pub fn cache_capacity(&self) -> usize {
        self.inner.tokens.with(|tokens| tokens.capacity())
    }

    /// Checks a token once, for tests of each outcome.
    #[cfg(test)]
    pub(crate) fn check(&self, text: &str, now: UnixTime, fetches: u8) -> Check {
        self.inner.check(text, now, fetches, None)
    }

    /// Returns the key caches, one per issuer, in the order the issuers were added.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<KeyCache>> {
        self.inner.issuers.iter().map(|issuer| &issuer.keys)
    }

    /// Returns the issuer, the audiences and the algorithms that tokens of this issuer are checked against.
    #[cfg(feature = "gateway")]
    pub(crate) fn rules_of(&self, issuer: &str) -> Option<(&str, &[alloc::string::String], &[Algorithm])> {
        let issuer = self.inner.issuers.iter().find(|one| one.rules.names_issuer(issuer))?;
        Some((issuer.rules.issuer(), issuer.rules.audiences(), issuer.rules.algorithms()))
    }

    /// Returns how far the clock of this issuer may be ahead, in seconds.
    #[cfg(feature = "gateway")]
    pub(crate) fn clock_skew_s(&self, issuer: &str) -> Option<u32> {
        self.inner.issuers.iter().find(|one| one.rules.names_issuer(issuer)).map(|one| one.rules.clock_skew_s())
    }

    /// Returns whether this is the first issuer. A template is none.
    #[cfg(feature = "gateway")]
    pub(crate) fn is_first_issuer(&self, issuer: &str) -> bool {
        self.inner.issuers.first().is_some_and(|first| first.rules.issuer() == issuer)
    }

    /// Checks what the first issuer says of an opaque token by the policy of its signed ones.
    #[cfg(feature = "gateway")]
    pub(crate) fn verify_introspected(
        &self,
        claims: crate::json::Document,
        now: UnixTime,
    ) -> Result<UnconfirmedToken<K>, VerifyError> {
        let Some(issuer) = self.inner.issuers.first() else { return Err(self.inner.issuer_mismatch("")) };
        issuer.rules.verify_introspected(claims, now).map(|verified| UnconfirmedToken::new(Arc::new(verified)))
    }

    /// Repeats the checks of such a token that depend on the time.
    #[cfg(feature = "gateway")]
    pub(crate) fn recheck(&self, token: &UnconfirmedToken<K>, now: UnixTime) -> Result<(), VerifyError> {
        self.inner.issuers.first().map_or(Ok(()), |issuer| issuer.rules.recheck(token.verified(), now))
    }

    /// Returns the algorithms that each issuer's policy accepts, in the same order.
    pub fn algorithms(&self) -> impl Iterator<Item = &[Algorithm]> {
        self.inner.issuers.iter().map(|issuer| issuer.rules.algorithms())
    }
}

impl Inner {
    fn add(&mut self, issuer: Issuer) {
        // Of two issuers of one name, the first decides.
        if let Err(at) = self.find(issuer.rules.issuer()) {
            self.by_name.insert(at, self.issuers.len());
        }
        if issuer.rules.has_tenants() {
            self.templates.push(self.issuers.len());
        }
        self.issuers.push(issuer);
    }

    /// Finds the place of an issuer in `by_name`, or where it belongs.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.by_name.binary_search_by(|&at| self.issuers.get(at).map_or("", |one| one.rules.issuer()).cmp(name))
    }

    async fn verify(&self, token: &str, host: &impl KeyHost) -> Verdict {
        check_until_decided(&|now, fetches, proof| self.check(token, now, fetches, proof), host).await
    }

    async fn load(&self, host: &impl KeyHost) -> Result<(), KeysUnavailable> {
        load(&self.issuers.iter().map(|issuer| &issuer.keys).collect::<Vec<_>>(), host).await
    }

    fn stable_period(&self, token: &str, now: UnixTime) -> Option<Range<UnixTime>> {
        let cached = self.tokens.with(|tokens| tokens.find(token).cloned())?;
        if cached.token.is_bound() {
            // It passes with another proof each time.
            return None;
        }
        let issuer = self.issuers.get(cached.issuer)?;
        let header = cached.token.header();
        let (key, keys) = issuer.keys.stable_period(header.kid(), header.algorithm()?, now)?;
        let token = issuer.rules.valid_period(&cached.token);
        let both = keys.start.max(token.start)..keys.end.min(token.end);
        (Arc::ptr_eq(&key, &cached.key) && both.contains(&now)).then_some(both)
    }

    /// Checks the token `text` as of `now`. `fetches` is the number of fetches that this request has already caused, `proof` the host's
    /// verdict on the signature of this very token.
    fn check(&self, text: &str, now: UnixTime, fetches: u8, proof: Option<&SignatureProof>) -> Check {
        let cached = self.tokens.with(|tokens| tokens.find(text).cloned());
        if let Some(cached) = cached
            && let Some(issuer) = self.issuers.get(cached.issuer)
        {
            let header = cached.token.header();
            let key = match header.algorithm() {
                Some(algorithm) => issuer.keys.find(header.kid(), algorithm, now, fetches),
                None => Lookup::Refused(VerifyError::KeyNotFound),
            };
            match key {
                Lookup::Key(key, permit) if Arc::ptr_eq(&key, &cached.key) => {
                    return match issuer.rules.recheck(&cached.token, now) {
                        Ok(()) => Check::Verified(cached.token, permit),
                        Err(error) => {
                            self.tokens.with(|tokens| tokens.remove(text));
                            Check::Refused(error)
                        }
                    };
                }
                Lookup::Fetch(permit) => return Check::Fetch(permit),
                // The key was removed or replaced: the token is verified again. Dropping a permit returns it to the cache.
                _ => self.tokens.with(|tokens| tokens.remove(text)),
            }
        }
        self.check_uncached(text, now, fetches, proof).unwrap_or_else(Check::Refused)
    }

    fn check_uncached(
        &self,
        text: &str,
        now: UnixTime,
        fetches: u8,
        proof: Option<&SignatureProof>,
    ) -> Result<Check, VerifyError> {
        let token = UntrustedToken::parse(text)?;
        let index = if self.issuers.len() == 1 {
            0
        } else {
            let named = token.unverified_issuer()?;
            let exact = self.find(&named).ok().and_then(|at| self.by_name.get(at));
            let is_tenant = |at: &&usize| self.issuers.get(**at).is_some_and(|one| one.rules.names_issuer(&named));
            let found = exact.or_else(|| self.templates.iter().find(is_tenant));
            *found.ok_or_else(|| self.issuer_mismatch(&named))?
        };
        let Some(issuer) = self.issuers.get(index) else { return Err(self.issuer_mismatch("")) };
        let (check, key) = issuer.keys.check_token(&issuer.rules, token, now, fetches, proof)?;
        if let (Check::Verified(verified, _), Some(key)) = (&check, key) {
            self.tokens.with(|tokens| tokens.insert(text, index, key, Arc::clone(verified)));
        }
        Ok(check)
    }

    #[cold]
    fn issuer_mismatch(&self, named: &str) -> VerifyError {
        let ours = self.issuers.iter().take(limits::MAX_EXPECTED_ISSUERS);
        let ours: Vec<&str> = ours.map(|issuer| issuer.rules.issuer()).collect();
        VerifyError::IssuerMismatch(Mismatch::new(&ours, &[named]))
    }
}

impl KeyCache {
    /// Verifies `token` with these keys under a policy of its own, without caching it. For ID tokens, whose policy is made for each
    /// login.
    ///
    /// # Errors
    /// See [`VerificationError`].
    pub async fn verify<K>(
        self: &Arc<Self>,
        policy: &Policy<K>,
        token: &str,
        host: &impl KeyHost,
    ) -> Result<VerifiedToken<K>, VerificationError> {
        let check =
            |now, fetches, proof: Option<&SignatureProof>| self.check(&policy.rules, token, now, fetches, proof);
        check_until_decided(&check, host).await.and_then(unbound)
    }

    /// Loads the keys unless there are fresh ones.
    ///
    /// # Errors
    /// If there are no keys afterwards.
    #[cfg(feature = "gateway")]
    pub(crate) async fn load(self: &Arc<Self>, host: &impl KeyHost) -> Result<(), KeysUnavailable> {
        load(&[self], host).await
    }

    /// Checks a token of this issuer once.
    pub(crate) fn check(
        self: &Arc<Self>,
        rules: &Rules,
        text: &str,
        now: UnixTime,
        fetches: u8,
        proof: Option<&SignatureProof>,
    ) -> Check {
        UntrustedToken::parse(text)
            .and_then(|token| self.check_token(rules, token, now, fetches, proof))
            .map_or_else(Check::Refused, |(check, _)| check)
    }

    /// Checks `token` once; returns the key of a token that passes, too. If the token is refused, a permit that came with its key is
    /// returned to the cache.
    fn check_token(
        self: &Arc<Self>,
        rules: &Rules,
        token: UntrustedToken<'_>,
        now: UnixTime,
        fetches: u8,
        proof: Option<&SignatureProof>,
    ) -> Result<(Check, Option<Arc<VerifyingKey>>), VerifyError> {
        let algorithm = rules.check_header(token.header())?;
        let check = match self.find(token.header().kid(), algorithm, now, fetches) {
            Lookup::Key(key, permit) => {
                let signature = match proof {
                    // A verdict counts under the key that it was made with only.
                    Some(proof) if Arc::ptr_eq(&proof.key, &key) => proof.verdict(),
                    _ => token.verify_signature(&key, algorithm),
                };
                match signature {
                    Ok(()) => {
                        let verified = rules.verify_claims(token, &key, algorithm, now)?;
                        return Ok((Check::Verified(Arc::new(verified), permit), Some(key)));
                    }
                    Err(VerifyError::AsyncRequired { .. }) => {
                        let check = token.signature_check(&key, algorithm);
                        Check::Signature(PendingSignature { key, check })
                    }
                    Err(VerifyError::SignatureInvalid) => {
                        // Its return to the cache allows another fetch.
                        drop(permit);
                        match self.find_replaced(now, fetches) {
                            Some(Lookup::Fetch(permit)) => Check::Fetch(permit),
                            Some(Lookup::Unavailable(error)) => Check::Unavailable(error),
                            // Meanwhile the signature is not verified again.
                            Some(_) => Check::Wait(Some(SignatureProof { key, is_valid: false })),
                            None => return Err(VerifyError::SignatureInvalid),
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
            Lookup::Fetch(permit) => Check::Fetch(permit),
            Lookup::Wait => Check::Wait(None),
            Lookup::Refused(error) => return Err(error),
            Lookup::Unavailable(error) => Check::Unavailable(error),
        };
        Ok((check, None))
    }
}

impl Check {
    /// Breaks with the verdict, and starts a refresh that is due. Without a verdict, continues with what is to be done before the next
    /// check.
    fn finish(self, host: &impl KeyHost) -> ControlFlow<Verdict, Step> {
        match self {
            Self::Verified(verified, refresh) => {
                if let Some(permit) = refresh {
                    drop(host.spawn(KeyJob::load(permit)));
                }
                Break(Ok(verified))
            }
            Self::Refused(error) => Break(Err(VerificationError::Refused(error))),
            Self::Unavailable(error) => Break(Err(VerificationError::Unavailable(error))),
            Self::Fetch(permit) => Continue(Step::Fetch(permit)),
            Self::Wait(proof) => Continue(Step::Wait(proof)),
            Self::Signature(pending) => Continue(Step::Signature(pending)),
        }
    }
}

/// What is to be done before a token is checked again.
enum Step {
    /// Fetch keys.
    Fetch(Permit),
    /// Wait for another request's fetch.
    Wait(Option<SignatureProof>),
    /// Let the host verify the signature.
    Signature(PendingSignature),
}

impl SignatureProof {
    fn verdict(&self) -> Result<(), VerifyError> {
        if self.is_valid { Ok(()) } else { Err(VerifyError::SignatureInvalid) }
    }
}

/// Checks a token, given the time, the number of fetches that the request has already caused, and the host's verdict on the signature.
/// Not generic, so that [`check_until_decided`] is compiled once.
type CheckFn<'c> = dyn Fn(UnixTime, u8, Option<&SignatureProof>) -> Check + Sync + 'c;

/// Checks a token until there is a verdict: fetches keys as needed, waits for those that other requests fetch, and lets the host verify
/// what the core does not.
async fn check_until_decided(check: &CheckFn<'_>, host: &impl KeyHost) -> Verdict {
    let (mut fetches, mut proof) = (0, None);
    for _ in 0..limits::MAX_POLLS {
        match check(host.now(), fetches, proof.as_ref()).finish(host) {
            Break(verdict) => return verdict,
            Continue(Step::Wait(found)) => {
                proof = found.or(proof);
                host.sleep(limits::FETCH_POLL_MS).await;
            }
            Continue(Step::Signature(PendingSignature { key, check })) => {
                let is_valid = match host.verify_signature(check).await {
                    SignatureVerdict::Valid => true,
                    SignatureVerdict::Invalid => false,
                    SignatureVerdict::KeyRefused => {
                        // As if it were not published.
                        key.refuse();
                        continue;
                    }
                    SignatureVerdict::Unsupported => {
                        return Err(VerificationError::Unavailable(unavailable(KeysError::AlgorithmUnsupported)));
                    }
                };
                proof = Some(SignatureProof { key, is_valid });
            }
            Continue(Step::Fetch(permit)) => {
                let contacted_provider = permit.contacted_provider();
                host.spawn(KeyJob::load(permit)).await;
                fetches += u8::from(contacted_provider.load(Ordering::Relaxed));
            }
        }
    }
    Err(VerificationError::Unavailable(unavailable(KeysError::JwksUnreachable)))
}

/// Loads the keys of these issuers that have no fresh ones, all at once.
async fn load(issuers: &[&Arc<KeyCache>], host: &impl KeyHost) -> Result<(), KeysUnavailable> {
    for _ in 0..limits::MAX_POLLS {
        let now = host.now();
        let permits = issuers.iter().filter_map(|keys| keys.preload_permit(now));
        let jobs: Vec<_> = permits.map(|permit| host.spawn(KeyJob::load(permit))).collect();
        for job in jobs {
            job.await;
        }
        let now = host.now();
        let Some(missing) = issuers.iter().find(|keys| !keys.is_loaded(now)) else { return Ok(()) };
        if let Some(failure) = missing.failure(now) {
            return Err(unavailable(failure));
        }
        // Another call is loading the missing keys.
        host.sleep(limits::FETCH_POLL_MS).await;
    }
    Err(unavailable(KeysError::JwksUnreachable))
}

/// There are no keys, and no known pause to wait for: the caller may retry after a second.
fn unavailable(failure: impl Into<KeysFailure>) -> KeysUnavailable {
    let KeysFailure { error, reason } = failure.into();
    KeysUnavailable { error, reason, retry_after_s: 1 }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("issuer", &self.rules.issuer()).finish_non_exhaustive()
    }
}
