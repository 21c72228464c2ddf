//! A deployment whose provider has a fault.

use std::ops::Deref;
use std::rc::Rc;

use edgeward::io::{Incoming, Unreachable};
use edgeward::limits;
use support::browser::{Browser, Request, Response};
use support::deployment::{COOKIE, Deployment, oidc_config};
use support::host::{Delay, Reply};
use support::key_a;
use support::provider::Endpoint;
use support::world::{token, token_with_kid};

/// What the provider returns instead of its answer.
pub(crate) struct Fault {
    pub(crate) what: &'static str,
    answer: Rc<dyn Fn(Incoming) -> Reply>,
    delay: Delay,
    /// The error of a discovery document and of a key set that are like this.
    discovery: &'static str,
    keys: &'static str,
    /// How many requests are made for a document: a network error is answered by one more.
    requests: usize,
    /// What API clients are told, in seconds.
    retry_after_s: i64,
}

impl Fault {
    /// The provider returns no document.
    pub(crate) fn unreachable(what: &'static str, reply: Reply) -> Self {
        let requests = if matches!(reply, Err(Unreachable::Network)) { 2 } else { 1 };
        let answer = Rc::new(move |_| reply.clone());
        let (discovery, keys) = ("discovery_unreachable", "jwks_unreachable");
        Self { what, answer, delay: Delay::Millis(0), discovery, keys, requests, retry_after_s: 1 }
    }

    /// The provider returns a document that is none.
    pub(crate) fn invalid(
        what: &'static str,
        keys: &'static str,
        change: impl Fn(Incoming) -> Incoming + 'static,
    ) -> Self {
        let answer = Rc::new(move |answer| Ok(change(answer)));
        let discovery = "discovery_invalid";
        Self { what, answer, delay: Delay::Millis(0), discovery, keys, requests: 1, retry_after_s: 1 }
    }

    pub(crate) fn delayed(self, delay: Delay) -> Self {
        Self { delay, ..self }
    }

    pub(crate) fn retry_after_s(self, retry_after_s: i64) -> Self {
        Self { retry_after_s, ..self }
    }

    fn waits(&self) -> bool {
        self.delay != Delay::Millis(0)
    }
}

pub(crate) const EVERYTHING: [Endpoint; 5] =
    [Endpoint::Discovery, Endpoint::Keys, Endpoint::Token, Endpoint::Userinfo, Endpoint::Revocation];
pub(crate) const KEYS: [Endpoint; 1] = [Endpoint::Keys];

/// An instance at work, and browsers that have logged in there.
pub(crate) struct Site {
    pub(crate) deployment: Deployment,
    /// Its access token lasts.
    pub(crate) browser: Browser,
    /// Its access token is due for refresh.
    pub(crate) due: Browser,
}

impl Deref for Site {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.deployment
    }
}

impl Site {
    pub(crate) fn new() -> Self {
        let deployment = Deployment::of(&oidc_config());
        deployment.provider.set().life_s = 60;
        let due = deployment.logged_in();
        deployment.provider.set().life_s = 100 * 24 * 3600;
        deployment.sleep_s(40);
        let browser = deployment.logged_in();
        assert_eq!(bearer(&deployment, &token(key_a())).status, 200);
        Self { deployment, browser, due }
    }

    /// Returns an instance that has just started, in a data center that has no entry in its cache.
    pub(crate) fn cold(&self) -> Deployment {
        self.edge().clear();
        self.instance()
    }

    /// Lets these endpoints have a fault.
    pub(crate) fn breaks(&self, fault: &Fault, endpoints: &[Endpoint]) {
        for endpoint in endpoints.iter().copied() {
            let (answer, provider) = (Rc::clone(&fault.answer), self.provider.clone());
            self.serve(&self.provider.url(endpoint), move |request| {
                // Nothing that is sent under a fault is processed.
                let is_document = matches!(endpoint, Endpoint::Discovery | Endpoint::Keys);
                answer(if is_document { provider.receive(endpoint, request)? } else { Incoming::default() })
            });
            self.delay_answers(&self.provider.url(endpoint), fault.delay);
        }
    }

