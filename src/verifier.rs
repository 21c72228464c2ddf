//! The whole of verification as one call: policy, keys and cache of one or more issuers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::error::VerifyError;
use crate::io::UnixTime;
use crate::jwk::{Fetched, KeyCache, KeysError, Lookup, Permit, VerifyingKey};
use crate::jwt::{Policy, TokenCache, UntrustedToken, VerifiedToken};
use crate::limits;

/// Verifies tokens of one or more issuers, each with its own policy and its own keys.
///
/// Sans-IO: [`check`](Self::check) either decides or says what to fetch.
#[derive(Debug)]
pub struct Verifier {
    issuers: Vec<Issuer>,
    tokens: TokenCache,
}

#[derive(Debug)]
struct Issuer {
    policy: Policy,
    keys: KeyCache,
}

/// Where a check stands.
#[derive(Debug)]
pub enum Check {
    /// The token is genuine and satisfies the policy. If there is a refresh, run it in the background.
    Verified(Arc<VerifiedToken>, Option<Refresh>),
    /// It is not, or does not.
    Refused(VerifyError),
    /// Keys are needed: run the refresh, [`store`](Verifier::store) its outcome, and check again.
    Fetch(Refresh),
    /// Another request is fetching the keys: wait [`limits::FETCH_POLL_MS`] and check again.
    Wait,
    /// There are no keys to decide with.
    Unavailable {
        /// Why.
        error: KeysError,
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
}

/// A permit to fetch, and whose keys it is for.
#[derive(Debug)]
pub struct Refresh {
    issuer: usize,
    /// What to do, step by step.
    pub permit: Permit,
}

impl Refresh {
    /// Which issuer [`Verifier::store`] files the outcome under.
    #[must_use]
    pub fn issuer(&self) -> usize {
        self.issuer
    }
}

impl Verifier {
    /// A verifier of one issuer.
    #[must_use]
    pub fn new(policy: Policy, keys: KeyCache) -> Self {
        Self { issuers: Vec::from([Issuer { policy, keys }]), tokens: TokenCache::new(limits::TOKEN_CACHE_ENTRIES) }
    }

    /// Adds another issuer. A token is verified with the policy and keys of the issuer it names, never another's.
    #[must_use]
    pub fn and_issuer(mut self, policy: Policy, keys: KeyCache) -> Self {
        self.issuers.push(Issuer { policy, keys });
        self
    }

    /// Keeps about so many verified tokens; 0 keeps none.
    #[must_use]
    pub fn cache_entries(mut self, entries: usize) -> Self {
        self.tokens = TokenCache::new(entries);
        self
    }

    /// Checks the token `text` as of `now`. `fetches` counts the fetches that this request has caused before.
    pub fn check(&mut self, text: &str, now: UnixTime, fetches: u8) -> Check {
        if let Some(known) = self.tokens.find(text).cloned()
            && let Some(issuer) = self.issuers.get_mut(known.issuer)
        {
            let header = known.token.header();
            let key = match header.algorithm() {
                Some(algorithm) => issuer.keys.find(header.kid(), algorithm, now, fetches),
                None => Lookup::Refused(VerifyError::KeyNotFound),
            };
            match key {
                Lookup::Key(key, permit) if Arc::ptr_eq(&key, &known.key) => {
                    return match issuer.policy.recheck(&known.token, now) {
                        Ok(()) => {
                            Check::Verified(known.token, permit.map(|permit| Refresh { issuer: known.issuer, permit }))
                        }
                        Err(error) => {
                            issuer.keys.take_back(permit);
                            self.tokens.remove(text);
                            Check::Refused(error)
                        }
                    };
                }
                Lookup::Fetch(permit) => return Check::Fetch(Refresh { issuer: known.issuer, permit }),
                // The key is gone or replaced: the token stands or falls anew.
                other => {
                    if let Lookup::Key(_, permit) = other {
                        issuer.keys.take_back(permit);
                    }
                    self.tokens.remove(text);
                }
            }
        }
        match self.check_anew(text, now, fetches) {
            Ok(check) => check,
            Err(error) => Check::Refused(error),
        }
    }

    /// The time, around `now`, in which [`check`](Self::check) of `text` gives the verdict it has just given, a pass without a
    /// refresh, as long as nothing is [`store`](Self::store)d. None if there is no such time, or the token is not kept.
    #[must_use]
    pub fn settled(&self, text: &str, now: UnixTime) -> Option<Range<UnixTime>> {
        let known = self.tokens.find(text)?;
        let issuer = self.issuers.get(known.issuer)?;
        let header = known.token.header();
        let (key, keys) = issuer.keys.settled(header.kid(), header.algorithm()?, now)?;
        let token = issuer.policy.period(&known.token);
        let both = keys.start.max(token.start)..keys.end.min(token.end);
        (Arc::ptr_eq(key, &known.key) && both.contains(&now)).then_some(both)
    }

