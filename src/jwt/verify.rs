//! The checks of signature and claims.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::claims::{Registered, Shown, text};
use super::policy::{AccessRules, Any, Id, IdRules, Kind, Rules, Statement};
use super::token::{Header, UntrustedToken, parse_claims};
use super::verified::{Times, Verified, VerifiedToken};
use super::{Algorithm, Claims, Profile};
use crate::base64url;
use crate::crypto::equal_in_constant_time;
#[cfg(feature = "gateway")]
use crate::error::Malformed;
use crate::error::{AudienceHint, ClaimName, Mismatch, TokenKind, VerifyError};
use crate::io::UnixTime;
use crate::json::{Document, Value};
use crate::jwk::VerifyingKey;
use crate::limits;
use crate::url::tenant_in;

impl Rules {
    /// Checks `alg`, `crit` and `b64`, before a key is looked up.
    pub(crate) fn check_header(&self, header: &Header) -> Result<Algorithm, VerifyError> {
        let got = header.algorithm();
        let algorithm = got.filter(|got| self.algorithms.contains(got));
        let algorithm =
            algorithm.ok_or_else(|| VerifyError::AlgNotAllowed { allowed: self.algorithms.clone(), got })?;
        if header.has_crit {
            return Err(VerifyError::CritNotSupported);
        }
        if header.has_b64 {
            return Err(VerifyError::B64NotSupported);
        }
        Ok(algorithm)
    }

    /// Verifies the signature, then the claims.
    pub(crate) fn verify(
        &self,
        token: UntrustedToken<'_>,
        key: &VerifyingKey,
        now: UnixTime,
    ) -> Result<Verified, VerifyError> {
        let algorithm = self.check_header(&token.header)?;
        token.verify_signature(key, algorithm)?;
        self.verify_claims(token, key, algorithm, now)
    }

    /// Verifies the claims of a token whose header and signature were verified; they are parsed from the very bytes that were signed.
    pub(crate) fn verify_claims(
        &self,
        token: UntrustedToken<'_>,
        key: &VerifyingKey,
        algorithm: Algorithm,
        now: UnixTime,
    ) -> Result<Verified, VerifyError> {
        self.accept(token.header, parse_claims(token.payload)?, Some(key), now, algorithm)
    }

    /// Checks what an issuer says of an opaque token as if it were the token's claims.
    #[cfg(feature = "gateway")]
    pub(crate) fn verify_introspected(&self, document: Document, now: UnixTime) -> Result<Verified, VerifyError> {
        let header = Header::absent().ok_or(VerifyError::TokenMalformed(Malformed::Header))?;
        // An algorithm matters to ID tokens only.
        self.accept(header, document, None, now, Algorithm::Rs256)
    }

    /// Checks the claims of a token, whose signature was verified with `key`; without a key, what its issuer says of it, which has no `typ`.
    fn accept(
        &self,
        header: Header,
        document: Document,
        key: Option<&VerifyingKey>,
        now: UnixTime,
        algorithm: Algorithm,
    ) -> Result<Verified, VerifyError> {
        let registered = Registered::read(&document)?;
        if key.is_some() {
            self.check_typ(&header)?;
        }
        let times = self.check_claims(&header, &registered, key, now.secs(), algorithm)?;
        // ID tokens are not sent as credentials.
        let binding = registered.binding.filter(|_| matches!(self.kind, Kind::Access(_)));
        let claims = Claims(document);
        self.check_requirements(&claims)?;
        Ok(Verified { header, claims, times, binding: binding.map(Box::new) })
    }

    /// Repeats the checks that depend on the time.
    pub(crate) fn recheck(&self, token: &Verified, now: UnixTime) -> Result<(), VerifyError> {
        self.check_times(&token.times, now.secs())
    }

    /// Returns a period in which [`recheck`](Self::recheck) succeeds, in whole seconds; it may end up to a second early.
    pub(crate) fn valid_period(&self, token: &Verified) -> Range<UnixTime> {
        let Times { nbf, iat, until, .. } = token.times;
        let until = until + f64::from(self.clock_skew_s);
        let first = |time: f64| {
            let whole = time as i64;
            whole.saturating_add(i64::from((whole as f64) < time)).saturating_sub(self.clock_skew_s.into())
        };
        let from = nbf.into_iter().chain(iat).map(first).max().unwrap_or(i64::MIN);
        UnixTime::from_secs(from)..UnixTime::from_secs(until as i64)
    }