    /// Ends every fault. Time passes until the gateway asks again.
    pub(crate) fn recovers(&self, fault: &Fault) {
        for endpoint in EVERYTHING {
            let provider = self.provider.clone();
            self.serve(&self.provider.url(endpoint), move |request| provider.receive(endpoint, request));
            self.delay_answers(&self.provider.url(endpoint), Delay::Millis(0));
        }
        self.sleep_s(fault.retry_after_s.max(limits::UNKNOWN_KID_COOLDOWN_S));
    }

    /// Returns what a request gets, and how many requests to discovery, keys and token endpoint it causes.
    pub(crate) fn counted(&self, act: impl FnOnce() -> Response) -> (Response, [usize; 3]) {
        let before = self.seen().sent.len();
        let response = act();
        let urls = self.seen().urls().split_off(before);
        let known = EVERYTHING.map(|endpoint| self.provider.url(endpoint));
        assert!(urls.iter().all(|url| known.contains(url)), "nothing else is asked: {urls:?}");
        let counts = [Endpoint::Discovery, Endpoint::Keys, Endpoint::Token]
            .map(|endpoint| urls.iter().filter(|url| **url == self.provider.url(endpoint)).count());
        (response, counts)
    }

    /// Returns how long something takes, in milliseconds.
    pub(crate) fn timed(&self, act: impl FnOnce()) -> i64 {
        let before = self.elapsed_ms();
        act();
        self.elapsed_ms() - before
    }
}

pub(crate) fn bearer(instance: &Deployment, token: &str) -> Response {
    instance.fetch(Request::get("/app").bearer(token))
}

/// Returns what a request with this browser's cookies gets.
pub(crate) fn session(instance: &Deployment, browser: &Browser) -> Response {
    instance.fetch(Request::get("/app").cookie(&browser.header(instance.now())))
}

pub(crate) fn callback(instance: &Deployment, browser: &Browser, url: &str) -> Response {
    instance.fetch(Request::get(url).cookie(&browser.header(instance.now())))
}

/// Asserts that there are no keys to decide with: never 401, and never access.
pub(crate) fn assert_unavailable(response: &Response, (status, code): (u16, &str), retry_after_s: i64, what: &str) {
    assert_eq!(response.outcome(), (status, code.into()), "{what}");
    assert_eq!(response.header("retry-after"), Some(retry_after_s.to_string().as_str()), "{what}");
    assert_eq!(response.header("www-authenticate"), None, "{what}");
    assert!(response.header("cache-control").is_some_and(|value| value.contains("no-store")), "{what}");
    assert!(response.cookies().is_empty() && response.origin_got.is_none(), "{what}");
}

/// Asserts that the user's request is forwarded, and whether the session's cookie is replaced.
pub(crate) fn assert_user(response: &Response, is_refreshed: bool, what: &str) {
    assert_eq!((response.status, response.origin_header("x-user")), (200, Some("user-1")), "{what}");
    assert_eq!(response.sets(COOKIE), is_refreshed.then_some(true), "{what}");
}

/// What needs nothing of the provider is served.
fn assert_rest_serves(instance: &Deployment, what: &str) {
    assert_eq!(instance.fetch(Request::get("/open")).status, 200, "{what}");
    assert_eq!(instance.fetch(Request::get("/app")).outcome(), (401, "token_missing".into()), "{what}");
    assert_eq!(bearer(instance, "x.y.z").outcome().0, 401, "{what}");
}

