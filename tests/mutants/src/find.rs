//! Finds the mutants of a source file: the operators of `cargo-mutants`, as alternatives to pieces of the text.

use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Expr, ReturnType, Type, UnOp};

/// What the instrumented text has in place of the original.
pub enum Edit {
    /// At a position: a text in which `@` stands for the mutant's condition.
    Insert { at: usize, text: String, mutant: usize },
    /// An expression with its alternatives.
    Choose { range: Range<usize>, alternatives: Vec<(usize, String)> },
}

/// A mutant of a file.
pub struct Mutant {
    pub line: usize,
    /// Without line numbers, so that it stays the same while other code changes.
    pub name: String,
}

/// The mutants of a file, and the edits that contain them by index.
#[derive(Default)]
pub struct Found {
    pub mutants: Vec<Mutant>,
    pub edits: Vec<Edit>,
}

/// Returns the mutants of `source`.
pub fn find(source: &str) -> Found {
    let file = syn::parse_file(source).expect("a source file that compiles");
    let mut finder = Finder { source, found: Found::default(), scope: Vec::new(), function: Vec::new() };
    finder.visit_file(&file);
    let mut seen = std::collections::HashMap::new();
    for mutant in &mut finder.found.mutants {
        let count: &mut usize = seen.entry(mutant.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            mutant.name = format!("{} #{count}", mutant.name);
        }
    }
    finder.found
}

struct Finder<'a> {
    source: &'a str,
    found: Found,
    scope: Vec<String>,
    function: Vec<String>,
}

impl Finder<'_> {
    fn text(&self, node: &impl Spanned) -> &str {
        &self.source[node.span().byte_range()]
    }

    fn flat(&self, node: &impl Spanned) -> String {
        self.text(node).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn mutant(&mut self, node: &impl Spanned, what: String) -> usize {
        let function = self.function.last().cloned().unwrap_or_default();
        let name = format!("{function}: {what}");
        self.found.mutants.push(Mutant { line: node.span().start().line, name });
        self.found.mutants.len() - 1
    }

    fn choose(&mut self, range: Range<usize>, alternatives: Vec<(usize, String)>) {
        if !alternatives.is_empty() {
            self.found.edits.push(Edit::Choose { range, alternatives });
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block, visit: impl FnOnce(&mut Self)) {
        // What the compiler evaluates cannot be switched at run time.
        if signature.constness.is_some() {
            return;
        }
        let name = self.scope.iter().cloned().chain([signature.ident.to_string()]).collect::<Vec<_>>().join("::");
        self.function.push(name);
        self.body(signature, block);
        visit(self);
        self.function.pop();
    }

    /// The body of a function replaced by a plain value of its type.
    fn body(&mut self, signature: &syn::Signature, block: &syn::Block) {
        if block.stmts.is_empty() {
            return;
        }
        let inside = block.brace_token.span.open().byte_range().end..block.brace_token.span.close().byte_range().start;
        let body = self.source[inside.clone()].trim().to_owned();
        if let ReturnType::Type(_, returned) = &signature.output
            && let Type::ImplTrait(returned) = &**returned
        {
            let bounds = self.text(returned);
            if bounds.starts_with("impl Iterator<") && !bounds.contains("ExactSizeIterator") {
                let mutant = self.mutant(&signature.ident, "replace the body with an empty iterator".into());
                self.insert(inside.start, " ::core::iter::Iterator::filter({".into(), mutant);
                self.insert(inside.end, "}, |_| !@) ".into(), mutant);
            }
            return;
        }
        let values = match &signature.output {
            ReturnType::Default => vec!["()".to_owned()],
            ReturnType::Type(_, returned) => values(returned, self.source),
        };
        for value in values {
            if body == value.replace("::mutants_std::", "") {
                continue;
            }
            let mutant = self
                .mutant(&signature.ident, format!("replace the body with {}", value.replace("::mutants_std::", "")));
            self.insert(inside.start, format!(" if @ {{ return {value}; }} "), mutant);
        }
    }

    fn insert(&mut self, at: usize, text: String, mutant: usize) {
        self.found.edits.push(Edit::Insert { at, text, mutant });
    }
}

fn is_excluded(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.require_list().is_ok_and(|list| {
                    let cfg = list.tokens.to_string().replace(' ', "");
                    // Not compiled in a native test with every feature, or only in tests.
                    ["test", "target_", "not(feature", "edgeward_emulate"].iter().any(|one| cfg.starts_with(one))
                })
    })
}

