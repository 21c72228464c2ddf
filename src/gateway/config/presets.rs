//! `authorizer.type`: what the types of providers stand for, and the issuers that need a rule on claims.

use super::authorizer::{AuthorizerConfig, Type};
use super::declare::{Declared, Form};
use super::forms::Words;
use super::reader::{Field, Reader};
#[cfg(test)]
use super::reference;
use crate::json::Document;
use crate::jwt::{ClaimRule, ClaimValue};
use crate::limits;

/// The types besides `auth0` and `oidc`, each with the keys of `authorizer` that it stands for, as JSON. A key or variable of the
/// configuration takes precedence. In `issuer` and `jwks_uri`, `{domain}`, `{audience}` and `{client_id}` stand for these keys.
pub(super) const PRESETS: [(&str, &str); 12] = [
    (
        "okta",
        r#"{ "issuer": "https://{domain}/oauth2/default", "roles_claim": "groups", "audience_parameter": "none",
            "subject_match": { "access_token": "uid", "id_token": "sub" } }"#,
    ),
    (
        "entra",
        r#"{ "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0", "roles_claim": "roles", "audience_parameter": "none",
            "subject_match": { "access_token": "oid", "id_token": "oid" } }"#,
    ),
    (
        "cognito",
        r#"{ "audience": false, "roles_claim": "cognito:groups", "audience_parameter": "none", "logout_parameter": "logout_uri" }"#,
    ),
    ("keycloak", r#"{ "roles_claim": ["realm_access", "roles"], "audience_parameter": "none" }"#),
    ("google", r#"{ "issuer": "https://accounts.google.com", "audience_parameter": "none" }"#),
    (
        "supabase",
        r#"{ "issuer": "https://{domain}/auth/v1", "audience": "authenticated", "algorithms": ["RS256", "ES256"],
            "roles_claim": ["app_metadata", "roles"], "audience_parameter": "none" }"#,
    ),
    ("clerk", r#"{ "issuer": "https://{domain}", "audience": false, "audience_parameter": "none" }"#),
    (
        "workos",
        r#"{ "issuer": "https://api.workos.com/user_management/{client_id}",
            "jwks_uri": "https://api.workos.com/sso/jwks/{client_id}", "roles_claim": "roles", "audience_parameter": "none" }"#,
    ),
    (
        "zitadel",
        r#"{ "issuer": "https://{domain}", "roles_claim": "urn:zitadel:iam:org:project:roles", "audience_parameter": "none" }"#,
    ),
    (
        "firebase",
        r#"{ "issuer": "https://securetoken.google.com/{audience}",
            "jwks_uri": "https://www.googleapis.com/service_accounts/v1/jwk/securetoken@system.gserviceaccount.com",
            "audience_parameter": "none" }"#,
    ),
    (
        "cloudflare_access",
        r#"{ "issuer": "https://{domain}", "jwks_uri": "https://{domain}/cdn-cgi/access/certs",
            "token_from": [{ "header": "Cf-Access-Jwt-Assertion" }, { "cookie": "CF_Authorization" }], "audience_parameter": "none" }"#,
    ),
    ("github_actions", r#"{ "issuer": "https://token.actions.githubusercontent.com", "audience_parameter": "none" }"#),
];

/// The `authorizer` section, with the keys that its type stands for.
pub(super) struct AuthorizerForm;

impl Form for AuthorizerForm {
    type Value = AuthorizerConfig;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<AuthorizerConfig> {
        let section = reader.object(field)?;
        let kind = section.get("type").and_then(|field| reader.without_problems().string(&field));
        let keys = PRESETS.iter().find(|(name, _)| kind.as_deref() == Some(name)).map_or("{}", |(_, keys)| keys);
        // Cannot fail: a test reads every preset.
        let preset = Document::parse(keys.as_bytes().to_vec(), limits::MAX_CLAIMS_DEPTH).ok()?;
        Some(AuthorizerConfig::read_section(reader, &section.with_preset(preset.root())))
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        AuthorizerConfig::form()
    }
}