/// A fault that is there when an instance starts: each kind of request is the first one of an instance.
pub(crate) fn when_cold(fault: &Fault, endpoints: &[Endpoint]) {
    let what = fault.what;
    let site = Site::new();
    let good = token(key_a());
    let has_discovery = !endpoints.contains(&Endpoint::Discovery);
    let mut pending = Browser::default();
    let url = site.begin(&mut pending, "/login?return_to=/app");
    site.breaks(fault, endpoints);
    let code = if has_discovery { fault.keys } else { fault.discovery };
    let documents = if has_discovery { [1, fault.requests, 0] } else { [fault.requests, 0, 0] };

    let api = site.cold();
    let took_ms = site.timed(|| {
        let (response, asked) = site.counted(|| bearer(&api, &good));
        assert_unavailable(&response, (503, code), fault.retry_after_s, what);
        assert_eq!(asked, documents, "{what}");
    });
    assert!(took_ms <= i64::from(limits::FETCH_TIMEOUT_MS), "{what}: {took_ms} ms");
    let asked = site.counted(|| bearer(&api, &good)).1;
    assert!(fault.waits() || asked == [0; 3], "{what}: the failure counts for a while: {asked:?}");
    assert_unavailable(&api.fetch(Request::get("/maybe").bearer(&good)), (503, code), fault.retry_after_s, what);
    assert_rest_serves(&api, what);

    let page = site.cold();
    let (response, asked) = site.counted(|| session(&page, &site.browser));
    assert_user(&response, false, what);
    assert_eq!(asked, [0; 3], "{what}: a session needs nothing of the provider");

    let refreshing = site.cold();
    let (response, asked) = site.counted(|| session(&refreshing, &site.due));
    // The new tokens are stored; their rights count once they can be verified.
    assert_user(&response, has_discovery, what);
    assert_eq!(asked[2], usize::from(has_discovery), "{what}: a refresh token is sent once");
    let mut due = site.due.clone();
    due.store_cookies(&response, site.now());

    let login = site.cold();
    let (response, asked) = site.counted(|| login.fetch(Request::get("/login")));
    if has_discovery {
        assert_eq!((response.status, asked), (302, [1, 0, 0]), "{what}");
    } else {
        assert_unavailable(&response, (502, fault.discovery), i64::from(limits::LOGIN_RETRY_AFTER_S), what);
        assert_eq!(asked, [fault.requests, 0, 0], "{what}");
    }

    let returning = site.cold();
    let (response, asked) = site.counted(|| callback(&returning, &pending, &url));
    let status = if has_discovery { 503 } else { 502 };
    assert_unavailable(&response, (status, code), i64::from(limits::LOGIN_RETRY_AFTER_S), what);
    assert_eq!(asked[2], 0, "{what}: no code is redeemed for nothing");

    site.recovers(fault);
    let response = callback(&returning, &pending, &url);
    assert_eq!((response.status, response.sets(COOKIE)), (302, Some(true)), "{what}: reloading the page logs in");
    assert_eq!(bearer(&api, &good).status, 200, "{what}");
    assert_user(&session(&page, &site.browser), false, what);
    let response = session(&refreshing, &due);
    assert_eq!((response.status, response.origin_header("x-user")), (200, Some("user-1")), "{what}");
    assert_eq!(site.provider.refreshes(), 1, "{what}: the session lost nothing");
    assert_eq!(site.provider.state().reused, 0, "{what}");
    assert_eq!(login.log_in(&mut Browser::default()).sets(COOKIE), Some(true), "{what}");
}

