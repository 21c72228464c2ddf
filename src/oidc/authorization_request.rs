//! The way of the authorization request to the provider: in the URL, signed (RFC 9101), or pushed (RFC 9126).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::client_assertion::ClientKey;
use super::endpoint_gate::Attempt;
use super::token_response::json_object;
use super::transaction::Transaction;
use super::{Client, EndpointFailure, LoginHost, ProofKeys, Provider, ProviderError, form};
use crate::base64url;
use crate::crypto::sha256;
use crate::host::SignError;
use crate::io::Incoming;
use crate::json::{Document, Value, push_quoted};
use crate::jwt::sign_jwt;
use crate::limits;
use crate::text::{concat, decimal, signed_decimal};

/// How requests to the provider are protected, beyond the authentication of the client.
#[derive(Debug, Default)]
pub struct RequestOptions {
    /// Whether authorization requests are pushed (RFC 9126), even if the provider's metadata does not require it.
    pub pushes: bool,
    /// The key that signs authorization requests (RFC 9101).
    pub request_object_key: Option<ClientKey>,
    /// The requested `authorization_details` (RFC 9396), a JSON array.
    pub authorization_details: Option<String>,
    /// Whether callbacks must carry `iss` (RFC 9207), even if the provider's metadata does not promise it.
    pub requires_iss: bool,
    /// Whether an access token of a login grants rights only if it is bound to the client (`cnf`).
    pub requires_binding: bool,
    /// The binding with the client's certificate (RFC 8705), which sends all requests of the client.
    pub mtls_binding: Option<String>,
    /// The keys that the client's tokens are bound to (RFC 9449).
    pub proof_keys: Option<ProofKeys>,
}

/// Why an authorization request could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestFailure {
    /// Requests are to be pushed, but the provider's metadata has no endpoint for that.
    EndpointMissing,
    /// The endpoint refused the request.
    Refused(ProviderError, EndpointFailure),
    /// The endpoint is unreachable or returned no `request_uri`.
    Failed(EndpointFailure),
    /// The request could not be signed.
    Unsigned(SignError),
    /// Nothing is pushed for this many seconds: the endpoint was unavailable.
    Paused(i64),
}

impl RequestFailure {
    /// Returns what became of a push with this failure, if there was one. `None` if nothing was pushed.
    pub(super) fn attempt(failure: Option<&Self>) -> Option<Attempt> {
        match failure {
            Some(Self::EndpointMissing | Self::Unsigned(_) | Self::Paused(_)) => None,
            Some(Self::Failed(failure) | Self::Refused(_, failure)) => {
                Some(Attempt::of(failure.status(), failure.retry_after_s()))
            }
            None => Some(Attempt::Answered),
        }
    }

    /// Returns after how many seconds it is worth trying again, if that is known.
    pub(super) fn retry_after_s(&self) -> Option<i64> {
        match self {
            Self::Paused(seconds) => Some(*seconds),
            Self::Failed(failure) | Self::Refused(_, failure) => failure.retry_after_s(),
            Self::EndpointMissing | Self::Unsigned(_) => None,
        }
    }
}

impl fmt::Display for RequestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EndpointMissing => f.write_str(
                "the request is to be pushed, but the provider's metadata has no pushed_authorization_request_endpoint",
            ),
            Self::Refused(error, failure) => write!(f, "{failure}, {error}"),
            Self::Failed(failure) => failure.fmt(f),
            Self::Unsigned(error) => write!(f, "{error} (authorizer.jar)"),
            Self::Paused(_) => f.write_str("nothing is pushed for a while, because the endpoint was unavailable"),
        }
    }
}

impl core::error::Error for RequestFailure {}

/// The parameters of an authorization request.
type Parameters<'a> = Vec<(&'a str, String)>;

impl Client {
    /// Returns the URL that begins the login at the provider. A request that is signed or pushed has no other parameters in it than
    /// `client_id` and the request, or the reference to it: there is no fallback to a request that the browser could change.
    pub(super) async fn authorization_request(
        &self,
        provider: &Provider,
        transaction: &Transaction,
        host: &impl LoginHost,
    ) -> Result<String, RequestFailure> {
        let encoded = form::parse(&transaction.request.parameters);
        let mut parameters = self.authorization_parameters(transaction, &encoded);
        if let Some(key) = &self.options.request_object_key {
            let request = self.request_object(key, provider, &parameters, host).await;
            parameters = self.reference("request", request.map_err(RequestFailure::Unsigned)?);
        }
        if self.pushes_requests(provider) {
            parameters = self.reference("request_uri", self.push(provider, &parameters, host).await?);
        }
        let mut location = form::with_query(&provider.authorization_endpoint);
        parameters.iter().for_each(|(name, value)| form::push(&mut location, name, value));
        Ok(location)
    }

    /// Returns whether authorization requests are pushed to the provider.
    pub(super) fn pushes_requests(&self, provider: &Provider) -> bool {
        self.options.pushes || provider.requires_pushed_requests
    }

