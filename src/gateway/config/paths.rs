//! `paths`: the routes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::authorizer::Authorizer;
use super::declare::{Form, Setting, section};
use super::forms::{Check, Checked, Choice, ClaimPathForm, Elements, Flag, List, OneOf, Text, Texts, Whole, Words};
use super::integration::IntegrationConfig;
use super::methods::MethodsForm;
use super::overlaps;
use super::reader::{Field, Reader};
use super::redirects;
#[cfg(test)]
use super::reference;
use super::revocation;
use crate::gateway::agreement::RouteTable;
use crate::gateway::customer_edge;
use crate::gateway::headers::HeaderValue;
use crate::gateway::index::RouteIndex;
use crate::gateway::pattern::{InvalidPattern, Pattern};
use crate::gateway::route::{AcceptedCredentials, Auth, Integration, Methods, OnForbidden, OnUnauthenticated, Route};
use crate::gateway::{LOGIN_PATH, Routes};
use crate::http::path::RequestPath;
use crate::json::{Number, Value};
use crate::jwt::{self, ClaimRule, ClaimValue, Requirements};
use crate::limits;
use crate::oidc::StepUp;
use crate::oidc::UpstreamGrant;
use crate::url::HttpUrl;

section! {
    /// A route: which requests it matches, what they need, and what answers them.
    pub(super) struct PathConfig {
        /// A method, a list of methods, or `ANY`. `GET` answers `HEAD` too.
        method: MethodsForm, required "a method, a list of methods, or ANY";
        /// Exact, with `{param}` segments (or `:param`), or ending in `{*rest}` (or `*`). The most specific path decides, then the method.
        path: PathPattern, required "";
        /// Whether a token or session is needed. Without it: `none` for `login`, `callback`, `logout`, `jwks` and `customer_edge`, else `required`. `true` is `required`, `false` is `none`.
        auth: AuthForm;
        /// What opens the route: a session, a bearer token, or either. A bearer token is refused where only sessions count, and a session is ignored where only tokens do.
        credentials: Choice<AcceptedCredentials> = AcceptedCredentials::Any;
        /// All must be in the token's `scope`, else in `scp`.
        scopes: Scopes;
        /// All must be in `permissions`.
        permissions: Permissions;
        /// All must be in the claim that `authorizer.roles_claim` names.
        roles: AnyAll;
        /// All must be in `aud`.
        audience: Texts;
        /// One must be the token's organization.
        organizations: OneOf;
        /// Rules on other claims, all of which must be met: claim names, each with the text that the claim must be, or with a rule; or a list of rules.
        claims: ClaimRules;
        /// The login must have been one of these: values of the claim `acr`. Browser navigations are sent to log in so, API clients get 401 (RFC 9470).
        acr: AcrValues;
        /// Longest time since the user last entered credentials, the claim `auth_time`, in seconds. Otherwise as for `acr`.
        max_age: Whole<{ limits::MIN_LOGIN_AGE_S }, { u32::MAX }>;
        /// The answer to a request without token and session. `auto`: browser navigations are sent to log in, API clients get 401. `login`: every request that can be redirected is sent to log in. `401`: always 401.
        on_unauthenticated: UnauthenticatedForm = OnUnauthenticated::Auto;
        /// The answer where a right is missing: 403, or a path to redirect to, which must not require the same right.
        on_forbidden: ForbiddenForm = OnForbidden::Problem;
        /// For migrations: requests that would get 401 or 403 are logged and pass, without their credentials. The answer names the code in `X-Edgeward-Observed`.
        observe: Flag = false;
        /// What answers the requests.
        integration: IntegrationConfig, required "";
    }
}

section! {
    /// Rights, in place of a list of which all are required; for `scopes`, `permissions` and `roles`.
    pub(super) struct AnyAllConfig {
        /// One of these is required.
        any: Texts;
        /// All of these are required.
        all: Texts;
    }
}

section! {
    /// A rule on a claim that is a text, a list of texts, or a boolean. All conditions must be met; a claim that is absent or of another form meets none.
    pub(super) struct ClaimRuleConfig {
        /// The claim: a name, or a path such as `["realm_access", "roles"]`. In a list of rules only.
        claim: ClaimPathForm;
        /// It must be this text, or this boolean.
        equals: ClaimValueForm;
        /// It must be or contain one of these.
        any: Texts;
        /// It must be or contain each of these.
        all: Texts;
        /// It must neither be nor contain any of these.
        not: Texts;
        /// It must be a text that begins with this.
        prefix: Text;
    }
}

