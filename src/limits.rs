//! Every limit, duration and size that decides something, with its unit in its name and its reason above it.
//!
//! Limits are inclusive: a value equal to the limit passes.

pub use edgeward_rsa::limits::{MAX_EXPONENT_BITS, MAX_MODULUS_BITS, MIN_MODULUS_BITS};

/// Longest compact token, in bytes. Platforms cap a request's headers at 16 to 128 KiB; tokens issued in practice stay
/// under 8 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Longest decoded JOSE header, in bytes. It is parsed before the signature is verified, so it is kept small.
pub const MAX_HEADER_BYTES: usize = 4 * 1024;

/// Longest key id (`kid`), in bytes. RFC 7515 §4.1.4 sets no limit; it is compared as opaque bytes.
pub const MAX_KID_BYTES: usize = 256;

/// Deepest nesting of arrays and objects in a JOSE header; the header itself is the first level.
pub const MAX_HEADER_DEPTH: usize = 16;

/// Most names and values in a JOSE header, at all levels together. Headers in practice have ten to thirty; 4 KiB hold two thousand, whose
/// parsing would cost several times the signature.
pub const MAX_HEADER_VALUES: usize = 256;

/// Deepest nesting of arrays and objects in claims, key sets and configuration; the outermost object is the first level.
pub const MAX_CLAIMS_DEPTH: usize = 64;

/// Deepest nesting of arrays and objects in any JSON text, whatever a caller allows. The parser is recursive and stops at 128 levels;
/// refusing nesting before that gives the right error.
pub const MAX_JSON_DEPTH: usize = 126;

/// Most members of one JSON object. Bounds the search for duplicate names.
pub const MAX_OBJECT_MEMBERS: usize = 4096;

/// Longest body of a response of the provider's other endpoints (token, userinfo, introspection, revocation, pushed requests), in bytes;
/// enforced while streaming.
pub const MAX_PROVIDER_BODY_BYTES: usize = 64 * 1024;

/// Longest body of a JWKS or discovery response, in bytes; enforced while streaming. Some sets have certificate chains, or many keys of other kinds.
pub const MAX_KEY_SET_BYTES: usize = 512 * 1024;

/// Longest entry of the edge cache, in bytes: a JWKS as a JSON string inside JSON.
pub const MAX_EDGE_ENTRY_BYTES: usize = 2 * MAX_KEY_SET_BYTES + 4096;

/// How long an entry of the edge cache is waited for, in milliseconds: far more than a data center's cache takes. Then the provider is asked.
pub const EDGE_TIMEOUT_MS: u32 = 500;

/// Most keys in one set. Providers publish up to 180, most of them of other kinds.
pub const MAX_KEYS_PER_SET: usize = 1000;

/// Most entries of a key's `key_ops`, which is searched for duplicates. RFC 7517 §4.3 defines eight.
pub const MAX_KEY_OPERATIONS: usize = 16;

/// Longest value of a token, or text of a provider, that a message or log line shows, in bytes.
pub const MAX_SHOWN_VALUE_BYTES: usize = 200;

/// Shortest word in a text of a provider that is not shown, because it could be a code, a token or a secret; in bytes.
pub const MIN_SECRET_WORD_BYTES: usize = 20;

/// Skipped keys of a set whose reasons an error or a log line tells: enough to see what is wrong.
pub const MAX_REASONS: usize = 8;

/// Longest configuration document of the gateway, in bytes.
pub const MAX_CONFIG_BYTES: usize = 1024 * 1024;

/// Most readings of one request path. Paths in practice have one to ten; those with an encoded URL inside, up to a hundred.
pub const MAX_PATH_READINGS: usize = 160;

/// All readings of one request path together, in bytes. Bounds the work that a long path can cause.
pub const MAX_PATH_READING_BYTES: usize = 128 * 1024;

/// Most rounds of normalizing a path segment, which is repeated until nothing changes. No text is known to need more.
pub const MAX_NORMALIZATION_ROUNDS: usize = 4;