    fn reference(&self, name: &'static str, value: String) -> Parameters<'static> {
        Vec::from([("client_id", self.id.clone()), (name, value)])
    }

    /// Returns the parameters. `encoded` are those of the link to the login.
    fn authorization_parameters<'a>(
        &'a self,
        transaction: &Transaction,
        encoded: &'a [(String, String)],
    ) -> Parameters<'a> {
        let challenge = base64url::encode(&sha256(transaction.verifier.as_bytes()));
        let mut parameters: Parameters<'a> = Vec::from([
            ("response_type", "code".into()),
            ("client_id", self.id.clone()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("scope", self.scope.clone()),
            ("state", transaction.state.clone()),
            ("nonce", transaction.nonce.clone()),
            ("code_challenge", challenge),
            ("code_challenge_method", "S256".into()),
        ]);
        if let Some(keys) = &self.options.proof_keys {
            // RFC 9449 §10: the code, too, is bound to the key.
            parameters.push(("dpop_jkt", keys.current().thumbprint()));
        }
        if let Some(audience) = &self.audience {
            parameters.push((self.audience_parameter, audience.clone()));
        }
        if let ([only], None) = (self.organizations.as_slice(), transaction.request.organization())
            && !only.is_empty()
        {
            parameters.push(("organization", only.clone()));
        }
        let others = encoded.iter().chain(&self.authorization_params);
        parameters.extend(others.map(|(name, value)| (name.as_str(), value.clone())));
        if let Some(details) = &self.options.authorization_details {
            parameters.push(("authorization_details", details.clone()));
        }
        parameters
    }

    /// Returns the signed request (RFC 9101 §4). It has no `sub`: it must not pass as a client assertion (RFC 9101 §10.8).
    async fn request_object(
        &self,
        key: &ClientKey,
        provider: &Provider,
        parameters: &Parameters<'_>,
        host: &impl LoginHost,
    ) -> Result<String, SignError> {
        let mut claims = String::from("{");
        for (name, value) in parameters {
            push_quoted(&mut claims, name);
            claims.push(':');
            push_value(&mut claims, name, value);
            claims.push(',');
        }
        // A provider's clock may be a little behind.
        let not_before = host.now().secs().saturating_sub(limits::REQUEST_OBJECT_BACKDATED_S);
        claims.push_str(&concat(&[r#""nbf":"#, &signed_decimal(not_before), ","]));
        self.push_claims(&mut claims, &provider.issuer, limits::REQUEST_OBJECT_S, host);
        claims.push('}');
        sign_jwt(&key.key, key.algorithm, "oauth-authz-req+jwt", &claims, host).await
    }

    /// Pushes a request to the provider (RFC 9126 §2). Returns its `request_uri`.
    async fn push(
        &self,
        provider: &Provider,
        parameters: &Parameters<'_>,
        host: &impl LoginHost,
    ) -> Result<String, RequestFailure> {
        let endpoint = provider.pushed_request_endpoint.as_deref().ok_or(RequestFailure::EndpointMissing)?;
        let parameters: Vec<(&str, &str)> = parameters.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let refuses_client = |answer: &Incoming| refusal(answer).is_some_and(|error| error.code() == "invalid_client");
        let answer = self.send(provider, endpoint, self.is_basic(), &parameters, None, &refuses_client, host).await;
        let failure = EndpointFailure::of_creation(endpoint, &answer, " without request_uri", host.now());
        let Ok(answer) = answer else { return Err(RequestFailure::Failed(failure)) };
        if let Some(error) = refusal(&answer) {
            return Err(RequestFailure::Refused(error, failure));
        }
        // RFC 9126 §2.2: 201, with a reference.
        let document = json_object(&answer.body).filter(|_| answer.status == 201);
        let request_uri = document.as_ref().and_then(|document| document.root().get("request_uri")?.as_str());
        let is_reference = |uri: &&str| {
            (1..=limits::MAX_REQUEST_URI_BYTES).contains(&uri.len()) && uri.bytes().all(|byte| byte.is_ascii_graphic())
        };
        request_uri.filter(is_reference).map(Into::into).ok_or(RequestFailure::Failed(failure))
    }
}

/// Appends a parameter's value as a claim: a JSON text as what it says, and a number as a number (RFC 9101 §4).
fn push_value(claims: &mut String, name: &str, value: &str) {
    match name {
        "claims" | "authorization_details" => {
            // An array is no document: it is read as the only member of one.
            let document = Document::parse(concat(&[r#"{"":"#, value, "}"]).into(), limits::MAX_CLAIMS_DEPTH);
            let mut members = document.iter().flat_map(|document| document.root().iter());
            if let (Some((_, value)), None) = (members.next(), members.next()) {
                claims.push_str(&value.to_json());
                return;
            }
        }
        "max_age" => {
            if let Ok(seconds) = value.parse::<u32>() {
                claims.push_str(&decimal(seconds.into()));
                return;
            }
        }
        _ => {}
    }
    push_quoted(claims, value);
}

/// Returns the error of a response (RFC 9126 §2.3).
pub(super) fn refusal(answer: &Incoming) -> Option<ProviderError> {
    let document = json_object(&answer.body)?;
    let text = |name| document.root().get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    text("error").map(|error| ProviderError::new(error, text("error_description")))
}