/// Names that Auth0 keeps for OpenID Connect; no API can define permissions or scopes of these names.
const RESERVED_PERMISSIONS: &[&str] = &[
    "address",
    "created_at",
    "email",
    "email_verified",
    "family_name",
    "given_name",
    "identities",
    "name",
    "nickname",
    "offline_access",
    "openid",
    "phone",
    "picture",
    "profile",
];

/// Compiles the routes, and checks what they have to agree on.
pub(super) fn check(
    reader: &mut Reader<'_>,
    paths: &Setting<'_, Elements<PathConfig>>,
    authorizer: Option<&Authorizer<'_>>,
) -> Routes {
    let valid = paths.value.map_or(&[][..], |list| &list.valid);
    let mut is_complete = paths.value.is_some_and(|list| list.is_complete);
    let mut routes = Vec::with_capacity(valid.len());
    let mut places = Vec::with_capacity(valid.len());
    for (place, config) in valid {
        match compile(reader, place, config, authorizer) {
            Some(route) => {
                routes.push(route);
                places.push(place.clone());
            }
            None => is_complete = false,
        }
    }
    let has = |wanted| routes.iter().any(|route: &Route| route.integration == wanted);
    let has_default_login = is_complete && has(Integration::Callback) && !has(Integration::Login);
    if let Some(route) = default_login(reader).filter(|_| has_default_login) {
        routes.push(route);
        places.push(format!("{LOGIN_PATH} (the gateway's own)"));
    }
    let index = RouteIndex::new(&routes, reader.unicode);
    overlaps::check(reader, &index, &routes, &places);
    // What these routes lack may be in one that was refused.
    if is_complete && !reader.has_error_at("authorizer") {
        check_login(reader, &routes, &places, authorizer);
    }
    let table = RouteTable::new(index, &routes);
    redirects::check(reader, &table, &routes, &places, authorizer);
    Routes { table, routes, has_default_login }
}

/// The login where no route is one.
fn default_login(reader: &Reader<'_>) -> Option<Route> {
    Some(Route {
        methods: Methods::Only(["GET", "POST"].map(String::from).into()),
        pattern: Pattern::parse(LOGIN_PATH, reader.unicode).ok()?,
        auth: Auth::None,
        credentials: AcceptedCredentials::Any,
        lacks_audience: false,
        requirements: Requirements::default(),
        step_up: StepUp::default(),
        on_unauthenticated: OnUnauthenticated::Auto,
        on_forbidden: OnForbidden::Problem,
        only_observes: false,
        integration: Integration::Login,
        login_step: None,
        upstream_tokens: None,
    })
}

