//! Finds the paths in a Rust source by its tokens: ignores comments and strings, and covers `use`
//! trees, expressions, types, attributes and macro arguments.

use std::{iter::Peekable, slice};

use anyhow::{Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The paths in one source file outside its test code.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub paths: Vec<PathUse>,
    /// Module paths of `#[cfg(test)] mod name;`: the files behind them are test code.
    pub test_modules: Vec<Vec<String>>,
    /// Names that `use` brings into a module, which other modules may take from there: module, name,
    /// and the path behind it.
    pub imports: Vec<Import>,
}

/// A name for a path of this crate.
#[derive(Debug)]
pub(crate) struct Import {
    pub module: Vec<String>,
    pub name: String,
    pub target: Target,
}

/// A path and the line where it starts, counted from 1.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse {
    pub target: Target,
    pub line: usize,
}

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// From this crate's root: `crate::`, `self::` and `super::` are resolved.
    Local(Vec<String>),
    /// As written: another crate, or a name that was imported before.
    Other(Vec<String>),
}

/// Splits Rust source into tokens.
pub(crate) fn tokens_of(source: &str) -> Result<TokenStream> {
    source
        .parse()
        .map_err(|error: proc_macro2::LexError| anyhow!("not Rust: {error}"))
}

/// Finds the paths in `tokens`, the source of the module `module`.
pub(crate) fn scan(tokens: TokenStream, module: &[String]) -> Scan {
    let mut scan = Scan::default();
    scan.items(tokens, module);
    scan
}

type Tokens<'a> = Peekable<slice::Iter<'a, TokenTree>>;

impl Scan {
    fn items(&mut self, stream: TokenStream, module: &[String]) {
        let trees: Vec<TokenTree> = stream.into_iter().collect();
        let mut tokens = trees.iter().peekable();
        while let Some(tree) = tokens.next() {
            match tree {
                TokenTree::Punct(punct) if punct.as_char() == '#' => {
                    let inner = next_is_punct(&mut tokens, '!');
                    let Some(TokenTree::Group(attribute)) = tokens.peek() else {
                        continue;
                    };
                    if is_cfg_test(&attribute.stream()) {
                        if inner {
                            return;
                        }
                        tokens.next();
                        self.skip_test_item(&mut tokens, module);
                    }
                }
                TokenTree::Ident(ident) if ident == "use" => {
                    self.use_tree(&mut tokens, &[], module);
                }
                TokenTree::Ident(ident) if ident == "mod" => self.module(&mut tokens, module),
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    let mut segments = vec![ident.to_string()];
                    while let Some(segment) = next_segment(&mut tokens) {
                        segments.push(segment);
                    }
                    if segments.len() > 1 {
                        self.found(segments, line, module);
                    }
                }
                TokenTree::Group(group) => self.items(group.stream(), module),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    /// What follows `mod`: in an inline module `super` means one level less.
    fn module(&mut self, tokens: &mut Tokens<'_>, module: &[String]) {
        let Some(TokenTree::Ident(name)) = tokens.peek() else {
            return;
        };
        let inner = [module, &[name.to_string()]].concat();
        tokens.next();
        if let Some(TokenTree::Group(body)) = tokens.peek() {
            let body = body.stream();
            tokens.next();
            self.items(body, &inner);
        }
    }

    /// One branch of a `use` declaration, up to its `;` or `,`, with the part before it.
    fn use_tree(&mut self, tokens: &mut Tokens<'_>, prefix: &[String], module: &[String]) {
        let mut segments = prefix.to_vec();
        let mut line = None;
        let mut alias = None;
        while let Some(tree) = tokens.next() {
            match tree {
                TokenTree::Ident(ident) if ident == "as" => {
                    alias = tokens.next().map(ToString::to_string);
                }
                TokenTree::Ident(ident) => {
                    line.get_or_insert(ident.span().start().line);
                    segments.push(ident.to_string());
                }
                TokenTree::Punct(punct) => match punct.as_char() {
                    '*' => {
                        line.get_or_insert(punct.span().start().line);
                        segments.push("*".to_owned());
                    }
                    ';' | ',' => break,
                    _ => {}
                },
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let branches: Vec<TokenTree> = group.stream().into_iter().collect();
                    let mut branches = branches.iter().peekable();
                    while branches.peek().is_some() {
                        self.use_tree(&mut branches, &segments, module);
                    }
                    line = None;
                }
                TokenTree::Group(_) | TokenTree::Literal(_) => {}
            }
        }
        if let Some(line) = line {
            let last = segments.iter().rfind(|segment| *segment != "self");
            self.imports
                .extend(alias.or(last.cloned()).map(|name| Import {
                    module: module.to_vec(),
                    name,
                    target: resolve(segments.clone(), module),
                }));
            self.found(segments, line, module);
        }
    }

    fn skip_test_item(&mut self, tokens: &mut Tokens<'_>, module: &[String]) {
        let mut is_use = false;
        while let Some(tree) = tokens.next() {
            match tree {
                TokenTree::Ident(ident) if ident == "use" => is_use = true,
                TokenTree::Ident(ident) if ident == "mod" => {
                    if let Some(TokenTree::Ident(name)) = tokens.peek() {
                        self.test_modules
                            .push([module, &[name.to_string()]].concat());
                    }
                }
                TokenTree::Punct(punct) if punct.as_char() == ';' => return,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !is_use => {
                    return;
                }
                _ => {}
            }
        }
    }

    fn found(&mut self, segments: Vec<String>, line: usize, module: &[String]) {
        let target = resolve(segments, module);
        self.paths.push(PathUse { target, line });
    }
}

fn resolve(segments: Vec<String>, module: &[String]) -> Target {
    let mut base = match segments.first().map(String::as_str) {
        Some("crate") => Vec::new(),
        Some("self" | "super") => module.to_vec(),
        _ => return Target::Other(segments),
    };
    for segment in segments {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => {
                base.pop();
            }
            _ => base.push(segment),
        }
    }
    Target::Local(base)
}