impl Words for Type {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("auth0", Self::Auth0),
        ("oidc", Self::Oidc),
        ("okta", Self::Preset),
        ("entra", Self::Preset),
        ("cognito", Self::Preset),
        ("keycloak", Self::Preset),
        ("google", Self::Preset),
        ("supabase", Self::Preset),
        ("clerk", Self::Preset),
        ("workos", Self::Preset),
        ("zitadel", Self::Preset),
        ("firebase", Self::Preset),
        ("cloudflare_access", Self::Preset),
        ("github_actions", Self::Preset),
    ];
}

/// Whether anyone can have this issuer sign tokens for any audience: those of public continuous integration, and Google for service
/// accounts.
pub(super) fn serves_everyone(issuer: &str) -> bool {
    issuer == "https://gitlab.com"
        || is_google(issuer)
        || issuer.starts_with("https://token.actions.githubusercontent.com")
}

fn is_google(issuer: &str) -> bool {
    issuer == "https://accounts.google.com"
}

/// The claims that tell accounts of Google apart.
const ACCOUNT_CLAIMS: [&str; 4] = ["sub", "email", "hd", "azp"];

/// The claims, besides `sub`, that tell the repositories of such an issuer apart.
const ORIGIN_CLAIMS: [&str; 8] = [
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "project_path",
    "project_id",
    "namespace_path",
    "namespace_id",
];

/// The message where no rule does so.
pub(super) const NEEDS_ORIGIN: &str = "must have a rule that names a repository or its owner (sub, repository, repository_owner, project_path, namespace_path, or their ids), \
     or at Google an account (sub, email, hd, azp): anyone can request a token of this issuer for any audience";

/// Whether the rules admit some repositories, owners or accounts of such an issuer only.
pub(super) fn restricts_origin(issuer: &str, rules: &[ClaimRule]) -> bool {
    rules.iter().any(|rule| {
        let [name] = rule.claim.names() else { return false };
        let ClaimRule { equals, any, all, prefix, .. } = rule;
        let text = match equals {
            Some(ClaimValue::Text(text)) => Some(text),
            _ => None,
        };
        let is_listed = text.is_some() || !any.is_empty() || !all.is_empty();
        if is_google(issuer) {
            return is_listed && ACCOUNT_CLAIMS.contains(&name.as_str());
        }
        if name == "sub" {
            // Repositories choose what their `sub` consists of, and others can choose the same.
            let is_named = is_listed && text.into_iter().chain(any).chain(all).all(|text| names_origin(text));
            return is_named || prefix.as_deref().is_some_and(|prefix| names_origin(prefix) && prefix.contains('/'));
        }
        // A prefix must end a name: `octo` also begins `octocat`.
        let has_prefix = prefix.as_deref().is_some_and(|prefix| prefix.contains('/'));
        ORIGIN_CLAIMS.contains(&name.as_str()) && (is_listed || has_prefix)
    })
}

/// Whether a `sub` names a repository or its owner.
fn names_origin(sub: &str) -> bool {
    let is_path = |kind| sub.strip_prefix(kind).is_some_and(|rest: &str| rest.contains('/'));
    let is_id = |kind| sub.strip_prefix(kind).is_some_and(|rest: &str| !rest.is_empty());
    ["repo:", "repository:", "project_path:"].into_iter().any(is_path)
        || ["repository_id:", "repository_owner:", "repository_owner_id:"].into_iter().any(is_id)
}

#[cfg(test)]
mod tests {
    use super::{PRESETS, restricts_origin, serves_everyone};
    use crate::gateway::config::authorizer::{AuthorizerConfig, Type};
    use crate::gateway::config::declare::Declared;
    use crate::gateway::config::forms::Words;
    use crate::json::Document;
    use crate::jwt::{ClaimPath, ClaimRule};
    use crate::limits;