/// Most patterns that one reading of a path may match at once, in nodes of the index. Bounds the search where parameters and literals
/// alternate on many levels.
pub const MAX_ROUTE_CANDIDATES: usize = 256;

/// Most steps in the search for overlapping routes, once at start. A configuration of a thousand routes takes a few thousand.
pub const MAX_OVERLAP_STEPS: usize = 200_000;

/// Most compiled configurations in one isolate of the Worker, each with its caches of keys, tokens and logins. Each may hold some
/// megabytes, and an isolate has 128. A further one replaces the least recently used, which starts afresh when it is used again.
pub const MAX_GATEWAYS: u32 = 32;

/// Largest RSA modulus the gateway accepts unless configured otherwise, in bits: the largest Auth0 issues.
pub const GATEWAY_MAX_MODULUS_BITS: usize = 4096;

/// Longest `sub` of an ID token, in ASCII characters (OpenID Connect Core §2).
pub const MAX_SUBJECT_BYTES: usize = 255;

/// Size of the buffer for a request's head, in bytes: the longest accepted token and a URL.
pub const REQUEST_HEAD_BYTES: usize = MAX_TOKEN_BYTES + 8 * 1024;

/// Tolerated difference between the issuer's clock and ours, in seconds, unless configured.
pub const DEFAULT_CLOCK_SKEW_S: u32 = 5;

/// Largest clock skew that a policy may tolerate, in seconds.
pub const MAX_CLOCK_SKEW_S: u32 = 60;

/// Latest `NumericDate`: 9999-12-31T23:59:59Z, in seconds.
pub const MAX_NUMERIC_DATE: f64 = 253_402_300_799.0;

/// Freshness lifetime of a key set whose response does not state one, in seconds.
pub const JWKS_FRESH_DEFAULT_S: i64 = 600;

/// Lower bound on `Cache-Control: max-age` of a key set, in seconds.
pub const JWKS_FRESH_MIN_S: i64 = 60;

/// Upper bound on `Cache-Control: max-age` of a key set, in seconds.
pub const JWKS_FRESH_MAX_S: i64 = 3600;

/// How long the last good key set is used while its provider is unreachable, in seconds.
pub const JWKS_STALE_ON_ERROR_S: i64 = 24 * 3600;

/// Shortest time between two fetches of one issuer's keys for a key that the set does not have, in seconds, failed fetches included.
pub const UNKNOWN_KID_COOLDOWN_S: i64 = 30;

/// First pause after a failed fetch, in seconds; it doubles with each consecutive failure.
pub const FETCH_BACKOFF_MIN_S: i64 = 1;

/// Longest pause after failed fetches, in seconds.
pub const FETCH_BACKOFF_MAX_S: i64 = 30;

/// Longest `Retry-After` of a provider that is honoured, in seconds.
pub const RETRY_AFTER_MAX_S: i64 = 300;

/// Timeout of one attempt to fetch a key set or discovery document, in milliseconds. An attempt that times out is not retried at once,
/// unlike one that ends in a network error: waiting requests would wait twice as long.
pub const FETCH_TIMEOUT_MS: u32 = 3000;

/// Most fetches from a provider that one request may cause.
pub const MAX_FETCHES_PER_REQUEST: u8 = 2;

/// How long a request waits for another request's fetch before it fetches itself, in milliseconds.
pub const FETCH_LEASE_MS: i64 = 500;

/// How long a request whose token would be refused waits for a fetch under way that may bring its key, in milliseconds: as long as one can
/// take, the edge cache and two attempts. After that it is told to try again.
pub const FETCH_WAIT_MS: i64 = (EDGE_TIMEOUT_MS + 2 * FETCH_TIMEOUT_MS) as i64;

/// The same as [`FETCH_LEASE_MS`] for the discovery document, in milliseconds. Half of [`FETCH_TIMEOUT_MS`]: a slow provider gets one request, and a
/// connection that hangs does not delay every login until it times out.
pub const DISCOVERY_LEASE_MS: i64 = 1500;

