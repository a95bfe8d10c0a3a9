//! Variables of a script: `define`, `redefine`, `undefine`.

use rustc_hash::FxHashMap;

use super::element::Element;
use crate::{
    address::is_address,
    exchange::read::{ReadError, collect::Collector},
};

/// Maximum of elements in all variables together, and of elements that variables add to sets.
const MAX_ELEMENTS: usize = 1_000_000;

/// The variables in force.
#[derive(Default)]
pub(super) struct Defines {
    /// Their names, in the order of definition.
    order: Vec<String>,
    held: FxHashMap<String, Define>,
    elements: usize,
}

#[derive(Default)]
struct Define {
    elements: Vec<Element>,
    is_used: bool,
}

impl Defines {
    /// Defines or redefines a variable.
    pub(super) fn put(&mut self, name: &str, elements: Vec<Element>) {
        let define = Define {
            elements,
            is_used: false,
        };
        if self.held.insert(name.to_owned(), define).is_none() {
            self.order.push(name.to_owned());
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        if self.held.remove(name).is_some() {
            self.order.retain(|held| held != name);
        }
    }

    /// Counts another element.
    pub(super) fn count(&mut self, line: u64) -> Result<(), ReadError> {
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(ReadError::TooManyDefined { line });
        }
        Ok(())
    }

    /// Returns the elements of a variable and marks it as used.
    pub(super) fn using(&mut self, name: &str, line: u64) -> Result<Option<&[Element]>, ReadError> {
        let Some(define) = self.held.get_mut(name) else {
            return Ok(None);
        };
        define.is_used = true;
        self.elements += define.elements.len();
        if self.elements > MAX_ELEMENTS {
            return Err(ReadError::TooManyDefined { line });
        }
        Ok(Some(define.elements.as_slice()))
    }

    /// Adds the content of all variables.
    pub(super) fn add_all(&self, out: &mut Collector) -> Result<(), ReadError> {
        let defines = self.order.iter().filter_map(|name| self.held.get(name));
        for element in defines.flat_map(|define| &define.elements) {
            element.add_to(out)?;
        }
        Ok(())
    }

    /// Reports unused variables with addresses.
    pub(super) fn pass_over(&self, out: &mut Collector) {
        for name in &self.order {
            let Some(define) = self.held.get(name).filter(|define| !define.is_used) else {
                continue;
            };
            let addresses = define
                .elements
                .iter()
                .filter(|element| is_address(&element.text));
            let count = addresses.count();
            out.pass_over(
                &format!("define {name}"),
                u64::try_from(count).unwrap_or(u64::MAX),
            );
        }
    }
}
