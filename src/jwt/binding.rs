//! The binding of an access token to its sender (`cnf`, RFC 7800).

use crate::base64url;
use crate::json::Value;

/// The confirmation methods of a token, all of which its sender must satisfy.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Binding {
    /// The SHA-256 thumbprint of a key (`jkt`, RFC 9449 §6.1).
    pub key: Option<[u8; 32]>,
    /// The SHA-256 thumbprint of a certificate (`x5t#S256`, RFC 8705 §3.1).
    pub certificate: Option<[u8; 32]>,
    /// Whether nothing can satisfy it: there is another method, a malformed one, or none.
    pub is_unknown: bool,
}

impl Binding {
    pub(super) fn read(cnf: Value<'_>) -> Self {
        let mut binding = Self::default();
        for (name, value) in cnf.as_object().into_iter().flat_map(|methods| methods.iter()) {
            let thumbprint = value.as_str().and_then(|text| base64url::decode(text.as_bytes()).ok()?.try_into().ok());
            binding.is_unknown |= thumbprint.is_none();
            match name {
                "jkt" => binding.key = thumbprint,
                "x5t#S256" => binding.certificate = thumbprint,
                _ => binding.is_unknown = true,
            }
        }
        binding.is_unknown |= binding.key.is_none() && binding.certificate.is_none();
        binding
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;
    use alloc::vec::Vec;

    use super::Binding;
    use crate::base64url;
    use crate::json::{Document, Value};

    /// Every sequence of up to three methods, each good, malformed or unknown: one that is not understood is never forgotten.
    #[test]
    fn a_method_that_is_not_understood_is_never_satisfied() {
        let (good, short) = (base64url::encode(&[7; 32]), base64url::encode(&[7; 31]));
        let mut methods: Vec<(&str, String, bool)> = Vec::new();
        for name in ["jkt", "x5t#S256", "kid", "jwk"] {
            let is_known = name == "jkt" || name == "x5t#S256";
            methods.push((name, format!("\"{good}\""), is_known));
            for value in
                [format!("\"{short}\""), format!("\"{good}=\""), "\"\"".into(), "null".into(), "1".into(), "{}".into()]
            {
                methods.push((name, value, false));
            }
        }
        let mut lists: Vec<Vec<&(&str, String, bool)>> = alloc::vec![Vec::new()];
        for start in 0.. {
            let Some(list) = lists.get(start).filter(|list| list.len() < 3).cloned() else { break };
            let others = methods.iter().filter(|(name, ..)| list.iter().all(|(one, ..)| one != name));
            lists.extend(others.map(|one| [&list[..], &[one]].concat()));
        }
        for list in &lists {
            let members: Vec<String> = list.iter().map(|(name, value, _)| format!("\"{name}\":{value}")).collect();
            let document = Document::parse(format!("{{{}}}", members.join(",")).into_bytes(), 4).unwrap();
            let binding = Binding::read(Value::Object(document.root()));
            let has = |name: &str| list.iter().any(|(one, _, is_good)| *one == name && *is_good).then_some([7; 32]);
            assert_eq!((binding.key, binding.certificate), (has("jkt"), has("x5t#S256")), "{members:?}");
            let is_understood = !list.is_empty() && list.iter().all(|(.., is_good)| *is_good);
            assert_eq!(binding.is_unknown, !is_understood, "{members:?}");
        }
    }
}