fn compile(
    reader: &mut Reader<'_>,
    place: &str,
    config: &PathConfig,
    authorizer: Option<&Authorizer<'_>>,
) -> Option<Route> {
    let integration = config.integration().value.and_then(IntegrationConfig::compile);
    let is_public = integration.as_ref().is_some_and(Integration::is_public);
    let auth = config.auth().cloned().unwrap_or(if is_public { Auth::None } else { Auth::Required });
    let claim = authorizer.and_then(Authorizer::roles_claim);
    let roles = config.roles().cloned().filter(|roles| !roles.all.is_empty() || !roles.any.is_empty());
    if roles.is_some() && claim.is_none() && authorizer.is_some_and(Authorizer::lacks_roles_claim) {
        reader.error(
            &config.roles().place(),
            "needs authorizer.roles_claim: the claim that lists roles, such as \"https://yourapp.com/roles\"",
        );
    }
    let scopes = config.scopes().cloned().unwrap_or_default();
    let permissions = config.permissions().cloned().unwrap_or_default();
    let mut requirements = Requirements {
        scopes: scopes.all,
        any_scope: scopes.any,
        permissions: permissions.all,
        any_permission: permissions.any,
        roles: claim.zip(roles).map(|(claim, AnyAll { all, any })| jwt::Roles { claim, all, any }),
        organizations: config.organizations().items().to_vec(),
        audience: config.audience().items().to_vec(),
        claims: config.claims().items().to_vec(),
    };
    if !requirements.audience.is_empty() && authorizer.is_some_and(Authorizer::expects_no_audience) {
        reader.error(&config.audience().place(), "cannot be met: authorizer.audience is false");
    }
    let lacks_audience =
        auth != Auth::None && requirements.audience.is_empty() && authorizer.is_some_and(Authorizer::lacks_audience);
    if lacks_audience {
        for setting in
            [config.scopes(), config.permissions()].iter().filter(|setting| setting.value.is_some_and(AnyAll::is_given))
        {
            reader.error(&setting.place(), "needs authorizer.audience: only an access token for an API grants them");
        }
    }
    let credentials = config.credentials();
    if let Some(message) = match credentials {
        AcceptedCredentials::Any => None,
        _ if auth == Auth::None => Some("has no effect, because the route has no authentication"),
        AcceptedCredentials::Session => None,
        AcceptedCredentials::Bearer if lacks_audience => Some("is \"bearer\", which needs authorizer.audience"),
        AcceptedCredentials::Bearer if integration == Some(Integration::Refresh) => {
            Some("is \"bearer\", but only sessions can be refreshed")
        }
        AcceptedCredentials::Bearer if config.on_unauthenticated() == OnUnauthenticated::Login => {
            Some("is \"bearer\", but a login brings no bearer token: remove on_unauthenticated")
        }
        AcceptedCredentials::Bearer => None,
    } {
        reader.error(&format!("{place}.credentials"), message);
    }
    let step_up = StepUp { acr: config.acr().items().to_vec(), max_age_s: config.max_age().cloned() };
    for (name, value) in step_up.parameters() {
        let place = format!("{place}.{}", if name == "max_age" { name } else { "acr" });
        if value.len() > limits::MAX_LOGIN_PARAMETER_BYTES {
            reader.error(&place, "is too long to request of the provider");
        } else if authorizer.is_some_and(|authorizer| authorizer.fixes_parameter(name)) {
            reader.error(&place, format_args!("cannot be requested: authorizer.authorization_params has {name}"));
        }
    }
    if integration == Some(Integration::Status) && !(auth == Auth::Required && requires_right(config)) {
        reader.error(
            &format!("{place}.integration"),
            "is \"status\", which needs \"auth\": \"required\" and at least one of scopes, permissions, roles, organizations and claims",
        );
    }
    if config.observe() {
        let place = format!("{place}.observe");
        if integration.as_ref().is_some_and(|one| one.action_name().is_some()) {
            reader.error(&place, "is true, but only a route that forwards or responds can let refused requests pass");
        } else if auth == Auth::None {
            reader.error(&place, "has no effect, because the route has no authentication");
        } else {
            reader.warn(&place, "is true: requests without the required credentials and rights pass");
        }
    }
    if auth == Auth::None {
        let uses_caller = |(_, value): &(String, HeaderValue)| value.needs_caller();
        let headers = integration.as_ref().and_then(Integration::headers);
        if !requirements.is_empty() || !step_up.is_empty() {
            reader.error(
                &config.auth().place(),
                "is \"none\", but the route demands rights, which only a token can give",
            );
        }
        if headers.is_some_and(|headers| headers.iter().any(uses_caller)) {
            reader.error(
                &format!("{place}.integration.headers"),
                "use $claims or $token, but the route has no authentication",
            );
        }
    } else if let Some(authorizer) = authorizer
        && requirements.organizations.is_empty()
    {
        // Required of every token anyway; repeated here so that a refusal names them.
        requirements.organizations = authorizer.organizations().to_vec();
    }
    check_subjects(reader, place, integration.as_ref(), &requirements, credentials, authorizer);
    if let Some(integration) = &integration {
        check_upstream_auth(reader, &format!("{place}.integration"), integration, auth, authorizer);
    }
    let (pattern, integration) = (config.path().cloned()?, integration?);
    revocation::check_route(reader, place, &integration, config, (auth, &requirements));
    if matches!(integration, Integration::CustomerEdge { .. }) {
        if !pattern.path().is_some_and(|path| customer_edge::PATHS.contains(&path.as_str())) {
            let paths = customer_edge::PATHS.join(", ");
            reader
                .error(&config.path().place(), format_args!("is none of those that a customer edge forwards: {paths}"));
        }
        if auth != Auth::None {
            reader.error(&config.auth().place(), "must be \"none\": clients authenticate at the provider");
        }
    }
    if integration.options().is_some_and(|options| !pattern.begins_with(&options.prefix)) {
        reader.error(
            &format!("{place}.integration.strip_prefix"),
            "must be the beginning of the route's path, such as /api, without parameters or encoded characters",
        );
    }
    Some(Route {
        methods: config.method().cloned()?,
        pattern,
        auth,
        credentials,
        lacks_audience,
        requirements,
        step_up,
        on_unauthenticated: config.on_unauthenticated(),
        on_forbidden: config.on_forbidden(),
        only_observes: config.observe(),
        integration,
        login_step: None,
        upstream_tokens: None,
    })
}