    /// Checks `text` with the keys of the first issuer, but with `policy`; keeps nothing. For ID tokens, whose policy is made
    /// for each login.
    pub fn check_as(&mut self, policy: &Policy, text: &str, now: UnixTime, fetches: u8) -> Check {
        let Some(issuer) = self.issuers.first_mut() else { return Check::Refused(VerifyError::KeyNotFound) };
        let check = UntrustedToken::parse(text)
            .and_then(|token| decide(Issued { by: 0, keys: &mut issuer.keys, policy }, token, now, fetches));
        check.map_or_else(Check::Refused, |(check, _)| check)
    }

    fn check_anew(&mut self, text: &str, now: UnixTime, fetches: u8) -> Result<Check, VerifyError> {
        let token = UntrustedToken::parse(text)?;
        let index = match self.issuers.as_slice() {
            [_] => 0,
            several => {
                let named = token.unverified_issuer()?;
                several.iter().position(|one| one.policy.issuer() == named).ok_or(VerifyError::IssuerMismatch)?
            }
        };
        let Some(issuer) = self.issuers.get_mut(index) else { return Err(VerifyError::IssuerMismatch) };
        let Issuer { keys, policy } = issuer;
        let (check, key) = decide(Issued { by: index, keys, policy }, token, now, fetches)?;
        if let (Check::Verified(verified, _), Some(key)) = (&check, key) {
            self.tokens.insert(text, index, key, Arc::clone(verified));
        }
        Ok(check)
    }

    /// Takes back a refresh that will not be used, so that the next check that needs one gets it at once.
    pub fn take_back(&mut self, refresh: Refresh) {
        if let Some(issuer) = self.issuers.get_mut(refresh.issuer) {
            issuer.keys.take_back(Some(refresh.permit));
        }
    }

    /// Takes the outcome of a fetch.
    ///
    /// # Errors
    /// Why it failed; noted already.
    pub fn store(&mut self, issuer: usize, fetched: Fetched, now: UnixTime) -> Result<(), KeysError> {
        self.issuers.get_mut(issuer).map_or(Ok(()), |issuer| issuer.keys.store(fetched, now))
    }

    /// Permits to load the keys of every issuer that lacks fresh ones.
    pub fn warm_up(&mut self, now: UnixTime) -> Vec<Refresh> {
        (0..)
            .zip(&mut self.issuers)
            .filter_map(|(issuer, one)| one.keys.warm_up(now).map(|permit| Refresh { issuer, permit }))
            .collect()
    }

    /// About how many verified tokens are kept.
    #[must_use]
    pub fn cached_entries(&self) -> usize {
        self.tokens.entries()
    }

    /// The key caches, one per issuer.
    pub fn keys(&self) -> impl Iterator<Item = &KeyCache> {
        self.issuers.iter().map(|issuer| &issuer.keys)
    }
}

/// Whose token is looked at: its issuer's number and keys, and the policy to apply.
struct Issued<'v> {
    by: usize,
    keys: &'v mut KeyCache,
    policy: &'v Policy,
}

/// Where a check of `token` stands, and the key of a token that passes. A permit that came with the key of one that is refused
/// goes back.
fn decide(
    issued: Issued<'_>,
    token: UntrustedToken<'_>,
    now: UnixTime,
    fetches: u8,
) -> Result<(Check, Option<Arc<VerifyingKey>>), VerifyError> {
    let Issued { by: issuer, keys, policy } = issued;
    let algorithm = policy.check_header(token.header())?;
    let check = match keys.find(token.header().kid(), algorithm, now, fetches) {
        Lookup::Key(key, permit) => match policy.verify(token, &key, now) {
            Ok(verified) => {
                let refresh = permit.map(|permit| Refresh { issuer, permit });
                return Ok((Check::Verified(Arc::new(verified), refresh), Some(key)));
            }
            Err(error) => {
                keys.take_back(permit);
                return Err(error);
            }
        },
        Lookup::Fetch(permit) => Check::Fetch(Refresh { issuer, permit }),
        Lookup::Wait => Check::Wait,
        Lookup::Refused(error) => return Err(error),
        Lookup::Unavailable { error, retry_after_s } => Check::Unavailable { error, retry_after_s },
    };
    Ok((check, None))
}
