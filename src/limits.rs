//! Every limit, time and size that decides something, in one place: its unit is in its name, its reason above it.
//!
//! A limit is inclusive: a value equal to it passes, one past it is refused.

/// A compact token, in bytes. Platforms cap a request's header block at 16 to 128 KiB; tokens issued in practice stay
/// under 8 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A decoded JOSE header, in bytes. It is parsed before the signature is checked, so it is kept small.
pub const MAX_HEADER_BYTES: usize = 4 * 1024;

/// A key id (`kid`), in bytes. RFC 7515 §4.1.4 leaves it open; it is compared as opaque bytes.
pub const MAX_KID_BYTES: usize = 256;

/// Nesting of arrays and objects in a JOSE header, the header object itself being the first level.
pub const MAX_HEADER_DEPTH: usize = 16;

/// Nesting of arrays and objects in claims, key sets and configuration; the outermost object is the first level.
pub const MAX_CLAIMS_DEPTH: usize = 64;

/// Nesting of arrays and objects in any JSON text, whatever a caller allows. The parser is recursive and gives up at 128 levels; a
/// level less is seen here, and refused for what it is.
pub const MAX_JSON_DEPTH: usize = 126;

/// Members of one JSON object. Bounds the search for duplicate names.
pub const MAX_OBJECT_MEMBERS: usize = 256;

/// Body of a JWKS, discovery, token or userinfo answer, in bytes; cut off while streaming.
pub const MAX_PROVIDER_BODY_BYTES: usize = 64 * 1024;

/// An entry of the edge cache, in bytes: a JWKS as a JSON string inside JSON.
pub const MAX_EDGE_ENTRY_BYTES: usize = 2 * MAX_PROVIDER_BODY_BYTES + 4096;

/// Keys in one set. Auth0 publishes up to 13 (ten customer keys, current, next, previous).
pub const MAX_KEYS_PER_SET: usize = 100;

/// The gateway's configuration document, in bytes.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// Readings of one request path. Paths that people use have one to ten; URLs inside a path, encoded once and twice, have up to a
/// hundred.
pub const MAX_PATH_READINGS: usize = 160;

/// All readings of one request path together, in bytes. Bounds the work that a long path can ask for.
pub const MAX_PATH_READING_BYTES: usize = 128 * 1024;

/// Patterns that one reading of a path may meet at once, in nodes of the index. Bounds the search where parameters and literals stand
/// side by side on many levels.
pub const MAX_ROUTE_CANDIDATES: usize = 256;

/// Steps of the search for overlapping routes, once at start. A configuration of a thousand routes takes some thousand.
pub const MAX_OVERLAP_STEPS: usize = 200_000;

/// Configurations that one isolate of the Worker keeps compiled, with what each has learnt: keys, known tokens, logins. Each
/// may hold some megabytes, and an isolate has 128. A further one takes the place of the one whose last use is longest ago;
/// when that is used again it begins as in a new isolate.
pub const MAX_GATEWAYS: u32 = 32;

/// Smallest RSA modulus, in bits (RFC 7518 §3.3).
pub const MIN_MODULUS_BITS: usize = 2048;

/// Largest RSA modulus, in bits. The cost of a verification grows with its square.
pub const MAX_MODULUS_BITS: usize = 8192;

/// Largest RSA modulus the gateway accepts unless configured otherwise, in bits: the largest Auth0 issues.
pub const GATEWAY_MAX_MODULUS_BITS: usize = 4096;

/// RSA public exponents are odd, at least 3 and at most 33 bits wide: common practice among verifiers, and the bound
/// on the work that a key can ask for.
pub const MAX_EXPONENT_BITS: usize = 33;

/// `sub` of an ID token, in ASCII characters (OpenID Connect Core §2).
pub const MAX_SUBJECT_BYTES: usize = 255;

/// Room for what nearly every request is decided by, in bytes: the longest token that is not refused for its length, and a URL.
pub const REQUEST_HEAD_BYTES: usize = MAX_TOKEN_BYTES + 8 * 1024;

/// Tolerated difference between the issuer's clock and ours, in seconds, unless configured.
pub const DEFAULT_CLOCK_SKEW_S: u32 = 5;