/// The identifier after `::`, when both follow.
fn next_segment(tokens: &mut Tokens<'_>) -> Option<String> {
    let mut ahead = tokens.clone();
    if !(next_is_punct(&mut ahead, ':') && next_is_punct(&mut ahead, ':')) {
        return None;
    }
    let Some(TokenTree::Ident(ident)) = ahead.next() else {
        return None;
    };
    *tokens = ahead;
    Some(ident.to_string())
}

fn next_is_punct(tokens: &mut Tokens<'_>, wanted: char) -> bool {
    tokens
        .next_if(|tree| matches!(tree, TokenTree::Punct(punct) if punct.as_char() == wanted))
        .is_some()
}

/// `cfg(test)` and `cfg(all(test, ...))`, but nothing with a `not`.
fn is_cfg_test(attribute: &TokenStream) -> bool {
    let starts_with_cfg = attribute
        .clone()
        .into_iter()
        .next()
        .is_some_and(|tree| matches!(tree, TokenTree::Ident(ident) if ident == "cfg"));
    starts_with_cfg && has_ident(attribute, "test") && !has_ident(attribute, "not")
}

fn has_ident(stream: &TokenStream, wanted: &str) -> bool {
    !lines_of_ident(stream, wanted).is_empty()
}

/// Returns every line with the identifier or keyword `wanted`, in test code too.
pub(crate) fn lines_of_ident(stream: &TokenStream, wanted: &str) -> Vec<usize> {
    stream
        .clone()
        .into_iter()
        .flat_map(|tree| match tree {
            TokenTree::Ident(ident) if ident == wanted => vec![ident.span().start().line],
            TokenTree::Group(group) => lines_of_ident(&group.stream(), wanted),
            _ => Vec::new(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths as text with their lines, named by the module `daemon::deploy`.
    fn named(source: &str) -> Vec<(String, usize)> {
        let module = ["daemon", "deploy"].map(str::to_owned);
        scan(tokens_of(source).unwrap(), &module)
            .paths
            .into_iter()
            .map(|path| match path.target {
                Target::Local(segments) => (format!("crate::{}", segments.join("::")), path.line),
                Target::Other(segments) => (segments.join("::"), path.line),
            })
            .collect()
    }

    fn targets(source: &str) -> Vec<String> {
        named(source).into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn nested_braces_over_several_lines_name_each_leaf() {
        let source = "use crate::{\n    api::{self, Status as S},\n    policy::*,\n};";
        assert_eq!(
            named(source),
            [
                ("crate::api".to_owned(), 2),
                ("crate::api::Status".to_owned(), 2),
                ("crate::policy::*".to_owned(), 3),
            ]
        );
    }

    #[test]
    fn a_group_without_a_prefix_names_other_crates() {
        assert_eq!(
            targets("use {aya, ::tokio::net as n};"),
            ["aya", "tokio::net"]
        );
    }

    #[test]
    fn super_climbs_from_the_file_and_from_inline_modules() {
        let source = "use super::super::store::Db; mod inner { fn f() { super::super::plan(); } }";
        assert_eq!(targets(source), ["crate::store::Db", "crate::daemon::plan"]);
    }

    #[test]
    fn expressions_types_attributes_and_macro_arguments_count() {
        let source =
            "#[derive(aya::Pod)] fn f(a: crate::store::Db) { print(\"{}\", x!(std::fs::read(a))) }";
        assert_eq!(
            targets(source),
            ["aya::Pod", "crate::store::Db", "std::fs::read"]
        );
    }

    #[test]
    fn comments_and_strings_do_not_count() {
        assert!(
            targets("/// See `crate::cli::run`.\n// tokio::net\nconst A: &str = \"aya::Pod\";")
                .is_empty()
        );
    }

    #[test]
    fn test_code_does_not_count_and_what_follows_it_does() {
        let source = "#[cfg(test)] use a::{b, c}; #[cfg(test)] mod tests { use d::e; } use f::g;";
        assert_eq!(targets(source), ["f::g"]);
        assert_eq!(targets("#[cfg(not(test))] use a::b;"), ["a::b"]);
    }

    #[test]
    fn a_test_module_in_a_file_of_its_own_is_reported() {
        let tokens = tokens_of("#[cfg(test)]\npub(crate) mod samples;\nuse a::b;").unwrap();
        let scan = scan(tokens, &["output".to_owned()]);
        assert_eq!(scan.test_modules, [["output", "samples"]]);
        assert_eq!(scan.paths.len(), 1);
    }

    #[test]
    fn a_turbofish_ends_the_path() {
        assert_eq!(targets("fn f() { Vec::<aya::Pod>::new(); }"), ["aya::Pod"]);
    }

    #[test]
    fn a_keyword_is_found_at_any_depth_but_not_inside_a_longer_name() {
        let tokens = tokens_of("#![forbid(unsafe_code)]\nfn f() { if x {\nunsafe { y() } } }");
        assert_eq!(lines_of_ident(&tokens.unwrap(), "unsafe"), [3]);
    }
}
