//! What the codes of refusals mean, for operators.

use crate::http::page_texts::message;

/// Codes, and their explanation. Those of logins have that of their page.
const EXPLANATIONS: [(&str, &str); 32] = [
    ("token_missing login_required", "There was neither a token nor a session."),
    ("audience_not_configured", "A token was sent, and no audience is configured that it could be for."),
    ("bearer_not_accepted", "A token was sent to a route that accepts sessions only."),
    ("invalid_request", "Two tokens, a malformed one, or one in the query."),
    ("audience_mismatch", "The token is for another API, or for the login client."),
    ("issuer_mismatch", "The token is from another issuer."),
    ("token_malformed", "Not a signed JWT. Providers issue opaque tokens if no audience is requested."),
    ("token_too_large token_encrypted", "The token is larger than 16 KiB, or encrypted."),
    ("token_expired token_too_old", "The token has expired, or is older than authorizer.max_token_age_s."),
    ("token_not_yet_valid token_issued_in_future", "The token is from the future: compare the clocks."),
    ("key_not_found", "No key of the issuer has the token's kid."),
    ("key_ambiguous", "The token does not name exactly one key."),
    (
        "key_alg_mismatch alg_not_allowed",
        "The token's algorithm is not that of its key, or not in authorizer.algorithms.",
    ),
    ("signature_invalid", "The token was altered, or its key was replaced under the same kid."),
    ("typ_not_allowed token_kind_mismatch", "Another kind of token, such as an ID token."),
    ("crit_not_supported b64_not_supported", "The token's header requires an extension."),
    (
        "claim_missing claim_malformed claim_mismatch",
        "A claim of the token is missing, malformed or has another value.",
    ),
    ("token_sender_constrained", "The token is bound to its sender, and proofs are not verified."),
    (
        "permissions_claim_missing roles_claim_missing",
        "The token has no claim with permissions or roles: add it at the provider.",
    ),
    (
        "insufficient_scope insufficient_permissions insufficient_role",
        "The caller has not been granted a right that the route requires.",
    ),
    (
        "client_not_allowed organization_not_allowed audience_not_allowed claim_not_allowed",
        "The token is valid, but not for the required client, organization, audience or claim.",
    ),
    ("cross_site_request", "Another site made a browser send it."),
    (
        "jwks_unreachable jwks_invalid jwks_no_usable_key",
        "The issuer's keys could not be fetched or used: see its last fetch below.",
    ),
    ("algorithm_unsupported async_required", "The platform cannot verify ES256, ES384 or EdDSA."),
    (
        "userinfo_issuer_mismatch userinfo_token_bound userinfo_token_refused",
        "The provider's userinfo does not accept this token.",
    ),
    ("refresh_unavailable", "The token endpoint or EDGEWARD_SESSIONS does not respond."),
    (
        "session_ended no_session no_refresh_token",
        "The session was logged out, ended by the provider, or cannot be refreshed.",
    ),
    ("origin_timeout origin_unreachable", "The origin did not respond in time, or not at all."),
    ("not_found method_not_allowed", "No route has this path, or not with this method."),
    ("misdirected_request", "No authorizer is configured for the host."),
    ("path_ambiguous path_invalid", "Servers could read the path in different ways; scanners send such."),
    ("config_invalid", "A service binding of the route is missing."),
];

/// Returns the explanation of a code.
pub(super) fn explanation(code: &str) -> &'static str {
    let found = EXPLANATIONS.iter().find(|(codes, _)| codes.split(' ').any(|one| one == code));
    found.map_or_else(|| message("400", code), |(_, text)| text)
}
