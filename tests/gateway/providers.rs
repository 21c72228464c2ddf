//! The types of providers: what each issues passes, and what is close to it does not (`tests/providers/tokens.json`, written by
//! `scripts/providers.mjs`).

use edgeward::Verifier;
use edgeward::gateway::compile;
use edgeward::jwk::{JwkSet, KeyCache};
use edgeward::jwt::{Algorithm, Policy};
use edgeward::{VerificationError, gateway::Gateway};
use serde_json::{Value, json};
use support::fixed_host::{FixedHost, at_once};
use support::{NOW, now};

use crate::{code, reply};

fn providers() -> Vec<Value> {
    let file: Value = serde_json::from_str(include_str!("../providers/tokens.json")).unwrap();
    assert_eq!(file["now"], NOW);
    file["providers"].as_array().unwrap().clone()
}

/// The gateway of a provider, with a route that requires its role and scope.
fn gateway_of(provider: &Value) -> Gateway {
    let mut authorizer = json!({ "type": provider["type"], "jwks": provider["jwks"] });
    for (name, value) in provider["gateway"].as_object().unwrap() {
        authorizer[name] = value.clone();
    }
    let mut route = json!({ "method": "GET", "path": "/api", "integration": { "type": "respond" } });
    for (from, to) in [("role", "roles"), ("scope", "scopes")] {
        if !provider[from].is_null() {
            route[to] = provider[from].clone();
        }
    }
    let config = json!({ "authorizer": authorizer, "paths": [route] });
    compile(&config.to_string(), &|_| None).unwrap_or_else(|problems| panic!("{config}: {problems:?}")).gateway
}

/// Returns why a token is refused.
type Verdict = Box<dyn Fn(&str) -> Option<String>>;

fn verdicts(provider: &Value) -> Verdict {
    let is_access = provider["type"] == "cloudflare_access";
    if provider["type"] != "google" {
        let gateway = gateway_of(provider);
        return Box::new(move |token| {
            let bearer = format!("Bearer {token}");
            let header =
                if is_access { ("cf-access-jwt-assertion", token) } else { ("authorization", bearer.as_str()) };
            let reply = reply(&gateway, "GET", "/api", &[header]);
            (reply.status != 200).then(|| code(&reply))
        });
    }
    // Google's access tokens are opaque: only its ID tokens are verified, here as the package does.
    let text = |name: &str| provider["options"][name].as_str().unwrap().to_owned();
    let keys = |issuer: &str| KeyCache::fixed(issuer, JwkSet::parse(provider["jwks"].to_string().as_bytes()).unwrap());
    let policy = |issuer: &str| {
        let policy = Policy::id_token(issuer, text("clientId"), &[Algorithm::Rs256]).unwrap();
        policy.authorized_parties([provider["options"]["clients"][0].as_str().unwrap()])
    };
    let [one, other] = ["https://accounts.google.com", "accounts.google.com"];
    let verifier = Verifier::new(policy(one), keys(one)).and_issuer(policy(other), keys(other));
    Box::new(move |token| match at_once(verifier.verify(token, &FixedHost(now()))) {
        Ok(_) => None,
        Err(VerificationError::Refused(error)) => Some(error.code().into()),
        Err(error) => panic!("{error}"),
    })
}

#[test]
fn tokens_of_each_provider_pass_and_near_misses_are_refused() {
    let providers = providers();
    assert_eq!(providers.len(), 12);
    for provider in &providers {
        let kind = provider["type"].as_str().unwrap();
        let verdict = verdicts(provider);
        for case in provider["passes"].as_array().unwrap() {
            assert_eq!(verdict(case[1].as_str().unwrap()), None, "{kind}: {}", case[0]);
        }
        let misses = provider["misses"].as_array().unwrap();
        assert!(misses.len() >= 10, "{kind}");
        for case in misses {
            assert_eq!(verdict(case[2].as_str().unwrap()).as_deref(), case[1].as_str(), "{kind}: {}", case[0]);
        }
    }
}

#[test]
fn keys_and_variables_of_the_configuration_take_precedence_over_those_of_the_type() {
    let providers = providers();
    let find = |kind: &str| providers.iter().find(|one| one["type"] == kind).unwrap();
    let verdict_with = |provider: &Value, key: &str, value: Value| {
        let mut changed = provider.clone();
        changed["gateway"][key] = value;
        verdicts(&changed)(provider["passes"][0][1].as_str().unwrap())
    };
    let okta = find("okta");
    assert_eq!(verdict_with(okta, "issuer", json!("https://example.okta.com")).as_deref(), Some("issuer_mismatch"));
    assert_eq!(verdict_with(okta, "roles_claim", json!("roles")).as_deref(), Some("roles_claim_missing"));
    assert_eq!(verdict_with(okta, "roles_claim", json!(null)), None, "null is absent");
    assert_eq!(verdict_with(find("supabase"), "audience", json!("api")).as_deref(), Some("audience_mismatch"));

    let config = json!({
        "authorizer": { "type": "$env.KIND", "domain": "abcd.supabase.co", "jwks": find("supabase")["jwks"] },
        "paths": [{ "method": "GET", "path": "/api", "integration": { "type": "respond" } }]
    });
    let status = |audience: Option<&str>| {
        let variables = |name: &str| match name {
            "KIND" => Some("supabase".into()),
            "AUTH0_AUDIENCE" => audience.map(Into::into),
            _ => None,
        };
        let gateway = compile(&config.to_string(), &variables).unwrap().gateway;
        let token = format!("Bearer {}", find("supabase")["passes"][0][1].as_str().unwrap());
        reply(&gateway, "GET", "/api", &[("authorization", &token)]).status
    };
    assert_eq!(status(None), 200);
    assert_eq!(status(Some("api")), 401);
}

#[test]
fn rules_on_routes_are_enough_for_an_issuer_that_serves_everyone() {
    let providers = providers();
    let github = providers.iter().find(|one| one["type"] == "github_actions").unwrap();
    let verdict = |routes: Value| {
        let authorizer =
            json!({ "type": "github_actions", "audience": "https://api.example.com", "jwks": github["jwks"] });
        compile(&json!({ "authorizer": authorizer, "paths": routes }).to_string(), &|_| None)
    };
    let route = |path: &str, more: Value| {
        let mut route = json!({ "method": "GET", "path": path, "integration": { "type": "respond" } });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    let restricted = json!({ "claims": { "repository": "octo-org/app" } });
    let compiled = verdict(json!([route("/a", restricted.clone()), route("/b", json!({ "auth": "none" }))])).unwrap();
    let token = format!("Bearer {}", github["passes"][0][1].as_str().unwrap());
    assert_eq!(reply(&compiled.gateway, "GET", "/a", &[("authorization", &token)]).status, 200);
    for open in [json!({}), json!({ "auth": "optional" }), json!({ "claims": { "ref": "refs/heads/main" } })] {
        let problems = verdict(json!([route("/a", restricted.clone()), route("/b", open.clone())])).unwrap_err();
        assert_eq!(problems[0].path, "authorizer.claims", "{open}");
    }
}