/// A fault that begins while an instance is at work.
pub(crate) fn when_warm(fault: &Fault, endpoints: &[Endpoint]) {
    let what = fault.what;
    let site = Site::new();
    let (good, unknown) = (token(key_a()), token_with_kid("unknown"));
    let has_tokens = !endpoints.contains(&Endpoint::Token);
    let mut pending = Browser::default();
    let url = site.begin(&mut pending, "/login?return_to=/app");
    let fetched_ms = site.elapsed_ms() - 40_000;
    site.breaks(fault, endpoints);

    let (response, asked) = site.counted(|| bearer(&site, &good));
    assert_eq!((response.status, asked), (200, [0; 3]), "{what}: the keys are at hand");
    let (response, asked) = site.counted(|| bearer(&site, &unknown));
    assert_eq!(response.outcome(), (503, fault.keys.into()), "{what}: a new key cannot be told from an invented one");
    assert!(response.header("retry-after").is_some() && response.header("www-authenticate").is_none(), "{what}");
    assert_eq!(asked, [0, fault.requests, 0], "{what}");
    let asked = site.counted(|| bearer(&site, &unknown)).1;
    assert_eq!(asked, [0; 3], "{what}: asked once for all unknown keys");
    assert_rest_serves(&site, what);
    assert_eq!(bearer(&site, &good).status, 200, "{what}: known keys work on");

    assert_user(&session(&site, &site.browser), false, what);
    let (response, asked) = site.counted(|| session(&site, &site.due));
    assert_user(&response, has_tokens, what);
    assert_eq!(asked[2], 1, "{what}: a refresh token is sent once");

    assert_eq!(site.fetch(Request::get("/login")).status, 302, "{what}: the endpoints are known");
    let (response, asked) = site.counted(|| callback(&site, &pending, &url));
    assert_eq!(asked[2], 1, "{what}: a code is sent once");
    if has_tokens {
        assert_eq!((response.status, response.sets(COOKIE)), (302, Some(true)), "{what}: the keys are at hand");
    } else {
        let retry_after_s = i64::from(limits::LOGIN_RETRY_AFTER_S);
        assert_unavailable(&response, (502, "token_exchange_failed"), retry_after_s, what);
        let (response, asked) = site.counted(|| callback(&site, &pending, &url));
        assert_eq!((response.outcome(), asked[2]), ((400, "state_invalid".into()), 0), "{what}");
    }

    // The set is no longer fresh, but the last good one.
    site.sleep_s(limits::JWKS_FRESH_DEFAULT_S);
    let (response, asked) = site.counted(|| bearer(&site, &good));
    assert_eq!(response.status, 200, "{what}");
    let took_ms = site.timed(|| assert_eq!(bearer(&site, &good).status, 200, "{what}"));
    assert_eq!(took_ms, 0, "{what}: soon after a failure no request waits");
    // What it has started is not awaited, whether or not it runs.
    site.sleep_ms(2_000);
    let took_ms = site.timed(|| assert_eq!(bearer(&site, &good).status, 200, "{what}"));
    assert_eq!(took_ms, 0, "{what}: nor for the next attempt");
    assert!(asked[0] <= fault.requests && asked[1] <= fault.requests, "{what}: {asked:?}");
    let asked = site.counted(|| bearer(&site, &good)).1;
    assert_eq!(asked, [0; 3], "{what}: the failure counts for a while");
    let day_ms = limits::JWKS_STALE_ON_ERROR_S * 1000;
    // After a while without requests, one waits again: for the document and the set.
    let waits_ms = 2 * i64::from(limits::FETCH_TIMEOUT_MS);
    site.sleep_ms(fetched_ms + day_ms - site.elapsed_ms() - waits_ms - 1);
    let took_ms = site.timed(|| assert_eq!(bearer(&site, &good).status, 200, "{what}"));
    assert!(took_ms <= waits_ms, "{what}");
    site.sleep_s(60);
    assert_eq!(bearer(&site, &good).status, 503, "{what}: for a day, and not longer");

    site.recovers(fault);
    // A longer pause that the provider asked for has begun anew.
    site.sleep_s(limits::RETRY_AFTER_MAX_S);
    assert_eq!(bearer(&site, &good).status, 200, "{what}");
    assert_eq!(bearer(&site, &unknown).outcome(), (401, "key_not_found".into()), "{what}");
    assert_eq!(site.log_in(&mut Browser::default()).sets(COOKIE), Some(true), "{what}");
    assert_eq!(site.provider.state().reused, 0, "{what}: no refresh token was sent twice");
}