    fn check_times(&self, times: &Times, now: i64) -> Result<(), VerifyError> {
        let (clock, skew) = (now as f64, f64::from(self.clock_skew_s));
        if clock >= times.exp + skew {
            return Err(VerifyError::TokenExpired { exp: times.exp as i64, now });
        }
        if let Some(nbf) = times.nbf.filter(|nbf| clock + skew < *nbf) {
            return Err(VerifyError::TokenNotYetValid { nbf: nbf as i64, now });
        }
        if let Some(iat) = times.iat.filter(|iat| clock + skew < *iat) {
            return Err(VerifyError::TokenIssuedInFuture { iat: iat as i64, now });
        }
        if let Some(max_age_s) = self.max_age_s {
            let iat = required("iat", times.iat)?;
            if clock >= iat + f64::from(max_age_s) + skew {
                return Err(VerifyError::TokenTooOld { iat: iat as i64, max_age_s });
            }
        }
        Ok(())
    }

    fn check_claims(
        &self,
        header: &Header,
        claims: &Registered<'_>,
        key: Option<&VerifyingKey>,
        now: i64,
        algorithm: Algorithm,
    ) -> Result<Times, VerifyError> {
        let is = |statement| matches!(self.kind, Kind::Id(IdRules { statement: one, .. }) if one == statement);
        let (is_userinfo, is_answer) = (is(Statement::Userinfo), is(Statement::Introspection));
        if !is_userinfo || claims.iss.is_some() {
            self.check_issuer(claims, key)?;
        }
        if !is_userinfo || claims.aud.is_some() {
            self.check_audience(header, claims)?;
        }
        let exp = claims.exp.or((is_userinfo || is_answer).then_some(f64::INFINITY));
        let exp = required("exp", exp)?;
        let until = self.max_age_s.zip(claims.iat).map_or(exp, |(age, iat)| exp.min(iat + f64::from(age)));
        let times = Times { exp, nbf: claims.nbf, iat: claims.iat, until };
        self.check_times(&times, now)?;
        if !is_userinfo && !is_answer && !is(Statement::Logout) {
            self.check_kind(header, claims, algorithm)?;
        }
        Ok(times)
    }

    fn check_typ(&self, header: &Header) -> Result<(), VerifyError> {
        let expected: &[&str] = match &self.kind {
            Kind::Access(AccessRules { profile: Profile::Auto, .. }) => &["JWT", "at+jwt"],
            Kind::Access(AccessRules { profile: Profile::Rfc9068, .. }) => &["at+jwt"],
            Kind::Id(IdRules { statement: Statement::Introspection, .. }) => &["token-introspection+jwt"],
            Kind::Access(AccessRules { profile: Profile::Auth0, .. }) | Kind::Id(_) => &["JWT"],
        };
        let may_be_absent = expected.contains(&"JWT");
        let types = || expected.iter().copied().chain(self.types.iter().map(String::as_str));
        if header.typ().map_or(may_be_absent, |typ| types().any(|one| typ.eq_ignore_ascii_case(one))) {
            return Ok(());
        }
        let types: Vec<&str> = types().collect();
        Err(VerifyError::TypNotAllowed(Mismatch::new(&types, header.typ().as_slice())))
    }

    fn check_issuer(&self, claims: &Registered<'_>, key: Option<&VerifyingKey>) -> Result<(), VerifyError> {
        let issuer = required("iss", claims.iss)?;
        let mismatch = || Err(VerifyError::IssuerMismatch(Mismatch::new(&[&self.issuer], &[issuer])));
        // A set that tenants share also has keys that sign for one of them only.
        if key.is_some_and(|key| !key.serves(issuer)) {
            return mismatch();
        }
        let Some(tenants) = &self.tenants else {
            return if issuer == self.issuer { Ok(()) } else { mismatch() };
        };
        let tenant = match tenants.single() {
            Some(tenant) => Some(tenant).filter(|_| issuer == self.issuer),
            None => tenant_in(&self.issuer, issuer).filter(|tenant| tenants.contains(tenant)),
        };
        let Some(tenant) = tenant else { return mismatch() };
        let named = required("tid", text("tid", claims.tid)?)?;
        if named == tenant {
            return Ok(());
        }
        let mismatch = Mismatch::new(&texts(tenants.ids()), &[named]);
        Err(VerifyError::ClaimMismatch { claim: ClaimName::Registered("tid"), mismatch })
    }