/// Largest clock skew a policy may ask for, in seconds.
pub const MAX_CLOCK_SKEW_S: u32 = 60;

/// Last instant a `NumericDate` may name: 9999-12-31T23:59:59Z, in seconds.
pub const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// How long a key set counts as fresh when its answer does not say, in seconds.
pub const JWKS_FRESH_DEFAULT_S: i64 = 600;

/// Lower bound on `Cache-Control: max-age` of a key set, in seconds.
pub const JWKS_FRESH_MIN_S: i64 = 60;

/// Upper bound on `Cache-Control: max-age` of a key set, in seconds.
pub const JWKS_FRESH_MAX_S: i64 = 3600;

/// How long the last good key set serves while its provider cannot be reached, in seconds.
pub const JWKS_STALE_ON_ERROR_S: i64 = 24 * 3600;

/// An unknown `kid` causes at most one fetch per issuer in this time, in seconds, failed fetches included.
pub const UNKNOWN_KID_COOLDOWN_S: i64 = 30;

/// First pause after a failed fetch, in seconds; doubled with each further failure.
pub const FETCH_BACKOFF_MIN_S: i64 = 1;

/// Longest pause after failed fetches, in seconds.
pub const FETCH_BACKOFF_MAX_S: i64 = 30;

/// Longest `Retry-After` of a provider that is honoured, in seconds.
pub const RETRY_AFTER_MAX_S: i64 = 300;

/// Time for one attempt at a key set or discovery document, in milliseconds. An attempt that takes it is not repeated at once, as
/// one that ends in a network error is: whoever waits would wait twice as long.
pub const FETCH_TIMEOUT_MS: u32 = 3000;

/// Attempts at a provider that one request may cause.
pub const MAX_FETCHES_PER_REQUEST: u8 = 2;

/// How long a request relies on another request's fetch before it fetches itself, in milliseconds.
pub const FETCH_LEASE_MS: i64 = 500;

/// The same for the discovery document that logins need, in milliseconds. Half of [`FETCH_TIMEOUT_MS`]: a slow provider is asked
/// once, and a connection that hangs does not hold every login up until it is given up.
pub const DISCOVERY_LEASE_MS: i64 = 1500;

/// Looks at shared state before a request gives up, each after a pause or a fetch. Far more than any lease lasts: it ends a loop that
/// only a fault here could begin.
pub const MAX_POLLS: u32 = 1000;

/// Pause between two looks at another request's fetch, in milliseconds.
pub const FETCH_POLL_MS: u32 = 10;

/// How long a discovered `jwks_uri` is reused, in seconds.
pub const DISCOVERY_FRESH_S: i64 = 3600;

/// Verified tokens kept by a verifier, unless configured.
pub const TOKEN_CACHE_ENTRIES: usize = 512;

/// Tokens longer than this are verified each time instead of being kept, in bytes: bounds the cache's memory.
pub const TOKEN_CACHE_MAX_TOKEN_BYTES: usize = 4 * 1024;

/// Opened sessions kept per isolate.
pub const SESSION_CACHE_ENTRIES: usize = 256;

/// Sessions longer than this, sealed, are opened each time, in bytes: bounds the memory of those that are kept.
pub const SESSION_CACHE_MAX_BYTES: usize = 8 * 1024;

/// An access token is refreshed so many seconds before it expires, so that it is still good when the origin reads it; a
/// token of less than twice as many, when half of its life is over, so that it is not refreshed with every request.
pub const REFRESH_AHEAD_S: i64 = 30;

/// Longest life of an access token that is not verified here and of which the token endpoint says nothing, in seconds (RFC 6749
/// §5.1 only recommends `expires_in`).
pub const ACCESS_TOKEN_DEFAULT_S: i64 = 3600;

/// Longest life of an access token that is believed, in seconds: thirty days, the longest that Auth0 allows.
pub const ACCESS_TOKEN_MAX_S: i64 = 2_592_000;

/// A session younger than this is not sent to log in again because its access token has expired, in seconds: the next one would
/// have expired too, and the browser would go round in circles.
pub const FRESH_LOGIN_S: i64 = 60;

