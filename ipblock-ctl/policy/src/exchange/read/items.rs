//! Walks over one JSON document item by item, for formats whose items have known fields.

use std::{
    cell::{Cell, RefCell, RefMut},
    io::BufRead,
};

use serde_json::{Deserializer, de::IoRead};

use super::{ReadError, collect::Collector, json::Counted};
use crate::address::excerpt;

/// The state of the walk.
pub(super) struct Items<'w> {
    out: RefCell<&'w mut Collector>,
    line: &'w Cell<u64>,
    /// The error that stopped the walk, unless it is a JSON error.
    failed: RefCell<Option<ReadError>>,
}

impl<'w> Items<'w> {
    pub(super) fn out(&self) -> RefMut<'_, &'w mut Collector> {
        self.out.borrow_mut()
    }

    /// Returns the line that is read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line.get()
    }

    /// Stops the walk on an error outside of JSON.
    pub(super) fn stop<E: serde::de::Error>(&self, done: Result<(), ReadError>) -> Result<(), E> {
        done.map_err(|error| {
            let message = E::custom(&error);
            self.failed.replace(Some(error));
            message
        })
    }
}

/// Reads one document and nothing after it. A document that is not `format` is rejected whole, with
/// `hint`.
pub(super) fn read<R: BufRead>(
    input: R,
    out: &mut Collector,
    (format, hint): (&str, &str),
    walk: impl FnOnce(&Items<'_>, &mut Deserializer<IoRead<Counted<'_, R>>>) -> serde_json::Result<()>,
) -> Result<(), ReadError> {
    let line = Cell::new(1);
    let items = Items {
        out: RefCell::new(out),
        line: &line,
        failed: RefCell::new(None),
    };
    let mut document = Deserializer::from_reader(Counted { input, line: &line });
    let read = walk(&items, &mut document).and_then(|()| document.end());
    if let Some(error) = items.failed.into_inner() {
        return Err(error);
    }
    match read {
        Err(error) if error.is_io() => Err(ReadError::Io(error.into())),
        Err(error) => {
            let line = u64::try_from(error.line()).unwrap_or(u64::MAX).max(1);
            let problem = format!("not {format}: {}", excerpt(&error.to_string()));
            items.out.into_inner().spoil(line, "", &problem, hint);
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