    #[test]
    fn every_preset_is_a_type() {
        let types = Type::WORDS.iter().filter(|(_, kind)| *kind == Type::Preset).map(|(name, _)| *name);
        assert!(types.eq(PRESETS.map(|(name, _)| name)));
    }

    #[test]
    fn every_preset_is_an_object_of_declared_keys() {
        for (name, keys) in PRESETS {
            let document = Document::parse(keys.as_bytes().to_vec(), limits::MAX_CLAIMS_DEPTH).unwrap();
            for (key, _) in document.root().iter() {
                assert!(AuthorizerConfig::KEYS.iter().any(|one| one.name == key), "{name}: {key}");
            }
        }
    }

    #[test]
    fn issuers_of_public_continuous_integration_serve_everyone() {
        for (issuer, expected) in [
            ("https://token.actions.githubusercontent.com", true),
            ("https://token.actions.githubusercontent.com/octo-enterprise", true),
            ("https://gitlab.com", true),
            ("https://accounts.google.com", true),
            ("https://gitlab.example.com", false),
            ("https://github.example.com/_services/token", false),
        ] {
            assert_eq!(serves_everyone(issuer), expected, "{issuer}");
        }
    }

    #[test]
    fn a_rule_restricts_the_origin_if_it_names_one() {
        let rule = |claim: &str, change: fn(&mut ClaimRule)| {
            let mut rule = ClaimRule::new(claim);
            change(&mut rule);
            restricts_origin("https://gitlab.com", &[rule])
        };
        assert!(rule("sub", |rule| rule.equals = Some("repo:octo/app:ref:refs/heads/main".into())));
        assert!(rule("repository", |rule| rule.any = vec!["octo/app".into()]));
        assert!(rule("repository_owner_id", |rule| rule.all = vec!["1".into()]));
        assert!(rule("sub", |rule| rule.prefix = Some("repo:octo/".into())));
        assert!(rule("project_path", |rule| rule.equals = Some("group/app".into())));
        // Others may have all of these.
        assert!(!rule("sub", |_| ()));
        assert!(!rule("sub", |rule| rule.prefix = Some("repo:".into())));
        assert!(!rule("repository_owner", |rule| rule.prefix = Some("octo".into())));
        assert!(!rule("repository", |rule| rule.not = vec!["evil/app".into()]));
        assert!(!rule("ref", |rule| rule.equals = Some("refs/heads/main".into())));
        assert!(!rule("actor", |rule| rule.equals = Some("octocat".into())));
        assert!(!rule("job_workflow_ref", |rule| rule.equals = Some("octo/shared/.github/workflows/x.yml@v1".into())));
        let mut nested = ClaimRule::new(ClaimPath::from_iter(["x", "repository"]));
        nested.equals = Some("octo/app".into());
        assert!(!restricts_origin("https://gitlab.com", &[nested]));
        assert!(!restricts_origin("https://gitlab.com", &[]));
        // A repository can leave itself out of its `sub`.
        assert!(
            !rule("sub", |rule| rule.equals = Some("job_workflow_ref:octo/shared/.github/workflows/x.yml@v1".into()))
        );
        assert!(!rule("sub", |rule| rule.equals = Some("environment:production".into())));
        assert!(!rule("sub", |rule| rule.prefix = Some("ref:refs/heads/".into())));
        assert!(!rule("sub", |rule| rule.any = vec!["repo:octo/app".into(), "environment:production".into()]));
        assert!(!rule("sub", |rule| rule.prefix = Some("repository_owner_id:1".into())));
    }

    #[test]
    fn a_rule_restricts_the_accounts_of_google() {
        let rule = |claim: &str| {
            let mut rule = ClaimRule::new(claim);
            rule.equals = Some("example.com".into());
            restricts_origin("https://accounts.google.com", &[rule])
        };
        assert!(rule("hd") && rule("email") && rule("sub") && rule("azp"));
        assert!(!rule("repository") && !rule("email_verified"));
        assert!(!restricts_origin("https://accounts.google.com", &[]));
    }
}