    fn check_audience(&self, header: &Header, claims: &Registered<'_>) -> Result<(), VerifyError> {
        if self.audience.is_empty() {
            let Some(audience) = claims.aud else { return Ok(()) };
            let found: Vec<&str> = audience.iter().collect();
            let mismatch = Mismatch::new(&[], &found);
            return Err(VerifyError::AudienceMismatch { mismatch, hint: AudienceHint::Unexpected });
        }
        let audience = required("aud", claims.aud)?;
        let accepted = match &self.kind {
            Kind::Access(_) | Kind::Id(IdRules { statement: Statement::Introspection, .. }) => {
                self.audience.iter().any(|one| audience.contains(one))
            }
            // OpenID Connect Core §3.1.3.7, 3: the client is listed, and every other audience is trusted.
            Kind::Id(IdRules { client_id, .. }) => {
                audience.contains(client_id)
                    && audience.iter().all(|one| self.audience.iter().any(|trusted| trusted == one))
            }
        };
        if accepted {
            return Ok(());
        }
        let hint = match &self.kind {
            Kind::Access(_) if claims.kind(header.is_at_jwt()) == Shown::Id => AudienceHint::IdToken,
            Kind::Access(AccessRules { login_client: Some(client), .. }) if audience.contains(client) => {
                AudienceHint::LoginClient
            }
            Kind::Id(IdRules { client_id, .. }) if audience.contains(client_id) => AudienceHint::Untrusted,
            _ => AudienceHint::None,
        };
        let (expected, found): (Vec<&str>, Vec<&str>) = (texts(&self.audience), audience.iter().collect());
        Err(VerifyError::AudienceMismatch { mismatch: Mismatch::new(&expected, &found), hint })
    }

    /// Checks the rules for one kind of token, so that no kind is accepted in place of another (RFC 8725 §3.12).
    fn check_kind(&self, header: &Header, claims: &Registered<'_>, algorithm: Algorithm) -> Result<(), VerifyError> {
        let expected = match self.kind {
            Kind::Access(_) => TokenKind::Access,
            Kind::Id(_) => TokenKind::Id,
        };
        let mismatch = |actual| Err(VerifyError::TokenKindMismatch { expected, actual });
        match (claims.kind(header.is_at_jwt()), expected) {
            (Shown::Other, _) => return mismatch(None),
            (Shown::Id, TokenKind::Access) => return mismatch(Some(TokenKind::Id)),
            (Shown::Access, TokenKind::Id) => return mismatch(Some(TokenKind::Access)),
            _ => {}
        }
        match &self.kind {
            Kind::Access(AccessRules { profile, clients, .. }) => {
                if *profile == Profile::Rfc9068 {
                    // RFC 9068 §2.2
                    required("sub", claims.sub)?;
                    required("client_id", text("client_id", claims.client_id)?)?;
                    required("iat", claims.iat)?;
                    required("jti", text("jti", claims.jti)?)?;
                }
                // A client that is no text is none of the list, and hides no other claim.
                let client = claims.client_id.or(claims.azp).and_then(Value::as_str);
                let is_listed = client.is_some_and(|client| clients.iter().any(|one| one == client));
                if !clients.is_empty() && !is_listed {
                    return Err(VerifyError::ClientNotAllowed(Mismatch::new(&texts(clients), client.as_slice())));
                }
            }
            Kind::Id(IdRules { client_id, clients, nonce, at_hash, .. }) => {
                let subject = required("sub", claims.sub)?;
                // OpenID Connect Core §2: at most 255 ASCII characters.
                if subject.is_empty() || subject.len() > limits::MAX_SUBJECT_BYTES || !subject.is_ascii() {
                    return Err(VerifyError::claim_malformed("sub"));
                }
                required("iat", claims.iat)?;
                let several = claims.aud.is_some_and(|audience| audience.iter().nth(1).is_some());
                match text("azp", claims.azp)? {
                    Some(azp) if azp != client_id && !clients.iter().any(|client| client == azp) => {
                        let mut expected = texts(clients);
                        expected.insert(0, client_id);
                        return Err(VerifyError::AzpMismatch(Mismatch::new(&expected, &[azp])));
                    }
                    None if several => return Err(VerifyError::claim_missing("azp")),
                    _ => {}
                }
                if let Some(sent) = nonce {
                    check_nonce(claims.nonce, sent)?;
                }
                if let Some(access_token) = at_hash {
                    check_at_hash(claims.at_hash, &access_token.0, algorithm)?;
                }
            }
        }
        Ok(())
    }

    fn check_requirements(&self, claims: &Claims) -> Result<(), VerifyError> {
        for (name, expected) in &self.required {
            let claim = || ClaimName::Configured(name.clone());
            let value = claims.present(name).ok_or_else(|| VerifyError::ClaimMissing { claim: claim() })?;
            if let Some(expected) = expected
                && value.as_str() != Some(expected)
            {
                let mismatch = Mismatch::new(&[expected], value.as_str().as_slice());
                return Err(VerifyError::ClaimMismatch { claim: claim(), mismatch });
            }
        }
        self.requirements.check(claims).map_err(VerifyError::Forbidden)
    }
}

impl VerifiedToken<Id> {
    /// Checks the `nonce`, for callers whose policy outlives a login; see [`Policy::nonce`](super::Policy::nonce).
    ///
    /// # Errors
    /// `claim_missing` or `nonce_mismatch`.
    pub fn check_nonce(&self, sent: &str) -> Result<(), VerifyError> {
        self.token.check_nonce(sent)
    }