/// `a && let …` is no expression by itself.
fn has_let(expression: &Expr) -> bool {
    match expression {
        Expr::Let(_) => true,
        Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        _ => false,
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        use syn::Item;
        let attributes = match item {
            Item::Fn(item) => &item.attrs,
            Item::Impl(item) => &item.attrs,
            Item::Mod(item) => &item.attrs,
            Item::Trait(item) => &item.attrs,
            _ => return,
        };
        if !is_excluded(attributes) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        self.scope.push(module.ident.to_string());
        visit::visit_item_mod(self, module);
        self.scope.pop();
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let own = self.flat(&*block.self_ty);
        let scope = match &block.trait_ {
            // The texts of `Debug` are for developers, and a test shows that they have no secret.
            Some((_, name, _)) if name.segments.last().is_some_and(|last| last.ident == "Debug") => return,
            Some((_, name, _)) => format!("<{} for {own}>", self.flat(name)),
            None => own,
        };
        self.scope.push(scope);
        visit::visit_item_impl(self, block);
        self.scope.pop();
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.scope.push(item.ident.to_string());
        visit::visit_item_trait(self, item);
        self.scope.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function(&item.sig, &item.block, |this| this.visit_block(&item.block));
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_excluded(&item.attrs) {
            self.function(&item.sig, &item.block, |this| this.visit_block(&item.block));
        }
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function(&item.sig, block, |this| this.visit_block(block));
        }
    }

    // Evaluated by the compiler.
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        let operator = self.text(&binary.op).to_owned();
        let whole = binary.span().byte_range();
        if !has_let(&binary.left) && !has_let(&binary.right) {
            let (left, right) = (self.text(&binary.left).to_owned(), self.text(&binary.right).to_owned());
            let alternatives = replacements(&binary.op)
                .iter()
                .map(|other| {
                    let mutant = self.mutant(&binary.op, format!("replace {operator} with {other}"));
                    let compound = other.ends_with('=') && !["==", "!=", "<=", ">="].contains(other);
                    // Parentheses around a place are refused as the target of some assignments.
                    let text = if compound {
                        format!("{left} {other} ({right})")
                    } else {
                        format!("({left}) {other} ({right})")
                    };
                    (mutant, text)
                })
                .collect();
            self.choose(whole, alternatives);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        if matches!(unary.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let operator = self.text(&unary.op).to_owned();
            let operand = self.text(&unary.expr).to_owned();
            let mutant = self.mutant(&unary.op, format!("delete {operator}"));
            self.choose(unary.span().byte_range(), vec![(mutant, format!("({operand})"))]);
        }
        visit::visit_expr_unary(self, unary);
    }

    fn visit_expr_match(&mut self, expression: &'ast syn::ExprMatch) {
        self.visit_expr(&expression.expr);
        let has_rest = expression.arms.iter().any(|arm| matches!(arm.pat, syn::Pat::Wild(_)) && arm.guard.is_none());
        for arm in &expression.arms {
            let pattern = self.flat(&arm.pat);
            match &arm.guard {
                Some((_, guard)) if !has_let(guard) => {
                    let alternatives = ["true", "false"].map(|value| {
                        let name = format!("replace the guard of {pattern} with {value}");
                        (self.mutant(&**guard, name), value.to_owned())
                    });
                    self.choose(guard.span().byte_range(), alternatives.into());
                }
                None if has_rest && !matches!(arm.pat, syn::Pat::Wild(_)) => {
                    let mutant = self.mutant(&arm.pat, format!("delete the arm {pattern}"));
                    self.insert(arm.pat.span().byte_range().end, " if !@ ".into(), mutant);
                }
                _ => {}
            }
            if let Some((_, guard)) = &arm.guard {
                self.visit_expr(guard);
            }
            self.visit_expr(&arm.body);
        }
    }

    fn visit_expr_struct(&mut self, expression: &'ast syn::ExprStruct) {
        if let Some(rest) = &expression.rest {
            let (path, rest) = (self.text(&expression.path).to_owned(), self.text(&**rest).to_owned());
            let alternatives = expression
                .fields
                .iter()
                .map(|left_out| {
                    let others: String = expression
                        .fields
                        .iter()
                        .filter(|field| !std::ptr::eq(*field, left_out))
                        .map(|field| format!("{}, ", self.text(field)))
                        .collect();
                    let name = self.text(&left_out.member).to_owned();
                    let mutant = self.mutant(left_out, format!("delete the field {name} of {path}"));
                    (mutant, format!("{path} {{ {others}..{rest} }}"))
                })
                .collect();
            self.choose(expression.span().byte_range(), alternatives);
        }
        visit::visit_expr_struct(self, expression);
    }
}