/// Warns of an origin that cannot tell the users of one issuer from those of another: a subject is unique at its issuer only.
fn check_subjects(
    reader: &mut Reader<'_>,
    place: &str,
    integration: Option<&Integration>,
    requirements: &Requirements,
    credentials: AcceptedCredentials,
    authorizer: Option<&Authorizer<'_>>,
) {
    let Some(headers) = integration.and_then(Integration::headers) else { return };
    let names =
        |wanted: &str| headers.iter().any(|(_, value)| matches!(value, HeaderValue::Claim(name) if name == wanted));
    if (names("sub") || names("email"))
        && !names("iss")
        && credentials != AcceptedCredentials::Session
        && !requirements.claims.iter().any(|rule| rule.claim.names() == ["iss"])
        && authorizer.is_some_and(Authorizer::has_several_issuers)
    {
        reader.warn(
            &format!("{place}.integration.headers"),
            "have no $claims.iss: with several issuers, the same $claims.sub or $claims.email may be of different users",
        );
    }
}

/// Checks that the token of `upstream_auth` can be obtained and reaches the upstream.
fn check_upstream_auth(
    reader: &mut Reader<'_>,
    place: &str,
    integration: &Integration,
    auth: Auth,
    authorizer: Option<&Authorizer<'_>>,
) {
    let headers = integration.headers().map(Vec::as_slice).unwrap_or_default();
    let has_template = headers.iter().any(|(_, value)| value.is_upstream_token());
    let in_headers = format!("{place}.headers");
    let Some(upstream) = integration.options().and_then(|options| options.upstream_auth.as_ref()) else {
        if has_template {
            reader.error(&in_headers, "use $m2m, but the integration has no upstream_auth, whose token that is");
        }
        return;
    };
    let place = format!("{place}.upstream_auth");
    if authorizer.is_some_and(Authorizer::binds_tokens) && headers.iter().any(|(_, value)| value.is_token()) {
        reader.error(
            &in_headers,
            "use $token beside upstream_auth: with authorizer.dpop_key, the header DPoP can prove one token only",
        );
    }
    if authorizer.is_none() {
        reader.error(&place, "needs an authorizer, whose client obtains the token");
    }
    if upstream.grant == UpstreamGrant::Exchange && auth == Auth::None {
        reader.error(&place, "exchanges the caller's token, but the route has no authentication");
    }
    if !has_template && headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization")) {
        reader.error(
            &in_headers,
            "set Authorization, and so does upstream_auth: give the header that gets its token the value \"Bearer $m2m\"",
        );
    }
}

/// Whether the route itself requires a right that not every user has.
fn requires_right(config: &PathConfig) -> bool {
    let rights = [config.scopes(), config.permissions(), config.roles()];
    rights.iter().any(|setting| setting.value.is_some_and(AnyAll::is_given))
        || !config.organizations().items().is_empty()
        || !config.claims().items().is_empty()
}

/// The list of routes.
pub(super) struct PathList;

/// A [`Pattern`].
pub(super) struct PathPattern;

/// `required`, `optional`, `none`, or whether a token is needed.
pub(super) struct AuthForm;

/// Values of the claim `acr`.
pub(super) type AcrValues = Checked<SingleAcrValues>;

pub(super) struct SingleAcrValues;

/// Scopes that are required, each by itself.
pub(super) type Scopes = Checked<SingleScopeRights>;

/// A list of scopes, each by itself.
pub(super) type ScopeList = Checked<SingleScopes>;

pub(super) struct SingleScopeRights;

pub(super) struct SingleScopes;

/// Permissions of an API.
pub(super) struct Permissions;

/// Rules on claims, by name or as a list.
pub(super) struct ClaimRules;

/// Rights of which all of `all`, and one of `any` unless it is empty, are required.
#[derive(Clone, Default)]
pub(super) struct AnyAll {
    all: Vec<String>,
    any: Vec<String>,
}

