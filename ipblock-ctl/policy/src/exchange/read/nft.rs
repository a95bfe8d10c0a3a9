//! The output of `nft list set` and `nft list ruleset`, and scripts for `nft -f`: the elements of
//! named sets, and of variables in sets. Rules with anonymous sets are skipped.

mod defines;
pub(super) mod element;
mod skip;
mod tokens;

use std::io::BufRead;

use super::{ReadError, collect::Collector};
use crate::address::{End, excerpt};
use defines::Defines;
use element::{Element, LIMIT, SETS_HINT};
use tokens::{Token, Tokens};

const TAKES: &str = "it takes elements away";
const TAKES_HINT: &str =
    "load the file into nft and import what `nft list set` prints, or take the line out";
const FAMILIES: [&str; 6] = ["ip", "ip6", "inet", "arp", "bridge", "netdev"];
const VERBS: [&str; 12] = [
    "add", "create", "insert", "replace", "delete", "destroy", "flush", "list", "reset", "get",
    "rename", "monitor",
];

pub(super) fn read(input: impl BufRead, out: &mut Collector) -> Result<(), ReadError> {
    let mut script = Script {
        tokens: Tokens::new(input),
        out,
        defines: Defines::default(),
        has_others: false,
        is_cut_off: false,
    };
    script.statements(None)?;
    if script.has_others {
        script.defines.pass_over(script.out);
        return Ok(());
    }
    script.defines.add_all(script.out)
}

/// What happens to the elements between braces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Take,
    Skip,
}

struct Script<'o, R> {
    tokens: Tokens<R>,
    out: &'o mut Collector,
    defines: Defines,
    /// Whether it has elements other than variables.
    has_others: bool,
    is_cut_off: bool,
}

