//! The modules of the core are layered: none imports from a layer above it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core,
    reason = "test code: a panic is a failure"
)]

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, the lowest layer first.
const ORDER: [&str; 24] = [
    // A package of its own, below all of them.
    "rsa",
    "limits",
    "text",
    "base64url",
    "url",
    "shared",
    "text_cache",
    "json",
    "crypto",
    "algorithm",
    "io",
    "host",
    "single_flight",
    "discovery",
    "error",
    "jwk",
    "jwt",
    "verifier",
    "dpop",
    "http",
    "session",
    "oidc",
    "gateway",
    "testing",
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// The lines outside comments and of no item under `#[cfg(test)]`, with their numbers; and the modules in files of their own that
/// are such items.
fn code(text: &str) -> (Vec<(usize, &str)>, Vec<&str>) {
    let (mut code, mut test_modules) = (Vec::new(), Vec::new());
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//"));
    while let Some((number, line)) = lines.next() {
        if !["#[cfg(test)]", "#[cfg(all(test,"].iter().any(|start| line.trim_start().starts_with(start)) {
            code.push((number, line));
            continue;
        }
        let (_, item) = lines.find(|(_, line)| !line.trim_start().starts_with("#[")).unwrap();
        test_modules.extend(item.trim().strip_prefix("mod ").and_then(|item| item.strip_suffix(';')));
        if item.ends_with('{') {
            let end = format!("{}}}", &item[..item.len() - item.trim_start().len()]);
            lines.find(|(_, line)| *line == end).unwrap();
        }
    }
    (code, test_modules)
}

/// The modules of the crate that a line of a module, which is so deep in the crate, names.
fn imports(line: &str, depth: usize) -> Vec<&str> {
    let from_super = "super::".repeat(depth);
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let after = |root: &str| line.split(root).skip(1).map(|rest| &rest[..name(rest)]).collect::<Vec<_>>();
    [after("crate::"), after(&from_super)].concat()
}

#[test]
fn no_module_imports_from_a_layer_above() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src");
    let (mut found, mut wrong, mut seen) = (0, Vec::new(), Vec::new());
    let texts: Vec<(PathBuf, String)> =
        files(&source).into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    let of_tests = texts.iter().flat_map(|(path, text)| {
        let folder = path.with_extension("");
        let folder =
            if path.ends_with("mod.rs") || path.ends_with("lib.rs") { path.parent().unwrap() } else { &folder };
        code(text).1.into_iter().map(|name| folder.join(name).with_extension("rs")).collect::<Vec<_>>()
    });
    let of_tests: Vec<PathBuf> = of_tests.collect();
    for (path, text) in texts.iter().filter(|(path, _)| !path.ends_with("lib.rs") && !of_tests.contains(path)) {
        let name = path.strip_prefix(&source).unwrap().with_extension("");
        let parts: Vec<&str> = name.iter().map(|part| part.to_str().unwrap()).filter(|part| *part != "mod").collect();
        let floor = |module: &str| ORDER.iter().position(|one| *one == module);
        assert!(floor(parts[0]).is_some(), "{} has no place in the order", parts[0]);
        seen.push(parts[0].to_owned());
        for (number, line) in code(text).0 {
            for import in imports(line, parts.len()) {
                found += 1;
                if floor(import).is_none_or(|import| Some(import) > floor(parts[0])) {
                    wrong.push(format!("src/{}.rs:{number}: {} imports {import}", name.display(), parts[0]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ORDER.iter().skip(1).all(|module| seen.iter().any(|one| one == module)), "{seen:?}");
    assert!(found > 250, "{found}");
}

#[test]
fn imports_are_found_and_those_of_tests_are_none() {
    let text = "use crate::json;\n// use crate::oidc;\n#[cfg(test)]\n#[cfg(feature = \"unicode\")]\nmod tests {\n    use crate::gateway;\n    \
                fn a() {\n    }\n}\n#[cfg(test)]\nmod more;\n#[cfg(test)]\nuse crate::jwt;\nfn a() { crate::io::b(crate::url::c) }\n";
    let (lines, test_modules) = code(text);
    let found: Vec<(usize, &str)> =
        lines.iter().flat_map(|(number, line)| imports(line, 1).into_iter().map(|name| (*number, name))).collect();
    assert_eq!(found, [(1, "json"), (14, "io"), (14, "url")]);
    assert_eq!(test_modules, ["more"]);
    assert_eq!(imports("use super::super::jwt::Claims;", 2), ["jwt"]);
    assert_eq!(imports("use super::host;", 2), [""; 0]);
}