/// Most polls of shared state before a request gives up, each after a pause or a fetch. More than any wait takes: only a bug could get
/// there.
pub const MAX_POLLS: u32 = 1000;

/// Pause between two polls of another request's fetch, in milliseconds.
pub const FETCH_POLL_MS: u32 = 10;

/// How long a discovered `jwks_uri` is reused, in seconds.
pub const DISCOVERY_FRESH_S: i64 = 3600;

/// Most issuers that an error names as expected: the refusal of a foreign token costs the same whatever their number.
pub const MAX_EXPECTED_ISSUERS: usize = 10;

/// How long a log line is not repeated, in milliseconds.
pub const LOG_REPEAT_MS: i64 = 60_000;

/// Most log lines that are remembered in order not to repeat them: more than the causes of an outage.
pub const MAX_RECENT_LINES: usize = 64;

/// Longest request id of the platform that is shown and logged, in bytes.
pub const MAX_REQUEST_ID_BYTES: usize = 64;

/// Routes whose requirements the npm package keeps parsed.
pub const ROUTE_CACHE_ENTRIES: usize = 32;

/// Verified tokens that a verifier caches, unless configured.
pub const TOKEN_CACHE_ENTRIES: usize = 512;

/// Longest token that is cached, in bytes. Bounds the cache's memory.
pub const TOKEN_CACHE_MAX_TOKEN_BYTES: usize = 4 * 1024;

/// Opened sessions that an isolate caches.
pub const SESSION_CACHE_ENTRIES: usize = 256;

/// Longest sealed session that is cached, in bytes. Bounds the cache's memory.
pub const SESSION_CACHE_MAX_BYTES: usize = 8 * 1024;

/// How long before its expiry an access token is refreshed, in seconds, so that it is still valid when the origin reads it. A token with
/// less than twice this lifetime is refreshed at half of it, so that it is not refreshed with every request.
pub const REFRESH_AHEAD_S: i64 = 30;

/// Assumed lifetime of an opaque access token without `expires_in`, which RFC 6749 §5.1 only recommends, in seconds.
pub const ACCESS_TOKEN_DEFAULT_S: i64 = 3600;

/// Longest lifetime of an access token that is believed, in seconds: thirty days, the longest that Auth0 allows.
pub const ACCESS_TOKEN_MAX_S: i64 = 2_592_000;

/// Youngest session that is redirected to a new login because its access token has expired, in seconds. In a younger one, the next access
/// token would have expired, too: a redirect loop.
pub const FRESH_LOGIN_S: i64 = 60;

/// Most logins that one browser can have open at once, such as those of restored tabs; a further one replaces the oldest.
pub const MAX_OPEN_LOGINS: usize = 20;

/// The cookies of all open logins together, names included, in bytes; a further login replaces the oldest ones. Room for one with the
/// longest destination beside nineteen with short ones, well below what platforms accept as the head of a request.
pub const MAX_LOGIN_COOKIES_BYTES: usize = 16 * 1024;

/// Characters of the state in the name of a login's cookie: enough to tell open logins apart.
pub const LOGIN_COOKIE_NAME_CHARS: usize = 8;

/// How long a login may take, in seconds.
pub const LOGIN_LIFETIME_S: i64 = 600;

/// Shortest timeout of an origin that can be configured, in milliseconds: below it, the network alone may take longer.
pub const MIN_ORIGIN_TIMEOUT_MS: u32 = 100;

/// Longest timeout of an origin that can be configured, in milliseconds: a quarter of an hour.
pub const MAX_ORIGIN_TIMEOUT_MS: u32 = 900_000;

/// How long the cookie of a login lasts, in seconds: a day. A login that took too long still knows its destination.
pub const LOGIN_COOKIE_LIFETIME_S: i64 = 86_400;