/// Logins that one browser can have open at once; the oldest gives way.
pub const MAX_OPEN_LOGINS: usize = 5;

/// How long a login may take, in seconds.
pub const LOGIN_LIFETIME_S: i64 = 600;

/// Login cookies of one request that are looked at.
pub const MAX_LOGIN_COOKIES_READ: usize = 4 * MAX_OPEN_LOGINS;

/// States of finished logins that are remembered. The oldest are forgotten; a code is good once at the provider, too.
pub const MAX_USED_STATES: usize = 4096;

/// A parameter of the login route that is passed on to the provider, in bytes.
pub const MAX_LOGIN_PARAMETER_BYTES: usize = 256;

/// An error code of the provider's, in bytes: longer ones are not shown.
pub const MAX_ERROR_CODE_BYTES: usize = 64;

/// When to try again to log in while the provider cannot be asked, in seconds.
pub const LOGIN_RETRY_AFTER_S: u32 = 5;

/// A path to return to after login, in bytes.
pub const MAX_RETURN_TO_BYTES: usize = 1024;

/// Time for the token endpoint, in milliseconds. A request to it is never repeated once sent.
pub const TOKEN_ENDPOINT_TIMEOUT_MS: u32 = 10_000;

/// How long a refresh may take, with the way to the coordinator and the turn before, in milliseconds.
pub const SHARED_REFRESH_TIMEOUT_MS: u32 = TOKEN_ENDPOINT_TIMEOUT_MS + 5_000;

/// A refresh that has not come back by then is given up, in milliseconds. More than the exchange, its retries and the fetch of new
/// keys may take: a second exchange with a rotated token would end the session.
pub const REFRESH_LEASE_MS: i64 = 60_000;

/// How long an instance remembers what came of a refresh, in milliseconds: requests with the old cookie may still be on their way.
pub const REFRESH_REMEMBERED_MS: i64 = 60_000;

/// How long a failure is remembered, in milliseconds: a provider that is down is not asked for every request.
pub const REFRESH_FAILURE_REMEMBERED_MS: i64 = 5_000;

/// Refreshes that one instance remembers, those under way included.
pub const MAX_REFRESHES: usize = 1024;

/// Outcomes that the coordinator of a session remembers: requests that are on their way may carry a cookie from before the last few
/// refreshes.
pub const MAX_REFRESH_OUTCOMES: usize = 4;

/// Sessions that one instance remembers as ended.
pub const MAX_ENDED_SESSIONS: usize = 4096;

/// Shortest secret that seals sessions, in characters: 128 bits in hexadecimal.
pub const MIN_SECRET_CHARS: usize = 32;

/// Longest time for which browsers may cache the answer to a preflight request, in seconds. Firefox caps it at a day.
pub const MAX_CORS_AGE_S: u32 = 86_400;

/// A session ends when it was not used for so many seconds, unless configured: a day.
pub const SESSION_IDLE_S: u32 = 86_400;

/// A session ends so many seconds after its login, unless configured: three days.
pub const SESSION_ABSOLUTE_S: u32 = 259_200;

/// Shortest configured life of a session, in seconds.
pub const MIN_SESSION_S: u32 = 60;

/// Longest configured life of a session, in seconds: a year.
pub const MAX_SESSION_S: u32 = 31_536_000;

/// Cookies that one value may be cut into.
pub const MAX_COOKIE_CHUNKS: usize = 8;

/// The value of one cookie, in bytes; browsers keep cookies of up to 4,096 bytes, name and attributes included.
pub const MAX_COOKIE_CHUNK_BYTES: usize = 3500;

/// Random bytes in a session's name.
pub const SESSION_ID_BYTES: usize = 16;

/// Values of one session that are tried where several cookies have its name. Honest browsers send one for each `Domain`
/// that was ever set, two or three; each costs one opening.
pub const MAX_COOKIE_VALUES: usize = 8;

/// How long what came of a refresh is kept by the Durable Object, in seconds: requests with an older cookie may come late.
pub const REFRESH_OUTCOME_KEPT_S: i64 = 3600;

/// Time for the Durable Object to be told that a session ended, in milliseconds: the browser waits for it.
pub const SESSION_END_TIMEOUT_MS: u32 = 2_000;