    /// Checks that `at_hash`, if present, matches this access token; see [`Policy::at_hash_of`](super::Policy::at_hash_of).
    ///
    /// # Errors
    /// `at_hash_mismatch`.
    pub fn check_at_hash(&self, access_token: &str) -> Result<(), VerifyError> {
        self.token.check_at_hash(access_token)
    }
}

/// For policies of ID tokens.
impl VerifiedToken<Any> {
    /// Checks the `nonce`.
    ///
    /// # Errors
    /// `claim_missing` or `nonce_mismatch`.
    pub fn check_nonce(&self, sent: &str) -> Result<(), VerifyError> {
        self.token.check_nonce(sent)
    }

    /// Checks that `at_hash`, if present, matches this access token.
    ///
    /// # Errors
    /// `at_hash_mismatch`.
    pub fn check_at_hash(&self, access_token: &str) -> Result<(), VerifyError> {
        self.token.check_at_hash(access_token)
    }
}

impl Verified {
    fn check_nonce(&self, sent: &str) -> Result<(), VerifyError> {
        check_nonce(self.claims.present("nonce"), sent)
    }

    fn check_at_hash(&self, access_token: &str) -> Result<(), VerifyError> {
        let algorithm = self.header.algorithm().ok_or(VerifyError::AtHashMismatch)?;
        check_at_hash(self.claims.present("at_hash"), access_token, algorithm)
    }
}

#[cold]
fn texts(texts: &[String]) -> Vec<&str> {
    texts.iter().map(String::as_str).collect()
}

/// Returns a claim that must be present.
fn required<T>(name: &'static str, claim: Option<T>) -> Result<T, VerifyError> {
    claim.ok_or_else(|| VerifyError::claim_missing(name))
}

fn check_nonce(got: Option<Value<'_>>, sent: &str) -> Result<(), VerifyError> {
    let got = required("nonce", text("nonce", got)?)?;
    if equal_in_constant_time(got.as_bytes(), sent.as_bytes()) { Ok(()) } else { Err(VerifyError::NonceMismatch) }
}

/// Checks that `at_hash` is the left half of the hash of the access token (OpenID Connect Core §3.1.3.6).
fn check_at_hash(got: Option<Value<'_>>, access_token: &str, algorithm: Algorithm) -> Result<(), VerifyError> {
    let Some(got) = text("at_hash", got)? else { return Ok(()) };
    let digest = algorithm.hash().digest(&[access_token.as_bytes()]);
    let half = digest.as_ref().get(..algorithm.hash().len() / 2).unwrap_or_default();
    // Decoding accepts one text for these bytes only.
    if base64url::decode(got.as_bytes()).is_ok_and(|got| got == half) {
        Ok(())
    } else {
        Err(VerifyError::AtHashMismatch)
    }
}

#[cfg(all(test, feature = "gateway"))]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use crate::io::UnixTime;
    use crate::json::Document;
    use crate::jwt::{Algorithm, Policy};

    const START: i64 = 1_700_000_000;

    /// Outside the period a cached token is checked again; inside it is not, so the period must not be too long.
    #[test]
    fn the_valid_period_is_that_of_the_checks_but_for_a_last_second() {
        for fraction in ["", ".0", ".001", ".5", ".999"] {
            for dates in ["", "nbf", "iat", "nbf iat"] {
                for (skew, age) in [(0, None), (5, None), (60, None), (0, Some(30)), (5, Some(30)), (5, Some(300))] {
                    let starts: String =
                        dates.split_whitespace().map(|name| format!(r#","{name}":{START}{fraction}"#)).collect();
                    let exp = START + 100;
                    let claims = format!(r#"{{"iss":"i","aud":"a","sub":"s","exp":{exp}{fraction}{starts}}}"#);
                    let policy = Policy::access_token("i", ["a"], &[Algorithm::Rs256]).unwrap();
                    let mut policy = policy.clock_skew_s(skew).unwrap();
                    if let Some(age) = age.filter(|_| dates.contains("iat")) {
                        policy = policy.max_age_s(age);
                    }
                    let document = Document::parse(claims.clone().into_bytes(), 4).unwrap();
                    let rules = &policy.rules;
                    let token = rules.verify_introspected(document, UnixTime::from_secs(START + 10)).unwrap();
                    let period = rules.valid_period(&token);
                    for now in (START - 70..START + 170).map(UnixTime::from_secs) {
                        let is_valid = rules.recheck(&token, now).is_ok();
                        let may_end_here = !["", ".0"].contains(&fraction) && now == period.end;
                        let expected = is_valid && !may_end_here;
                        assert_eq!(period.contains(&now), expected, "{claims}, skew {skew}, age {age:?}: {now:?}");
                    }
                }
            }
        }
    }
}