/// The same for a login with a long destination, in seconds: browsers send its cookies with every request.
pub const LONG_LOGIN_COOKIE_LIFETIME_S: i64 = 3600;

/// Most logins of one request whose cookies are counted, from the oldest.
pub const MAX_LOGIN_COOKIES_READ: usize = 128;

/// Most login cookies that one response clears.
pub const MAX_LOGIN_COOKIES_CLEARED: usize = 2 * MAX_OPEN_LOGINS;

/// Shortest sealed login with its chunk count, in bytes. A shorter cookie is of no use and is cleared.
pub const MIN_LOGIN_COOKIE_BYTES: usize = 36;

/// How long an instance remembers the outcome of a callback, in milliseconds: the browser may send the callback again before it has the
/// response.
pub const CALLBACK_REMEMBERED_MS: i64 = 60_000;

/// Most outcomes of callbacks that one instance remembers.
pub const MAX_CALLBACKS: usize = 64;

/// Most states of finished logins that are remembered. The oldest are forgotten first; providers, too, accept a code only once.
pub const MAX_REMEMBERED_STATES: usize = 4096;

/// Lifetime of identity tokens for origins, in seconds, unless configured.
pub const IDENTITY_TTL_S: u32 = 60;

/// Shortest lifetime of identity tokens that can be configured, in seconds: half of it must exceed the difference between clocks.
pub const MIN_IDENTITY_TTL_S: u32 = 20;

/// Longest lifetime of identity tokens that can be configured, in seconds: they cannot be revoked.
pub const MAX_IDENTITY_TTL_S: u32 = 900;

/// Identity tokens that an isolate holds for their callers.
pub const IDENTITY_TOKEN_CACHE_ENTRIES: usize = 1024;

/// Length of the hash by which an identity token is looked up, in bytes: SHA-256 in base64url.
pub const IDENTITY_TOKEN_KEY_BYTES: usize = 43;

/// Longest client certificate that a customer edge states, in bytes as it is sent: Auth0's limit.
pub const MAX_STATED_CERTIFICATE_BYTES: usize = 4096;

/// How long caches may hold the public keys of identity tokens, in seconds: as long, a new key must be published before it signs.
pub const PUBLISHED_KEYS_MAX_AGE_S: u32 = 300;

/// Shortest time since a login that a route may require, in seconds: the way back from the provider takes some of it.
pub const MIN_LOGIN_AGE_S: u32 = 60;

/// Longest parameter of the login route that is passed on to the provider, in bytes.
pub const MAX_LOGIN_PARAMETER_BYTES: usize = 256;

/// Longest error code of the provider that is shown, in bytes.
pub const MAX_ERROR_CODE_BYTES: usize = 64;

/// `Retry-After` of a login while the provider is unreachable, in seconds.
pub const LOGIN_RETRY_AFTER_S: u32 = 5;

/// Longest destination of a login, encoded, in bytes: 8 KiB of query, and its path.
pub const MAX_RETURN_TO_BYTES: usize = 9 * 1024;

/// Longest destination that the URL of a login carries, in bytes. A login with a longer one begins where it was asked for.
pub const MAX_LINKED_RETURN_TO_BYTES: usize = 1024;

/// Timeout of the token endpoint, in milliseconds. A request to it is never retried once sent.
pub const TOKEN_ENDPOINT_TIMEOUT_MS: u32 = 10_000;

/// How long one request that tries whether an endpoint of the provider has recovered keeps others from it, in milliseconds: longer than two
/// attempts.
pub const ENDPOINT_PROBE_MS: i64 = 2 * TOKEN_ENDPOINT_TIMEOUT_MS as i64 + 1000;

/// Most requests for one exchange at the token endpoint: one is repeated with the server's nonce, and one with the client's other credential.
pub const TOKEN_ENDPOINT_ATTEMPTS: u32 = 3;

