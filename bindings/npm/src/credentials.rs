//! The token of a call.

use alloc::borrow::Cow;
use core::str;

use edgeward::error::VerifyError;
use edgeward::http::{
    Bearer, MALFORMED_AUTHORIZATION, TOKEN_IN_QUERY, bad_request, bearer_token, dpop_token, missing_token, refused,
};
use edgeward::limits;

use crate::messages::Refusal;

/// The forms that the input of [`check`](crate::check) may have.
pub(crate) mod form {
    pub(crate) const TOKEN: u32 = 0;
    /// The value of an `Authorization` header.
    pub(crate) const HEADER: u32 = 1;
    /// A request without that header.
    pub(crate) const NO_HEADER: u32 = 2;
    /// A request with a token in its query.
    pub(crate) const QUERY: u32 = 3;
    /// The value of an `Authorization` header, which may have the scheme `DPoP`.
    pub(crate) const EITHER_SCHEME: u32 = 4;
}

/// Returns the token in the first `len` bytes of the input.
pub(crate) fn token(input: &[u8], form: u32, len: usize) -> Result<&str, Refusal> {
    let bad_request = |message: &'static str| Refusal::new(Cow::Borrowed(message), bad_request(message));
    let missing = || Refusal::new("there is no token".into(), missing_token(None));
    if form != form::NO_HEADER && len > limits::MAX_TOKEN_BYTES + "Bearer ".len() {
        let error = VerifyError::TokenTooLarge { bytes: len };
        return Err(Refusal::new(error.message(), refused(&error)));
    }
    // Cannot fail: JavaScript encodes UTF-8. If it did, the empty text is not a token.
    let text = str::from_utf8(input.get(..len).unwrap_or_default()).unwrap_or_default();
    match form {
        form::TOKEN => Ok(text),
        form::HEADER | form::EITHER_SCHEME => {
            let token = match bearer_token(Some(text)) {
                Bearer::Absent if form == form::EITHER_SCHEME => dpop_token(Some(text)),
                token => token,
            };
            match token {
                Bearer::Token(token) => Ok(token),
                Bearer::Absent => Err(missing()),
                Bearer::Malformed => Err(bad_request(MALFORMED_AUTHORIZATION)),
            }
        }
        form::QUERY => Err(bad_request(TOKEN_IN_QUERY)),
        _ => Err(missing()),
    }
}

/// Returns whether the input is an `Authorization` header with the scheme `DPoP`.
pub(crate) fn has_dpop_scheme(input: &[u8]) -> bool {
    input.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"dpop "))
}
