//! The whole of verification as one call: policy, keys and cache of one or more issuers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::Ordering;

use crate::error::{Mismatch, VerifyError};
use crate::io::UnixTime;
use crate::jwk::{KeyCache, KeyHost, KeyJob, KeysError, KeysUnavailable, Lookup, Permit, VerifyingKey};
use crate::jwt::{Access, Policy, Rules, TokenCache, UntrustedToken, Verified, VerifiedToken};
use crate::limits;
use crate::shared::Shared;

/// Verifies tokens of one or more issuers, each with its own policy and its own keys.
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
/// let verified = verifier.verify(token, host).await?;
/// println!("{}", verified.claims().subject().unwrap_or("nobody"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Verifier<K = Access> {
    inner: Inner,
    kind: PhantomData<fn() -> K>,
}

/// A verifier of either kind. One type, so that it is compiled once, and here.
#[derive(Debug)]
struct Inner {
    issuers: Vec<Issuer>,
    tokens: Shared<TokenCache>,
}

struct Issuer {
    rules: Rules,
    keys: Arc<KeyCache>,
}

/// Why there is no verified token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerificationError {
    /// The token breaks a rule.
    Refused(VerifyError),
    /// Nobody knows: there are no keys to decide with. Not the caller's fault.
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

/// Where a look at a token leads.
#[derive(Debug)]
pub(crate) enum Check {
    /// The token is genuine and satisfies the policy. If there is a permit, use it in the background.
    Verified(Arc<Verified>, Option<Permit>),
    /// It is not, or does not.
    Refused(VerifyError),
    /// Keys are needed: use the permit, and check again.
    Fetch(Permit),
    /// Another request is fetching the keys: wait [`limits::FETCH_POLL_MS`] and check again.
    Wait,
    /// There are no keys to decide with.
    Unavailable(KeysUnavailable),
}

impl<K> Verifier<K> {
    /// A verifier of one issuer.
    #[must_use]
    pub fn new(policy: Policy<K>, keys: KeyCache) -> Self {
        let tokens = Shared::new(TokenCache::new(limits::TOKEN_CACHE_ENTRIES));
        Self { inner: Inner { issuers: Vec::new(), tokens }, kind: PhantomData }.and_issuer(policy, keys)
    }

    /// Adds another issuer. A token is verified with the policy and keys of the issuer it names, never another's.
    #[must_use]
    pub fn and_issuer(mut self, policy: Policy<K>, keys: KeyCache) -> Self {
        self.inner.issuers.push(Issuer { rules: policy.rules, keys: Arc::new(keys) });
        self
    }

    /// Keeps about so many verified tokens; 0 keeps none.
    #[must_use]
    pub fn cache_entries(mut self, entries: usize) -> Self {
        self.inner.tokens = Shared::new(TokenCache::new(entries));
        self
    }

    /// Verifies `token` as of now, with keys that are fetched if need be.
    ///
    /// Ready at the first poll whenever the keys are at hand.
    ///
    /// # Errors
    /// See [`VerificationError`].
    pub async fn verify(&self, token: &str, host: &impl KeyHost) -> Result<VerifiedToken<K>, VerificationError> {
        self.inner.verify(token, host).await.map(VerifiedToken::shared)
    }

    /// Verifies `token` as of now if that takes no wait. `None`, and nothing is begun, if its keys have to be fetched first: for hosts
    /// to which a future costs something.
    pub fn verify_if_ready(&self, token: &str, host: &impl KeyHost) -> Option<Result<VerifiedToken<K>, VerificationError>> {
        decided(self.inner.check(token, host.now(), 0), host).map(|verdict| verdict.map(VerifiedToken::shared))
    }

    /// Verifies `token` as of now with the keys at hand; `None` if there are none yet. Keys that are missing or outdated are fetched
    /// in the background, for later calls.
    pub fn verify_now(&self, token: &str, host: &impl KeyHost) -> Option<Result<VerifiedToken<K>, VerificationError>> {
        let mut check = self.inner.check(token, host.now(), 0);
        if let Check::Fetch(permit) = check {
            drop(host.spawn(KeyJob::load(permit)));
            check = self.inner.check(token, host.now(), u8::MAX);
        }
        decided(check, host).map(|verdict| verdict.map(VerifiedToken::shared))
    }

    /// Loads the keys of every issuer that lacks fresh ones.
    ///
    /// # Errors
    /// If an issuer has none in the end.
    pub async fn load(&self, host: &impl KeyHost) -> Result<(), KeysUnavailable> {
        self.inner.load(host).await
    }