/// Timeout of a refresh, including the way to the coordinator and the refresh before it, in milliseconds.
pub const SHARED_REFRESH_TIMEOUT_MS: u32 = TOKEN_ENDPOINT_TIMEOUT_MS + 5_000;

/// How long a refresh under way is waited for, in milliseconds. As long as it can take: the attempts at the token endpoint, and two each for
/// discovery, userinfo and the keys of three tokens. A second exchange with a rotated token would end the session.
pub const REFRESH_LEASE_MS: i64 = (TOKEN_ENDPOINT_ATTEMPTS * TOKEN_ENDPOINT_TIMEOUT_MS + 10 * FETCH_TIMEOUT_MS) as i64;

/// How long a request for an upstream token is waited for, in milliseconds, before another one is made. Longer than it can take: the way to
/// the shared object, discovery with its retry, and the attempts at the token endpoint.
pub const UPSTREAM_TOKEN_LEASE_MS: i64 =
    (SHARED_REFRESH_TIMEOUT_MS + 2 * FETCH_TIMEOUT_MS + TOKEN_ENDPOINT_ATTEMPTS * TOKEN_ENDPOINT_TIMEOUT_MS) as i64
        + 1000;

/// Most callers whose exchanged tokens one instance holds for one audience and scope. Each token may have [`MAX_TOKEN_BYTES`], most have one
/// or two KiB.
pub const MAX_EXCHANGED_TOKENS: usize = 512;

/// How long an instance remembers the outcome of a refresh, in milliseconds: requests with the old cookie may still be under way.
pub const REFRESH_REMEMBERED_MS: i64 = 60_000;

/// How long a failed refresh is remembered, in milliseconds, so that a provider that is down is not contacted with every request.
pub const REFRESH_FAILURE_REMEMBERED_MS: i64 = 5_000;

/// Most refreshes that one instance remembers, those under way included.
pub const MAX_REFRESHES: usize = 1024;

/// Most outcomes that the coordinator of a session remembers: requests under way may carry a cookie from before the last few refreshes.
pub const MAX_REFRESH_OUTCOMES: usize = 4;

/// Most logged-out sessions that one instance remembers.
pub const MAX_LOGGED_OUT_SESSIONS: usize = 4096;

/// Shortest secret for sealing sessions, in characters: 128 bits in hexadecimal.
pub const MIN_SECRET_CHARS: usize = 32;

/// Minutes of which the status route shows counts.
pub const STATUS_MINUTES: usize = 60;

/// Most codes of refusals that the status route shows: those of the last hour, the oldest of which are evicted.
pub const MAX_STATUS_CODES: usize = 32;

/// Most issuers, and most keys of each, that the status route shows.
pub const MAX_STATUS_KEYS: usize = 50;

/// Shortest time between two reports of an instance's counts, in milliseconds: each is a request to the Durable Object, which stores it.
pub const STATUS_REPORT_MS: i64 = 5_000;

/// Timeout of such a report, in milliseconds: the status page waits for its own.
pub const STATUS_REPORT_TIMEOUT_MS: u32 = 2_000;

/// Most requests of which one is logged: at a thousand requests per second, one in a quarter of an hour.
pub const MAX_LOG_SAMPLE: u32 = 1_000_000;

/// Longest time for which browsers may cache the response to a preflight request, in seconds. Firefox caps it at a day.
pub const MAX_CORS_AGE_S: u32 = 86_400;

/// Idle lifetime of a session, unless configured, in seconds: a day.
pub const SESSION_IDLE_S: u32 = 86_400;

/// Absolute lifetime of a session, unless configured, in seconds: three days.
pub const SESSION_ABSOLUTE_S: u32 = 259_200;

/// Shortest lifetime of a session that can be configured, in seconds.
pub const MIN_SESSION_S: u32 = 60;

/// Longest lifetime of a session that can be configured, in seconds: a year.
pub const MAX_SESSION_S: u32 = 31_536_000;

/// Most cookies that one value may be split into.
pub const MAX_COOKIE_CHUNKS: usize = 8;

