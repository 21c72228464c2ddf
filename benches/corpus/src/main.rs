//! Runs the crate `jsonwebtoken` on cases of the corpus, for `corpus/verifiers.mjs`. Each line of the input is a case as JSON, `{ token, keys,
//! issuer, audience, algorithms }`; each line of the output is `accept` or `reject`.

use std::io::{self, BufRead as _, Write as _};

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde_json::Value;

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let case: Value = serde_json::from_str(&line?)?;
        writeln!(output, "{}", if accepts(&case).is_some() { "accept" } else { "reject" })?;
        output.flush()?;
    }
    Ok(())
}

/// Verifies a token as the documentation of the crate shows it: with the key of the set that its header names.
fn accepts(case: &Value) -> Option<()> {
    let text = |name: &str| case[name].as_str();
    let texts = |name: &str| case[name].as_array().into_iter().flatten().filter_map(Value::as_str);
    let token = text("token")?;
    let set: JwkSet = serde_json::from_str(text("keys")?).ok()?;
    let key = DecodingKey::from_jwk(set.find(&decode_header(token).ok()?.kid?)?).ok()?;

    let mut validation = Validation::default();
    // It refuses to check with algorithms of another family than the key's.
    validation.algorithms = texts("algorithms")
        .filter_map(|name| name.parse().ok())
        .filter(|one: &Algorithm| one.family() == key.family())
        .collect();
    validation.set_issuer(&[text("issuer")?]);
    validation.set_audience(&texts("audience").collect::<Vec<_>>());
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    // It has no option for the clock.
    validation.validate_exp = false;
    decode::<Value>(token, &key, &validation).ok().map(drop)
}