impl<R: BufRead> Script<'_, R> {
    /// Reads statements: of the whole file, or of a table up to its closing `}`.
    fn statements(&mut self, table: Option<&str>) -> Result<(), ReadError> {
        while let Some(token) = self.tokens.next()? {
            match token {
                Token::Mark(b'}') if table.is_some() => return Ok(()),
                Token::Mark(b'{') => {
                    self.skip_block()?;
                }
                Token::Mark(_) => {}
                Token::Quoted => {
                    self.skip_statement()?;
                }
                Token::Word => self.statement(table)?,
            }
        }
        if table.is_some() {
            self.cut_off("table");
        }
        Ok(())
    }

    /// Reads the statement that begins with the current word.
    fn statement(&mut self, table: Option<&str>) -> Result<(), ReadError> {
        let word = self.tokens.word.clone();
        match word.as_str() {
            "define" | "redefine" => return self.define(),
            "undefine" => {
                let (words, _) = self.words()?;
                for name in words {
                    self.defines.remove(name.trim_start_matches('$'));
                }
                return Ok(());
            }
            "include" => {
                self.skip_statement()?;
                self.out.pass_over("include of another file", 1);
                return Ok(());
            }
            _ => {}
        }
        self.has_others = true;
        if word == "elements" {
            return self.set_elements(Purpose::Take);
        }
        let is_verb = VERBS.contains(&word.as_str());
        let (verb, object) = if is_verb {
            match self.tokens.next()? {
                Some(Token::Word) => (word, self.tokens.word.clone()),
                Some(token) => {
                    self.tokens.give_back(token);
                    return Ok(());
                }
                None => return Ok(()),
            }
        } else {
            ("add".to_owned(), word)
        };
        self.command(&verb, &object, table)
    }

    fn command(&mut self, verb: &str, object: &str, table: Option<&str>) -> Result<(), ReadError> {
        let line = self.tokens.line;
        if !matches!(object, "table" | "set" | "map" | "element" | "ruleset") {
            let passed = self.skip_statement()?;
            self.out.pass_over("rules", passed);
            return Ok(());
        }
        let (mut words, end) = self.words()?;
        let has_variable = words.last().is_some_and(|word| word.starts_with('$'));
        let variable = if has_variable { words.pop() } else { None };
        let name = full_name(&words, table, object);
        if matches!(verb, "delete" | "destroy" | "flush") {
            self.take_away(verb, object, &name, line)?;
            return self.skip_rest(end);
        }
        if !matches!(verb, "add" | "create") {
            return self.skip_rest(end);
        }
        match (object, end) {
            ("table", Some(Token::Mark(b'{'))) => self.statements(Some(&name)),
            ("set", Some(Token::Mark(b'{'))) => self.set(&name),
            ("map", Some(Token::Mark(b'{'))) => {
                let addresses = self.skip_block()?;
                if addresses > 0 {
                    self.enter(&name)?;
                    let text = format!("map {name}");
                    self.out.refuse(line, &text, "a map", Some(SETS_HINT));
                    self.out.leave();
                }
                Ok(())
            }
            ("element", end) => {
                self.enter(&name)?;
                if let Some(variable) = variable {
                    self.expand(variable.trim_start_matches('$'), line)?;
                }
                if end == Some(Token::Mark(b'{')) {
                    self.elements(Purpose::Take)?;
                    self.out.leave();
                    return Ok(());
                }
                self.out.leave();
                self.skip_rest(end)
            }
            (_, end) => self.skip_rest(end),
        }
    }

    /// Rejects a statement that removes elements that were read already.
    fn take_away(
        &mut self,
        verb: &str,
        object: &str,
        name: &str,
        line: u64,
    ) -> Result<(), ReadError> {
        let taken = match (verb, object) {
            ("delete" | "destroy", "element") => {
                self.enter(name)?;
                true
            }
            // It flushes the chains of the table, not its sets.
            ("flush", "table") => false,
            (_, "ruleset") => self.out.entries(|_| true) > 0,
            (_, "table") => {
                let sets = format!("{name} ");
                self.out.entries(|set| set.starts_with(&sets)) > 0
            }
            _ if self.out.entries(|set| set == name) > 0 => {
                self.enter(name)?;
                true
            }
            _ => false,
        };
        if taken {
            let text = format!("{verb} {object} {name}");
            self.out.spoil(line, &text, TAKES, TAKES_HINT);
        }
        self.out.leave();
        Ok(())
    }

    fn enter(&mut self, name: &str) -> Result<(), ReadError> {
        if self.out.enter(name) {
            return Ok(());
        }
        Err(ReadError::TooManySets {
            line: self.tokens.line,
        })
    }

    /// Reads the body of a set.
    fn set(&mut self, name: &str) -> Result<(), ReadError> {
        let mut problem = None;
        // A set without elements is known, too.
        self.enter(name)?;
        self.out.leave();
        while let Some(token) = self.tokens.next()? {
            match token {
                Token::Mark(b'}') => return Ok(()),
                Token::Mark(b'{') => {
                    self.skip_block()?;
                }
                Token::Mark(_) | Token::Quoted => {}
                Token::Word => match self.tokens.word.as_str() {
                    "type" | "typeof" => {
                        let (words, end) = self.words()?;
                        if !is_address_type(&words) {
                            problem = Some(format!("a set of {}", excerpt(&words.join(" "))));
                        }
                        self.skip_rest(end)?;
                    }
                    "elements" => {
                        let line = self.tokens.line;
                        self.enter(name)?;
                        let purpose = match &problem {
                            None => Purpose::Take,
                            Some(problem) => {
                                let text = format!("set {name}");
                                self.out.refuse(line, &text, problem, Some(SETS_HINT));
                                Purpose::Skip
                            }
                        };
                        self.set_elements(purpose)?;
                        self.out.leave();
                    }
                    "timeout" => {
                        let (words, end) = self.words()?;
                        let time = words.first().map_or("", String::as_str);
                        self.enter(name)?;
                        self.out.end_all(End::under("timeout", time));
                        self.out.leave();
                        self.skip_rest(end)?;
                    }
                    "limit" | "ct" | "quota" => {
                        problem = Some(LIMIT.to_owned());
                        self.skip_statement()?;
                    }
                    _ => {
                        self.skip_statement()?;
                    }
                },
            }
        }
        self.cut_off("set");
        Ok(())
    }

    /// Reads `= { ... }` or `= $NAME`.
    fn set_elements(&mut self, purpose: Purpose) -> Result<(), ReadError> {
        let line = self.tokens.line;
        loop {
            match self.tokens.next()? {
                Some(Token::Mark(b'=')) => {}
                Some(Token::Mark(b'{')) => return self.elements(purpose),
                Some(Token::Word) if self.tokens.word.starts_with('$') => {
                    let name = self.tokens.word.trim_start_matches('$').to_owned();
                    if purpose == Purpose::Take {
                        self.expand(&name, line)?;
                    }
                    return Ok(());
                }
                Some(Token::Mark(b'}')) => {
                    self.tokens.give_back(Token::Mark(b'}'));
                    return Ok(());
                }
                Some(_) => return Ok(()),
                None => {
                    self.cut_off("elements");
                    return Ok(());
                }
            }
        }
    }

    /// Reads up to the closing `}` of the elements.
    fn elements(&mut self, purpose: Purpose) -> Result<(), ReadError> {
        let mut element = Element::default();
        while let Some(token) = self.tokens.next()? {
            match token {
                Token::Mark(end @ (b',' | b'}')) => {
                    let element = std::mem::take(&mut element);
                    if purpose == Purpose::Take && !element.text.is_empty() {
                        self.take(&element)?;
                    }
                    if end == b'}' {
                        return Ok(());
                    }
                }
                Token::Mark(b'{') => {
                    let line = self.tokens.line;
                    self.skip_block()?;
                    element.push(Token::Quoted, "{...}", line);
                    element.problem = Some("a set in a set");
                }
                Token::Mark(_) => {}
                Token::Quoted | Token::Word => {
                    element.push(token, &self.tokens.word, self.tokens.line);
                }
            }
        }
        self.cut_off("elements");
        Ok(())
    }

    fn take(&mut self, element: &Element) -> Result<(), ReadError> {
        match element.variable() {
            Some(name) => self.expand(name, element.line),
            None => element.add_to(self.out),
        }
    }

    /// Replaces a variable with its content.
    fn expand(&mut self, name: &str, line: u64) -> Result<(), ReadError> {
        match self.defines.using(name, line)? {
            Some(elements) => {
                for element in elements {
                    element.add_to(self.out)?;
                }
            }
            None => self.undefined(name, line),
        }
        Ok(())
    }

    fn undefined(&mut self, name: &str, line: u64) {
        let hint = "define it above, or write the addresses in its place";
        let text = format!("${name}");
        self.out
            .refuse(line, &text, "a variable that is not defined", Some(hint));
    }

    /// Reads `NAME = VALUE`.
    fn define(&mut self) -> Result<(), ReadError> {
        let (words, end) = self.words()?;
        let (Some(name), Some(Token::Mark(b'='))) = (words.first(), end) else {
            return self.skip_rest(end);
        };
        let mut elements = Vec::new();
        let mut element = Element::default();
        let mut is_open = false;
        loop {
            let Some(token) = self.tokens.next()? else {
                if is_open {
                    self.cut_off("elements");
                }
                self.push_defined(element, &mut elements)?;
                break;
            };
            match token {
                Token::Mark(b'{') if !is_open => is_open = true,
                Token::Mark(b'{') => {
                    let line = self.tokens.line;
                    self.skip_block()?;
                    element.push(Token::Quoted, "{...}", line);
                    element.problem = Some("a set in a set");
                }
                Token::Mark(b',') => {
                    self.push_defined(std::mem::take(&mut element), &mut elements)?;
                }
                Token::Mark(b'}') => {
                    if !is_open {
                        self.tokens.give_back(token);
                    }
                    self.push_defined(element, &mut elements)?;
                    break;
                }
                Token::Mark(b'\n' | b';') if !is_open => {
                    self.push_defined(element, &mut elements)?;
                    break;
                }
                Token::Mark(_) => {}
                Token::Quoted | Token::Word => {
                    element.push(token, &self.tokens.word, self.tokens.line);
                }
            }
        }
        self.defines.put(name, elements);
        Ok(())
    }

    fn push_defined(
        &mut self,
        element: Element,
        elements: &mut Vec<Element>,
    ) -> Result<(), ReadError> {
        if element.text.is_empty() {
            return Ok(());
        }
        let Some(name) = element.variable() else {
            self.defines.count(element.line)?;
            elements.push(element);
            return Ok(());
        };
        if let Some(held) = self.defines.using(name, element.line)? {
            elements.extend_from_slice(held);
        } else {
            self.undefined(name, element.line);
        }
        Ok(())
    }

    /// Rejects a script that ends inside a block: none of it is used.
    fn cut_off(&mut self, what: &str) {
        let hint = "close it with `}`, or copy the whole file again";
        if std::mem::replace(&mut self.is_cut_off, true) {
            return;
        }
        self.out.leave();
        self.out
            .spoil(self.tokens.line, what, "a set that is not closed", hint);
    }
}

/// Returns the name of a set with its family and table, as far as they are known.
fn full_name(words: &[String], table: Option<&str>, object: &str) -> String {
    let name = words.join(" ");
    if let Some(table) = table {
        return format!("{table} {name}");
    }
    let has_family = words
        .first()
        .is_some_and(|word| FAMILIES.contains(&word.as_str()));
    let is_whole = if object == "table" { 1 } else { 2 };
    if has_family || words.len() < is_whole {
        name
    } else {
        format!("ip {name}")
    }
}

/// Whether elements of this type are addresses: `ipv4_addr`, `ip saddr`.
fn is_address_type(words: &[String]) -> bool {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["ipv4_addr" | "ipv6_addr"] => true,
        [.., "ip" | "ip6", "saddr" | "daddr"] => !words.contains(&"."),
        _ => false,
    }
}
