//! `authorizer.introspection`: opaque access tokens.

use super::declare::section;
use super::forms::{Flag, Url, Whole};
use crate::limits;

section! {
    /// Opaque access tokens: the provider is asked about each (RFC 7662). JWTs are never sent there.
    pub(super) struct IntrospectionConfig {
        /// How long an answer counts, in seconds, and never beyond the token's `exp`. `0`: each request asks.
        cache_s: Whole<0, { limits::MAX_INTROSPECTION_CACHE_S }> = limits::MAX_INTROSPECTION_CACHE_S;
        /// The introspection endpoint. Without it: what discovery says.
        endpoint: Url;
        /// Whether answers must be signed JWTs (RFC 9701). Signed ones are verified in any case.
        signed: Flag = false;
    }
}
