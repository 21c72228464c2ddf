//! What the command prints, as JSON.

use std::borrow::Cow;

use edgeward::gateway::{Answer, AuthorizerInfo, Destination, Explanation, Gateway, Problem};
use edgeward::json::push_quoted;
use edgeward::jwk::KeyCache;

/// JSON text that is written from start to end. A comma precedes each member or element but the first.
struct Json(String);

impl Json {
    /// Writes a comma unless this is the first member or element.
    fn separate(&mut self) {
        if !self.0.is_empty() && !self.0.ends_with(['{', '[', ':', ',']) {
            self.0.push(',');
        }
    }

    fn open(&mut self, bracket: char) {
        self.separate();
        self.0.push(bracket);
    }

    fn name(&mut self, name: &str) {
        self.separate();
        push_quoted(&mut self.0, name);
        self.0.push(':');
    }

    fn text(&mut self, text: Option<&str>) {
        self.separate();
        match text {
            Some(text) => push_quoted(&mut self.0, text),
            None => self.0.push_str("null"),
        }
    }

    fn member(&mut self, name: &str, value: Option<&str>) {
        self.name(name);
        self.text(value);
    }

    /// Writes a boolean or a number.
    fn plain(&mut self, name: &str, value: &dyn std::fmt::Display) {
        self.name(name);
        self.0.push_str(&value.to_string());
    }
}

fn list<T>(items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Json, T)) -> String {
    let mut json = Json("[".into());
    for item in items {
        write(&mut json, item);
    }
    json.0.push(']');
    json.0
}

fn objects<T>(items: impl Iterator<Item = T>, mut write: impl FnMut(&mut Json, T)) -> String {
    list(items, |json, item| {
        json.open('{');
        write(json, item);
        json.0.push('}');
    })
}

pub(crate) fn problems(problems: &[Problem]) -> String {
    objects(problems.iter(), |json, Problem { path, message, is_error }| {
        json.member("path", Some(path));
        json.member("message", Some(message));
        json.plain("isError", is_error);
    })
}

pub(crate) fn reasons(reasons: impl Iterator<Item = Option<Cow<'static, str>>>) -> String {
    list(reasons, |json, reason| json.text(reason.as_deref()))
}

pub(crate) fn authorizers(gateway: &Gateway) -> String {
    objects(gateway.authorizers(), |json, AuthorizerInfo { verifier, login }| {
        json.name("issuers");
        let issuers = verifier.into_iter().flat_map(|verifier| verifier.keys()).map(|keys| keys.issuer());
        json.0.push_str(&list(issuers, |json, issuer| json.text(Some(issuer))));
        json.member("loginIssuer", login.map(|login| login.keys.issuer()));
        json.member("loginUrl", login.and_then(|login| login.url()).as_deref());
        json.member("redirectUri", login.map(|login| login.redirect_uri));
    })
}

pub(crate) fn keys(gateway: &Gateway) -> String {
    list(gateway.authorizers(), |json, one| {
        let caches = one.verifier.into_iter().flat_map(|verifier| verifier.keys().zip(verifier.algorithms()));
        json.separate();
        json.0.push_str(&objects(caches, |json, (cache, algorithms)| {
            json.member("issuer", Some(cache.issuer()));
            failure(json, cache);
            json.name("keys");
            json.0.push_str(&objects(cache.published(algorithms).iter(), |json, key| {
                json.member("kid", key.kid.as_deref());
                json.member("unusable", key.unusable.as_deref());
            }));
        }));
    })
}

fn failure(json: &mut Json, cache: &KeyCache) {
    let failure = cache.last_failure();
    json.member("code", failure.as_ref().map(|failure| failure.error.code()));
    json.member("message", failure.as_ref().map(|failure| failure.error.message()));
    json.member("reason", failure.as_ref().and_then(|failure| failure.reason.as_deref()));
}

pub(crate) fn explanation(explanation: &Explanation) -> String {
    let mut json = Json("{".into());
    json.name("readings");
    json.0.push_str(&objects(explanation.readings.iter(), |json, reading| {
        json.member("path", Some(&reading.path));
        json.plain("isMain", &reading.is_main);
        json.name("routes");
        json.0.push_str(&list(reading.routes.iter(), |json, route| json.text(route.as_deref())));
    }));
    if let Some(route) = &explanation.route {
        json.name("route");
        json.open('{');
        json.member("path", Some(&route.pattern));
        json.member("auth", Some(route.auth));
        json.member("credentials", Some(route.credentials));
        json.member("integration", Some(route.integration));
        json.plain("observe", &route.only_observes);
        json.0.push('}');
    }
    json.name("checks");
    json.0.push_str(&objects(explanation.checks.iter(), |json, check| {
        json.member("name", Some(&check.name));
        match check.undecided {
            None => json.plain("passed", &check.failure.is_none()),
            Some(undecided) => {
                json.member("passed", None);
                json.member("undecided", Some(undecided.name()));
            }
        }
        json.member("expected", Some(&check.expected));
        json.member("found", Some(&check.found));
        if let Some((code, message)) = &check.failure {
            json.member("code", Some(code));
            json.member("message", Some(message));
        }
    }));
    json.0.push('}');
    json.0
}

/// `names`: the headers of the request.
pub(crate) fn answer(answer: &Answer<'_>, names: &[String]) -> String {
    let mut json = Json("{".into());
    match answer {
        Answer::Reply(reply) => {
            json.plain("status", &reply.status);
            json.name("headers");
            let headers = reply.headers.iter().map(|(name, value)| (&**name, value));
            json.0.push_str(&pairs(headers));
            json.member("body", Some(&reply.body));
        }
        Answer::Forward(forward) => {
            let (binding, url) = match &forward.destination {
                Destination::Url(url) => (None, url),
                Destination::Service { binding, url } => (Some(*binding), url),
            };
            json.member("url", Some(url));
            json.member("binding", binding);
            json.name("set");
            json.0.push_str(&pairs(forward.set.iter().map(|(name, value)| (name.as_str(), value))));
            json.name("dropped");
            let dropped = names.iter().filter(|name| forward.drops(name));
            json.0.push_str(&list(dropped, |json, name| json.text(Some(name))));
        }
    }
    json.0.push('}');
    json.0
}

/// Writes headers as a list of names and values, because names repeat.
fn pairs<'h>(headers: impl Iterator<Item = (&'h str, &'h String)>) -> String {
    list(headers, |json, (name, value)| {
        json.open('[');
        json.text(Some(name));
        json.text(Some(value));
        json.0.push(']');
    })
}