fn replacements(operator: &BinOp) -> &'static [&'static str] {
    match operator {
        BinOp::Eq(_) => &["!="],
        BinOp::Ne(_) => &["=="],
        BinOp::And(_) => &["||"],
        BinOp::Or(_) => &["&&"],
        BinOp::Lt(_) => &["==", ">", "<="],
        BinOp::Gt(_) => &["==", "<", ">="],
        BinOp::Le(_) => &[">"],
        BinOp::Ge(_) => &["<"],
        BinOp::Add(_) => &["-", "*"],
        BinOp::Sub(_) => &["+", "/"],
        BinOp::Mul(_) => &["+", "/"],
        BinOp::Div(_) => &["%", "*"],
        BinOp::Rem(_) => &["/", "+"],
        BinOp::Shl(_) => &[">>"],
        BinOp::Shr(_) => &["<<"],
        BinOp::BitAnd(_) => &["|", "^"],
        BinOp::BitOr(_) => &["&", "^"],
        BinOp::BitXor(_) => &["|", "&"],
        BinOp::AddAssign(_) => &["-=", "*="],
        BinOp::SubAssign(_) => &["+=", "/="],
        BinOp::MulAssign(_) => &["+=", "/="],
        BinOp::DivAssign(_) => &["%=", "*="],
        BinOp::RemAssign(_) => &["/=", "+="],
        BinOp::ShlAssign(_) => &[">>="],
        BinOp::ShrAssign(_) => &["<<="],
        BinOp::BitAndAssign(_) => &["|=", "^="],
        BinOp::BitOrAssign(_) => &["&=", "^="],
        BinOp::BitXorAssign(_) => &["|=", "&="],
        _ => &[],
    }
}

/// Plain values of a type, as expressions.
fn values(of: &Type, source: &str) -> Vec<String> {
    let all = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let path = match of {
        Type::Never(_) | Type::ImplTrait(_) | Type::Ptr(_) | Type::BareFn(_) => return Vec::new(),
        Type::Tuple(tuple) => {
            let mut rows = vec![String::new()];
            for element in &tuple.elems {
                let values = values(element, source);
                rows = rows.iter().flat_map(|row| values.iter().map(move |value| format!("{row}{value}, "))).collect();
            }
            return rows.into_iter().map(|row| format!("({})", row.trim_end())).collect();
        }
        Type::Array(array) => {
            let length = &source[array.len.span().byte_range()];
            return values(&array.elem, source).into_iter().map(|value| format!("[{value}; {length}]")).collect();
        }
        Type::Reference(reference) => {
            return match &*reference.elem {
                Type::Path(path) if path.path.is_ident("str") && reference.mutability.is_none() => {
                    all(&["\"\"", "\"xyzzy\""])
                }
                Type::Slice(slice) => {
                    let mut list = all(&["::mutants_std::vec::Vec::leak(::mutants_std::vec::Vec::new())"]);
                    list.extend(
                        values(&slice.elem, source)
                            .iter()
                            .map(|value| format!("::mutants_std::vec::Vec::leak(::mutants_std::vec![{value}])")),
                    );
                    list
                }
                other => values(other, source)
                    .iter()
                    .map(|value| format!("::mutants_std::boxed::Box::leak(::mutants_std::boxed::Box::new({value}))"))
                    .collect(),
            };
        }
        Type::Path(path) => &path.path,
        _ => return all(&["Default::default()"]),
    };
    let Some(last) = path.segments.last() else { return Vec::new() };
    let arguments: Vec<&Type> = match &last.arguments {
        syn::PathArguments::AngleBracketed(list) => list
            .args
            .iter()
            .filter_map(|argument| match argument {
                syn::GenericArgument::Type(of) => Some(of),
                _ => None,
            })
            .collect(),
        _ => Vec::new(),
    };
    let wrapped = |before: &str, after: &str| -> Vec<String> {
        let Some(inner) = arguments.first() else { return vec![format!("{before}Default::default(){after}")] };
        values(inner, source).into_iter().map(|value| format!("{before}{value}{after}")).collect()
    };
    match last.ident.to_string().as_str() {
        "bool" => all(&["true", "false"]),
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => all(&["0", "1"]),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => all(&["0", "1", "-1"]),
        "f32" | "f64" => all(&["0.0", "1.0", "-1.0"]),
        "String" => all(&["::mutants_std::string::String::new()", "\"xyzzy\".into()"]),
        "Result" => wrapped("Ok(", ")"),
        "Option" => {
            let mut list = all(&["None"]);
            list.extend(wrapped("Some(", ")"));
            list
        }
        "Vec" => {
            let mut list = all(&["::mutants_std::vec::Vec::new()"]);
            list.extend(wrapped("::mutants_std::vec![", "]"));
            list
        }
        "Box" => wrapped("::mutants_std::boxed::Box::new(", ")"),
        "Rc" => wrapped("::mutants_std::rc::Rc::new(", ")"),
        "Arc" => wrapped("::mutants_std::sync::Arc::new(", ")"),
        "Cow" => match arguments.first() {
            Some(Type::Path(path)) if path.path.is_ident("str") => all(&["\"\".into()", "\"xyzzy\".into()"]),
            _ => Vec::new(),
        },
        _ => all(&["Default::default()"]),
    }
}