impl AnyAll {
    /// Whether any right is required.
    fn is_given(&self) -> bool {
        self.iter().next().is_some()
    }

    fn iter(&self) -> impl Iterator<Item = &String> {
        self.all.iter().chain(&self.any)
    }
}

/// `auto`, `login`, or 401.
pub(super) struct UnauthenticatedForm;

/// 403 or a path.
pub(super) struct ForbiddenForm;

impl Form for PathList {
    type Value = Elements<PathConfig>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Elements<PathConfig>> {
        let Some(array) = field.value.as_array() else {
            reader.error(&field.place, "must be a list of routes");
            return None;
        };
        if array.iter().next().is_none() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        List::<PathConfig>::read(reader, field)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        List::<PathConfig>::form()
    }
}

impl Form for PathPattern {
    type Value = Pattern;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Pattern> {
        let text = reader.text(field)?;
        match Pattern::parse(&text, reader.unicode) {
            // Problems show it as it is written: what a placeholder stands for may be secret.
            Ok(pattern) => Some(pattern.shown_as(field.written())),
            Err(reason) => {
                let message = match reason {
                    InvalidPattern::Path(reason) => reason.detail(),
                    InvalidPattern::EmptySegment => "The path has two slashes in a row.",
                    InvalidPattern::Parameter => "The path has a semicolon.",
                    InvalidPattern::Separator => "The path has a percent-encoded slash or backslash.",
                    InvalidPattern::Query => "The path has a ? or #: routes match the path alone.",
                    InvalidPattern::DoubleEncoding => "The path is percent-encoded twice.",
                    InvalidPattern::RestNotLast => "{*rest} must be the last segment",
                    InvalidPattern::Braces => "a parameter is a whole segment: {name} or {*name}",
                    InvalidPattern::DuplicateParameter => "two parameters have the same name",
                };
                reader.error(&field.place, message);
                None
            }
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::Text
    }
}

impl Words for Auth {
    const WORDS: &'static [(&'static str, Self)] =
        &[("required", Self::Required), ("optional", Self::Optional), ("none", Self::None)];
}

impl Words for AcceptedCredentials {
    const WORDS: &'static [(&'static str, Self)] =
        &[(Self::Any.name(), Self::Any), (Self::Session.name(), Self::Session), (Self::Bearer.name(), Self::Bearer)];
}

impl Form for AuthForm {
    type Value = Auth;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Auth> {
        match field.value {
            Value::Bool(true) => Some(Auth::Required),
            Value::Bool(false) => Some(Auth::None),
            _ => Choice::<Auth>::read(reader, field),
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![Choice::<Auth>::form(), reference::Form::Flag])
    }
}

/// A list of which all are required, or an object with `any` or `all`.
impl Form for AnyAll {
    type Value = Self;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Self> {
        if field.value.as_object().is_none() {
            return Texts::read(reader, field).map(|all| Self { all, any: Vec::new() });
        }
        let config = AnyAllConfig::read(reader, field)?;
        let (any, all) = (config.any(), config.all());
        if any.is_invalid || all.is_invalid {
            return None;
        }
        // An empty list would require nothing, and look as if it did.
        if [&any, &all].iter().any(|list| list.value.is_some_and(Vec::is_empty)) || any.is_absent() && all.is_absent() {
            if !reader.has_error_inside(&field.place) {
                reader.error(&field.place, "must have \"any\" or \"all\", which must not be empty");
            }
            return None;
        }
        Some(Self { all: all.items().to_vec(), any: any.items().to_vec() })
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![reference::Form::Texts, AnyAllConfig::form()])
    }
}

impl Check for SingleScopes {
    type Base = Texts;

    const MESSAGE: &'static str = "must not hold spaces: list each scope by itself";

    fn is_valid(scopes: &Vec<String>) -> bool {
        !scopes.iter().any(|scope| scope.contains(' '))
    }
}

impl Check for SingleAcrValues {
    type Base = Texts;

    const MESSAGE: &'static str = "must list values of visible ASCII characters, without quotes and backslashes";

    fn is_valid(values: &Vec<String>) -> bool {
        // They are sent to the provider as a list with spaces, and to clients in quotes.
        let is_valid = |value: &String| value.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e));
        !values.is_empty() && values.iter().all(is_valid)
    }
}

impl Check for SingleScopeRights {
    type Base = AnyAll;

    const MESSAGE: &'static str = SingleScopes::MESSAGE;