/// Longest value of one cookie, in bytes. Browsers accept cookies of up to 4,096 bytes, name and attributes included (RFC 6265 §6.1).
pub const MAX_COOKIE_CHUNK_BYTES: usize = 3500;

/// Longest ID token that a session stores for the logout, in bytes: one that fits into [`MAX_LOGOUT_URL_BYTES`]. Those with the usual claims
/// have about 1 KiB.
pub const MAX_ID_TOKEN_HINT_BYTES: usize = 1536;

/// Longest URL of a logout with an ID token, in bytes: below 2 KiB, which servers and proxies accept.
pub const MAX_LOGOUT_URL_BYTES: usize = 2047;

/// Random bytes in a session id.
pub const SESSION_ID_BYTES: usize = 16;

/// Most values that are tried where several cookies have the session's name. Browsers send one for each `Domain` ever set, two or
/// three; each costs a decryption.
pub const MAX_COOKIE_VALUES: usize = 8;

/// How long the Durable Object stores the outcome of a refresh, in seconds: requests with an older cookie may arrive late.
pub const REFRESH_OUTCOME_TTL_S: i64 = 3600;

/// How long after a logout the browser may return from the provider to a page that says so, in seconds: the provider may ask first.
pub const LOGGED_OUT_PAGE_S: u32 = 600;

/// Longest proof of possession, in bytes: one with an RSA key of [`MAX_PROOF_MODULUS_BITS`] has less than 3 KiB.
pub const MAX_PROOF_BYTES: usize = 4 * 1024;

/// Largest RSA modulus of a key for proofs, in bits.
pub const MAX_PROOF_MODULUS_BITS: usize = 4096;

/// Longest `jti` of a proof of possession, in bytes. RFC 9449 §4.2 asks for 96 random bits or a UUID.
pub const MAX_PROOF_ID_BYTES: usize = 256;

/// Oldest proof of possession, in seconds: clients' clocks are often some minutes slow.
pub const MAX_PROOF_AGE_S: i64 = 300;

/// How far in the future a proof of possession may have been made, in seconds.
pub const MAX_PROOF_ADVANCE_S: i64 = 60;

/// Most proofs of possession that one instance remembers where instances share nothing: some ninety requests per second, in 3 MiB.
pub const MAX_REMEMBERED_PROOFS: usize = 32_768;

/// Most of these of one key, so that no client uses up the memory for all: some eleven requests per second.
pub const MAX_REMEMBERED_PROOFS_PER_KEY: usize = MAX_REMEMBERED_PROOFS / 8;

/// How long a nonce for proofs of possession is the current one, in seconds. It is accepted for as long again.
pub const PROOF_NONCE_PERIOD_S: i64 = 300;

/// Objects that remember the proofs of one key: each has room for some thirty new ones per second, or sixteen with nonces.
pub const PROOF_OBJECTS_PER_KEY: u8 = 8;

/// Longest body that is held in memory, in bytes, so that a request to an upstream can be repeated with the nonce that it wants.
pub const MAX_REPEATABLE_BODY_BYTES: usize = 64 * 1024;

/// Longest nonce of a server that the gateway puts into its proofs of possession, in bytes: a longer one is ignored.
pub const MAX_SERVER_NONCE_BYTES: usize = 512;

/// Most servers whose last nonce is remembered: the provider's endpoints and the upstreams of a configuration.
pub const MAX_SERVER_NONCES: usize = 64;

/// Timeout for looking up a proof of possession in the Durable Object, in milliseconds: every request with one waits for it.
pub const PROOF_TIMEOUT_MS: u32 = 2_000;

/// Timeout for telling the Durable Object that a session has ended, in milliseconds: the browser waits for it.
pub const SESSION_END_TIMEOUT_MS: u32 = 2_000;