    /// The time, around `now`, in which a token that has just passed passes again without a fetch, as long as no keys are stored.
    /// `None` if there is no such time, or the token is not kept.
    #[must_use]
    pub fn settled(&self, token: &str, now: UnixTime) -> Option<Range<UnixTime>> {
        self.inner.settled(token, now)
    }

    /// About how many verified tokens are kept.
    #[must_use]
    pub fn cached_entries(&self) -> usize {
        self.inner.tokens.with(|tokens| tokens.entries())
    }

    /// One look at a token, for the tests of what a look leads to.
    #[cfg(test)]
    pub(crate) fn check(&self, text: &str, now: UnixTime, fetches: u8) -> Check {
        self.inner.check(text, now, fetches)
    }

    /// The key caches, one per issuer, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<KeyCache>> {
        self.inner.issuers.iter().map(|issuer| &issuer.keys)
    }
}

impl Inner {
    async fn verify(&self, token: &str, host: &impl KeyHost) -> Result<Arc<Verified>, VerificationError> {
        decide(&|now, fetches| self.check(token, now, fetches), host).await
    }

    async fn load(&self, host: &impl KeyHost) -> Result<(), KeysUnavailable> {
        for _ in 0..limits::MAX_POLLS {
            let now = host.now();
            let permits = self.issuers.iter().filter_map(|issuer| issuer.keys.preload_permit(now));
            // All at once.
            let jobs: Vec<_> = permits.map(|permit| host.spawn(KeyJob::load(permit))).collect();
            for job in jobs {
                job.await;
            }
            let now = host.now();
            let Some(missing) = self.issuers.iter().find(|issuer| !issuer.keys.is_loaded(now)) else { return Ok(()) };
            if let Some(error) = missing.keys.failure(now) {
                return Err(unavailable(error));
            }
            // Another call is loading them.
            host.sleep(limits::FETCH_POLL_MS).await;
        }
        Err(unavailable(KeysError::JwksUnreachable))
    }

    fn settled(&self, token: &str, now: UnixTime) -> Option<Range<UnixTime>> {
        let known = self.tokens.with(|tokens| tokens.find(token).cloned())?;
        let issuer = self.issuers.get(known.issuer)?;
        let header = known.token.header();
        let (key, keys) = issuer.keys.settled(header.kid(), header.algorithm()?, now)?;
        let token = issuer.rules.period(&known.token);
        let both = keys.start.max(token.start)..keys.end.min(token.end);
        (Arc::ptr_eq(&key, &known.key) && both.contains(&now)).then_some(both)
    }

    /// Looks at the token `text` as of `now`. `fetches` counts the fetches that this request has caused before.
    fn check(&self, text: &str, now: UnixTime, fetches: u8) -> Check {
        let known = self.tokens.with(|tokens| tokens.find(text).cloned());
        if let Some(known) = known
            && let Some(issuer) = self.issuers.get(known.issuer)
        {
            let header = known.token.header();
            let key = match header.algorithm() {
                Some(algorithm) => issuer.keys.find(header.kid(), algorithm, now, fetches),
                None => Lookup::Refused(VerifyError::KeyNotFound),
            };
            match key {
                Lookup::Key(key, permit) if Arc::ptr_eq(&key, &known.key) => {
                    return match issuer.rules.recheck(&known.token, now) {
                        Ok(()) => Check::Verified(known.token, permit),
                        Err(error) => {
                            self.tokens.with(|tokens| tokens.remove(text));
                            Check::Refused(error)
                        }
                    };
                }
                Lookup::Fetch(permit) => return Check::Fetch(permit),
                // The key is gone or replaced: the token stands or falls anew. A permit goes back to the cache.
                _ => self.tokens.with(|tokens| tokens.remove(text)),
            }
        }
        self.check_uncached(text, now, fetches).unwrap_or_else(Check::Refused)
    }

    fn check_uncached(&self, text: &str, now: UnixTime, fetches: u8) -> Result<Check, VerifyError> {
        let token = UntrustedToken::parse(text)?;
        let index = match self.issuers.as_slice() {
            [_] => 0,
            several => {
                let named = token.unverified_issuer()?;
                let found = several.iter().position(|one| one.rules.issuer() == named);
                found.ok_or_else(|| self.issuer_mismatch(&named))?
            }
        };
        let Some(issuer) = self.issuers.get(index) else { return Err(self.issuer_mismatch("")) };
        let (check, key) = issuer.keys.check_token(&issuer.rules, token, now, fetches)?;
        if let (Check::Verified(verified, _), Some(key)) = (&check, key) {
            self.tokens.with(|tokens| tokens.insert(text, index, key, Arc::clone(verified)));
        }
        Ok(check)
    }