    fn is_valid(scopes: &AnyAll) -> bool {
        SingleScopes::is_valid(&scopes.all) && SingleScopes::is_valid(&scopes.any)
    }
}

impl Form for Permissions {
    type Value = AnyAll;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<AnyAll> {
        let permissions = AnyAll::read(reader, field)?;
        for permission in permissions.iter().filter(|one| RESERVED_PERMISSIONS.contains(&one.as_str())) {
            reader.error(
                &field.place,
                format_args!("\"{permission}\" is a reserved name, which no API can define as a permission"),
            );
        }
        Some(permissions)
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        AnyAll::form()
    }
}

impl Form for ClaimRules {
    type Value = Vec<ClaimRule>;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<ClaimRule>> {
        let rules: Vec<Option<ClaimRule>> = if let Some(list) = field.value.as_array() {
            let elements = list.iter().enumerate();
            elements.map(|(index, value)| claim_rule(reader, &field.element(index, value), None)).collect()
        } else if field.value.as_object().is_some() {
            let section = reader.object(field)?;
            section.members().map(|(name, member)| claim_rule(reader, &member, Some(name))).collect()
        } else {
            reader.error(&field.place, "must be an object of claim names, or a list of rules");
            return None;
        };
        if rules.is_empty() {
            reader.error(&field.place, "must not be empty");
            return None;
        }
        rules.into_iter().collect()
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        let named =
            reference::Form::AnyOf(alloc::vec![reference::Form::Text, reference::Form::Flag, ClaimRuleConfig::form()]);
        reference::Form::AnyOf(alloc::vec![
            reference::Form::Named(named.into()),
            reference::Form::List(ClaimRuleConfig::form().into()),
        ])
    }
}

/// Reads a rule on the claim `name`, or in a list on the claim that it names.
fn claim_rule(reader: &mut Reader<'_>, field: &Field<'_>, name: Option<&str>) -> Option<ClaimRule> {
    if let Some(name) = name
        && field.value.as_object().is_none()
    {
        let equals = ClaimValueForm::read(reader, field)?;
        return Some(ClaimRule { equals: Some(equals), ..ClaimRule::new(name) });
    }
    let config = ClaimRuleConfig::read(reader, field)?;
    let claim = match name {
        Some(_) if !config.claim().is_absent() => {
            reader.error(&config.claim().place(), "is for lists of rules: here the key is the claim's name");
            return None;
        }
        Some(name) => name.into(),
        None if config.claim().is_absent() => {
            reader.error_missing(&config.claim().place(), "the name of the claim, or its path as a list");
            return None;
        }
        None => config.claim().cloned()?,
    };
    let (equals, prefix, lists) = (config.equals(), config.prefix(), [config.any(), config.all(), config.not()]);
    if equals.is_invalid || prefix.is_invalid || lists.iter().any(|list| list.is_invalid) {
        return None;
    }
    let is_empty = |list: &Setting<'_, Vec<String>>| list.value.is_some_and(Vec::is_empty);
    if lists.iter().any(is_empty) || equals.is_absent() && prefix.is_absent() && lists.iter().all(Setting::is_absent) {
        if !reader.has_error_inside(&field.place) {
            reader.error(&field.place, "must have a condition (equals, any, all, not, prefix), and none may be empty");
        }
        return None;
    }
    let (equals, prefix) = (equals.cloned(), prefix.cloned());
    let [any, all, not] = lists.map(|list| list.items().to_vec());
    Some(ClaimRule { claim, equals, any, all, not, prefix })
}

/// A string that is not empty, or a boolean.
pub(super) struct ClaimValueForm;

impl Form for ClaimValueForm {
    type Value = ClaimValue;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<ClaimValue> {
        match field.value {
            Value::Bool(flag) => Some(ClaimValue::Flag(flag)),
            Value::String(_) => reader.text(field).map(ClaimValue::Text),
            _ => {
                reader.error(&field.place, "must be a string or a boolean");
                None
            }
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![reference::Form::Text, reference::Form::Flag])
    }
}

impl Words for OnUnauthenticated {
    const WORDS: &'static [(&'static str, Self)] =
        &[("auto", Self::Auto), ("login", Self::Login), ("401", Self::Status401)];
}