/// How long a response to a changed session may take, in milliseconds, before the Durable Object is asked whether the session has ended or
/// changed meanwhile: no more than the way to the browser may take, on which responses overtake each other in any case.
pub const SESSION_CHECK_AFTER_MS: i64 = 100;

/// Timeout of that question, in milliseconds: the browser waits for it.
pub const SESSION_CHECK_TIMEOUT_MS: u32 = 1_000;

/// Most records in one shared object: with proofs of possession, which are remembered for six minutes, or ten
/// with nonces, some thirty per second, or sixteen.
pub const MAX_SHARED_RECORDS: usize = 10_000;

/// How long an instance uses a revocation record that it has read, in milliseconds. A revocation takes effect within a second: the rest
/// is for the look-up.
pub const REVOCATION_FRESH_MS: i64 = 800;

/// Timeout of a message about revocations, in milliseconds: far more than a Durable Object on another continent takes.
pub const REVOCATION_TIMEOUT_MS: u32 = 2000;

/// How long a request waits for another one's look-up before it asks itself, in milliseconds: the other one may have been cancelled.
pub const REVOCATION_LEASE_MS: i64 = 250;

/// Revocation records that an instance caches, absent ones included.
pub const REVOCATION_CACHE_ENTRIES: usize = 1024;

/// Objects with the records of one client: every instance that its users reach reads one of them each second.
pub const CLIENT_RECORD_OBJECTS: u8 = 8;

/// Longest lifetime of bearer tokens that can be configured for revocation, in seconds: a year.
pub const MAX_TOKEN_LIFETIME_S: u32 = 31_536_000;

/// Longest body that the gateway itself reads, of a logout token or a revocation, in bytes: the longest token, percent-encoded.
pub const MAX_REQUEST_BODY_BYTES: usize = 3 * MAX_TOKEN_BYTES + 1024;

/// Longest time for which the answer of an introspection counts, in seconds: a revocation at the provider takes effect within it.
pub const MAX_INTROSPECTION_CACHE_S: u32 = 60;

/// The same for an answer by which a token is refused, in milliseconds.
pub const INTROSPECTION_REFUSED_MS: i64 = 5000;

/// Pause before the provider is asked again about a token for which it gave no usable answer, in milliseconds.
pub const INTROSPECTION_PAUSE_MS: i64 = 1000;

/// Answers above [`TOKEN_CACHE_MAX_TOKEN_BYTES`] that an instance caches: at most 1 MiB.
pub const INTROSPECTION_LARGE_ENTRIES: usize = 16;

/// Lifetime of a client assertion, in seconds: time to reach the provider, and the difference of the clocks.
pub const CLIENT_ASSERTION_S: i64 = 60;

/// Lifetime of a signed authorization request, in seconds: it is followed at once. FAPI allows an hour.
pub const REQUEST_OBJECT_S: i64 = 300;

/// How far in the past a signed authorization request begins to be valid, in seconds: providers need not tolerate clocks that differ.
pub const REQUEST_OBJECT_BACKDATED_S: i64 = 30;

/// Size of the random `jti` of a token that the gateway signs, in bytes.
pub const TOKEN_ID_BYTES: usize = 16;

/// Longest `request_uri` of a pushed request, in bytes. Providers use up to about 100.
pub const MAX_REQUEST_URI_BYTES: usize = 512;

/// Most entries of `authorization_details` (Auth0).
pub const MAX_AUTHORIZATION_DETAILS: usize = 5;

/// Longest `authorization_details`, in bytes of JSON (Auth0).
pub const MAX_AUTHORIZATION_DETAILS_BYTES: usize = 5 * 1024;

/// Most properties of an object in `authorization_details` (Auth0).
pub const MAX_DETAIL_PROPERTIES: usize = 10;

/// Longest name and value of a property in `authorization_details`, in characters (Auth0).
pub const MAX_DETAIL_CHARS: usize = 255;

/// Deepest nesting in `authorization_details`; its entries are the first level (Auth0).
pub const MAX_DETAIL_LEVELS: usize = 5;