    #[cold]
    fn issuer_mismatch(&self, named: &str) -> VerifyError {
        let ours: Vec<&str> = self.issuers.iter().map(|issuer| issuer.rules.issuer()).collect();
        VerifyError::IssuerMismatch(Mismatch::new(&ours, &[named]))
    }
}

impl KeyCache {
    /// Verifies `token` with a policy of its own, and with these keys: for ID tokens, whose policy is made for each login. Keeps
    /// nothing.
    ///
    /// # Errors
    /// See [`VerificationError`].
    pub async fn verify<K>(
        self: &Arc<Self>,
        policy: &Policy<K>,
        token: &str,
        host: &impl KeyHost,
    ) -> Result<VerifiedToken<K>, VerificationError> {
        let check = |now, fetches| self.check(&policy.rules, token, now, fetches);
        decide(&check, host).await.map(VerifiedToken::shared)
    }

    /// Looks at a token of this issuer.
    pub(crate) fn check(self: &Arc<Self>, rules: &Rules, text: &str, now: UnixTime, fetches: u8) -> Check {
        UntrustedToken::parse(text)
            .and_then(|token| self.check_token(rules, token, now, fetches))
            .map_or_else(Check::Refused, |(check, _)| check)
    }

    /// Where a look at `token` leads, and the key of a token that passes. A permit that came with the key of one that is refused
    /// goes back.
    fn check_token(
        self: &Arc<Self>,
        rules: &Rules,
        token: UntrustedToken<'_>,
        now: UnixTime,
        fetches: u8,
    ) -> Result<(Check, Option<Arc<VerifyingKey>>), VerifyError> {
        let algorithm = rules.check_header(token.header())?;
        let check = match self.find(token.header().kid(), algorithm, now, fetches) {
            Lookup::Key(key, permit) => {
                let verified = rules.verify(token, &key, now)?;
                return Ok((Check::Verified(Arc::new(verified), permit), Some(key)));
            }
            Lookup::Fetch(permit) => Check::Fetch(permit),
            Lookup::Wait => Check::Wait,
            Lookup::Refused(error) => return Err(error),
            Lookup::Unavailable(why) => Check::Unavailable(why),
        };
        Ok((check, None))
    }
}

/// A look at a token: the time, and the fetches that the request has caused before. Not generic, so that [`decide`] is compiled once.
type Look<'l> = dyn Fn(UnixTime, u8) -> Check + Sync + 'l;

/// Looks at a token until there is a verdict: fetches keys where a look says so, and waits for those that others fetch.
async fn decide(look: &Look<'_>, host: &impl KeyHost) -> Result<Arc<Verified>, VerificationError> {
    let mut fetches = 0;
    for _ in 0..limits::MAX_POLLS {
        match look(host.now(), fetches) {
            Check::Verified(verified, refresh) => {
                in_background(refresh, host);
                return Ok(verified);
            }
            Check::Refused(error) => return Err(VerificationError::Refused(error)),
            Check::Unavailable(why) => return Err(VerificationError::Unavailable(why)),
            Check::Wait => host.sleep(limits::FETCH_POLL_MS).await,
            Check::Fetch(permit) => {
                let contacted_provider = permit.contacted_provider();
                host.spawn(KeyJob::load(permit)).await;
                fetches += u8::from(contacted_provider.load(Ordering::Relaxed));
            }
        }
    }
    Err(VerificationError::Unavailable(unavailable(KeysError::JwksUnreachable)))
}

/// There are no keys, and no pause is known to wait for: the caller may try again in a second.
fn unavailable(error: KeysError) -> KeysUnavailable {
    KeysUnavailable { error, retry_after_s: 1 }
}

/// The verdict of a look that found one. A permit to fetch goes back.
fn decided(check: Check, host: &impl KeyHost) -> Option<Result<Arc<Verified>, VerificationError>> {
    match check {
        Check::Verified(verified, refresh) => {
            in_background(refresh, host);
            Some(Ok(verified))
        }
        Check::Refused(error) => Some(Err(VerificationError::Refused(error))),
        Check::Unavailable(why) => Some(Err(VerificationError::Unavailable(why))),
        Check::Fetch(_) | Check::Wait => None,
    }
}

fn in_background(refresh: Option<Permit>, host: &impl KeyHost) {
    if let Some(permit) = refresh {
        drop(host.spawn(KeyJob::load(permit)));
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("issuer", &self.rules.issuer()).finish_non_exhaustive()
    }
}
