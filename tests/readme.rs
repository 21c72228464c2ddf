//! The configurations of README and of the examples compile, with the variables that the documents name and with no others.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use std::collections::BTreeMap;
use std::fs;

use edgeward::gateway::compile;

type Variables = BTreeMap<String, String>;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The fenced blocks of a language in README.
fn snippets(language: &str) -> Vec<String> {
    snippets_of("README.md", language)
}

fn snippets_of(document: &str, language: &str) -> Vec<String> {
    let text = read(document);
    let mut blocks = Vec::new();
    for block in text.split(&format!("\n```{language}\n")).skip(1) {
        blocks.push(block.split("\n```").next().unwrap().to_owned());
    }
    blocks
}

/// `NAME=value` and `NAME = "value"`, a line each. An empty value stands for one that users fill in.
fn assignments(text: &str) -> Variables {
    let lines = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let pairs = lines.map(|line| line.split_once('=').unwrap());
    pairs
        .map(|(name, value)| {
            let value = value.trim().trim_matches('"');
            (name.trim().to_owned(), if value.is_empty() { "x".repeat(64) } else { value.to_owned() })
        })
        .collect()
}

/// The variables that a configuration reads.
fn used(config: &str) -> Vec<&str> {
    let starts = config.match_indices("$env.").chain(config.match_indices("$secrets."));
    let mut names: Vec<&str> = starts
        .map(|(at, marker)| {
            let name = config.get(at + marker.len()..).unwrap();
            name.split(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '_').next().unwrap()
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Compiles without a warning, and uses every one of the variables.
#[track_caller]
fn assert_compiles(config: &str, variables: &Variables) {
    let compiled = compile(config, &|name| variables.get(name).cloned());
    let warnings = compiled.unwrap_or_else(|problems| panic!("{problems:#?}\n{config}")).warnings;
    assert_eq!(warnings, []);
    assert_eq!(used(config), variables.keys().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn the_gateway_for_an_api_compiles() {
    let configs = snippets("json");
    assert_eq!(configs.len(), 2, "a configuration was added to README: test it here");
    assert_compiles(&configs[0], &Variables::new());
}

#[test]
fn the_login_compiles_with_the_variables_of_development() {
    let variables = assignments(&read(".dev.vars.example"));
    assert_eq!(variables["SITE"], "http://localhost:8787", "logins of `wrangler dev` stay on it");
    assert_compiles(&snippets("json")[1], &variables);
}

#[test]
fn the_login_compiles_with_the_variables_and_secrets_of_the_deployed_worker() {
    let mut variables = assignments(&snippets("toml")[0]);
    let commands = snippets("sh").join("\n");
    let secrets = commands.split("secret put ").skip(1).map(|rest| rest.split_whitespace().next().unwrap());
    variables.extend(secrets.map(|name| (name.to_owned(), "x".repeat(64))));
    assert_compiles(&snippets("json")[1], &variables);
}

#[test]
fn the_configuration_of_a_fresh_clone_compiles_without_variables() {
    assert_compiles(&read("edgeward.json"), &Variables::new());
}

#[test]
fn the_configuration_of_the_demo_compiles_with_the_variables_of_make_dev() {
    let script = read("scripts/dev.mjs");
    let config = read("examples/site/edgeward.json");
    let value = |name: &str| if name.ends_with("SECRET") { "x".repeat(64) } else { "http://localhost:8787".to_owned() };
    for name in used(&config) {
        assert!(script.contains(&format!("    {name}: ")), "scripts/dev.mjs does not set {name}");
    }
    let variables = used(&config).into_iter().map(|name| (name.to_owned(), value(name))).collect();
    assert_compiles(&config, &variables);
}

#[test]
fn the_configuration_of_the_template_compiles_with_the_variables_of_its_wrangler_toml() {
    let (_, variables) = {
        let text = read("examples/gateway-template/wrangler.toml");
        text.split_once("[vars]").map(|(head, vars)| (head.to_owned(), assignments(vars))).unwrap()
    };
    assert_compiles(&read("examples/gateway-template/edgeward.json"), &variables);
}

#[test]
fn the_recipes_for_providers_compile() {
    let variables: Variables = [
        ("CLIENT_SECRET", "the secret of the client"),
        ("AUTH0_SECRET", "a sealing secret of at least 32 characters"),
        ("APP_BASE_URL", "https://app.example.com"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let recipes = snippets_of("docs/providers.md", "json");
    assert!(recipes.len() > 18);
    for recipe in recipes {
        let mut config: serde_json::Value =
            serde_json::from_str(&recipe).unwrap_or_else(|error| panic!("{error}: {recipe}"));
        let respond = serde_json::json!({ "type": "respond", "body": "yours" });
        let mut routes = vec![serde_json::json!({ "method": "GET", "path": "/api", "integration": respond })];
        if recipe.contains("client_secret\"") {
            let callback = serde_json::json!({ "type": "callback" });
            routes.push(serde_json::json!({ "method": "GET", "path": "/callback", "integration": callback }));
        }
        config["paths"] = routes.into();
        let compiled = compile(&config.to_string(), &|name| variables.get(name).cloned());
        let warnings = compiled.unwrap_or_else(|problems| panic!("{problems:#?}\n{recipe}")).warnings;
        assert_eq!(warnings, [], "{recipe}");
    }
}

#[test]
fn the_configurations_of_the_document_about_upstreams_compile() {
    let configs = snippets_of("docs/upstream.md", "json");
    assert_eq!(configs.len(), 3);
    for config in &configs {
        let variables = used(config).into_iter().map(|name| (name.to_owned(), "x".repeat(64))).collect();
        assert_compiles(config, &variables);
    }
}