impl Form for UnauthenticatedForm {
    type Value = OnUnauthenticated;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<OnUnauthenticated> {
        match field.value {
            Value::Number(Number::Unsigned(401)) => Some(OnUnauthenticated::Status401),
            _ => Choice::<OnUnauthenticated>::read(reader, field),
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![Choice::<OnUnauthenticated>::form(), reference::Form::Literal("401")])
    }

    #[cfg(test)]
    fn shown(value: &OnUnauthenticated) -> String {
        Choice::<OnUnauthenticated>::shown(value)
    }
}

impl Form for ForbiddenForm {
    type Value = OnForbidden;

    fn read(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<OnForbidden> {
        let text = match field.value {
            Value::Number(Number::Unsigned(403)) => return Some(OnForbidden::Problem),
            _ => reader.text(field)?,
        };
        if text == "403" {
            return Some(OnForbidden::Problem);
        }
        match RequestPath::parse(&text, reader.unicode) {
            Ok(path) if text.bytes().all(|byte| byte.is_ascii_graphic()) && path.has_one_structure() => {
                Some(OnForbidden::Redirect(text))
            }
            _ => {
                reader.error(&field.place, "must be 403 or a path such as /unauthorized");
                None
            }
        }
    }

    #[cfg(test)]
    fn form() -> reference::Form {
        reference::Form::AnyOf(alloc::vec![reference::Form::Literal("403"), reference::Form::Text])
    }

    #[cfg(test)]
    fn shown(_: &OnForbidden) -> String {
        "403".into()
    }
}

fn check_login(reader: &mut Reader<'_>, routes: &[Route], places: &[String], authorizer: Option<&Authorizer<'_>>) {
    let routes = || places.iter().zip(routes);
    let first = |wanted: &Integration| routes().find(|(_, route)| route.integration == *wanted);
    if let Some((path, route)) = routes().find(|(_, route)| route.integration.needs_login())
        && authorizer.is_none()
    {
        reader.error(path, format_args!("{} needs an authorizer", route.pattern.as_str()));
    }
    let Some(authorizer) = authorizer else { return };
    if let Some((path, _)) = first(&Integration::Refresh)
        && !authorizer.scope().split(' ').any(|scope| scope == "offline_access")
        && !reader.has_error_at("authorizer.scope")
    {
        let place = format!("{path}.integration");
        if authorizer.is_auth0() {
            reader.error(
                &place,
                "needs \"offline_access\" in authorizer.scope: without it the provider issues no refresh token",
            );
        } else {
            // Not every provider knows this scope.
            reader.warn(
                &place,
                "is \"refresh\", but \"offline_access\" is not in authorizer.scope: most providers issue no refresh token then",
            );
        }
    }
    let callback = first(&Integration::Callback);
    if callback.is_none()
        && let Some((path, _)) = routes().find(|(_, route)| route.credentials == AcceptedCredentials::Session)
    {
        reader.error(&format!("{path}.credentials"), "is \"session\", but no route has the callback integration");
    }
    let redirect_uri = authorizer.redirect_uri(callback.and_then(|(_, route)| route.pattern.path()).as_deref());
    if let Some((path, _)) = first(&Integration::Login)
        && callback.is_none()
    {
        reader.error(&format!("{path}.integration"), "needs a route with the callback integration, too");
    } else if let Some(uri) = redirect_uri {
        let path = HttpUrl::parse(&uri).map(|url| url.path()).unwrap_or_default();
        let path = RequestPath::parse(path, reader.unicode);
        let is_served = |route: &Route| {
            let matches = |path: &RequestPath| {
                route.pattern.matches(path.main().segments().filter(|segment| !segment.is_empty()))
            };
            route.integration == Integration::Callback && path.as_ref().is_ok_and(matches)
        };
        if !routes().any(|(_, route)| is_served(route)) {
            reader.error("authorizer.redirect_uri", "is not the path of any callback integration");
        }
    } else if let Some((path, _)) = routes().find(|(_, route)| route.integration.needs_login())
        && authorizer.lacks_redirect_uri()
    {
        reader.error(
            &format!("{path}.integration"),
            "needs authorizer.redirect_uri, or the site's origin in APP_BASE_URL",
        );
    }
    if let Some((path, _)) = routes().find(|(_, route)| route.on_unauthenticated == OnUnauthenticated::Login)
        && redirects::login_page(routes().map(|(_, route)| route)).is_none()
    {
        reader.error(
            &format!("{path}.on_unauthenticated"),
            "is \"login\", but no route with a fixed path and method GET is a login",
        );
    }
}
