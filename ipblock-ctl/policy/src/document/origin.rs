//! The revision that a ruleset file was made from.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

use sha2::{Digest as _, Sha256};

/// Bytes of the store's identity and of the digest in the text: enough to distinguish two.
const SHORT: usize = 6;

/// The origin of a ruleset file, as its key `revision`: `21@3f9a12cd5b6e.8d0f12ab34cd`. It contains
/// a revision, the store that numbered it, and a digest of its text.
///
/// It is a key and not a comment, to survive JSON and tools that rewrite TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The revision.
    pub revision: u64,
    store: String,
    digest: String,
}

impl Origin {
    /// Returns the origin of a file that is made from a revision of this store. `text` is its
    /// ruleset as [`print`](super::print) writes it.
    #[must_use]
    pub fn new(revision: u64, store: &[u8], text: &(impl fmt::Display + ?Sized)) -> Self {
        let mut hashed = Hashed(Sha256::new());
        // The hash function cannot fail.
        let _ = write!(hashed, "{text}");
        Self {
            revision,
            store: hex(store),
            digest: hex(&hashed.0.finalize()),
        }
    }

    /// Whether a file from here may replace `deployed`, the origin of the deployed ruleset. It may
    /// if it is the same revision, another one with the same text, or from another store, whose
    /// revisions mean nothing here.
    #[must_use]
    pub fn may_replace(&self, deployed: &Self) -> bool {
        self.store != deployed.store || self.digest == deployed.digest
    }
}

/// Hashes what is written to it, so that a large text is never completely in memory.
struct Hashed(Sha256);

impl fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}.{}", self.revision, self.store, self.digest)
    }
}

impl FromStr for Origin {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (revision, rest) = text.split_once('@').ok_or(())?;
        let (store, digest) = rest.split_once('.').ok_or(())?;
        let is_hex = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
            digits && text.len() == 2 * SHORT
        };
        if !is_hex(store) || !is_hex(digest) {
            return Err(());
        }
        Ok(Self {
            revision: revision.parse().map_err(|_error| ())?,
            store: store.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes = bytes.iter().take(SHORT);
    let pairs: Vec<String> = bytes.map(|byte| format!("{byte:02x}")).collect();
    pairs.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_is_written_and_refused_otherwise() {
        let origin = Origin::new(21, &[0x3f; 16], "[allow]\n");
        let text = origin.to_string();
        assert!(text.starts_with("21@3f3f3f3f3f3f."), "{text}");
        assert_eq!(text.parse(), Ok(origin));
        for text in [
            "",
            "21",
            "21@3f",
            "x@3f3f3f3f3f3f.3f3f3f3f3f3f",
            "1@3f3f3f3f3f3f.3",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(()), "{text}");
        }
    }

    #[test]
    fn only_another_text_of_the_same_store_stands_in_the_way() {
        let deployed = Origin::new(22, &[1; 16], "b");
        assert!(!Origin::new(21, &[1; 16], "a").may_replace(&deployed));
        // After a restore a number may occur again.
        assert!(!Origin::new(22, &[1; 16], "a").may_replace(&deployed));
        assert!(Origin::new(20, &[1; 16], "b").may_replace(&deployed));
        assert!(Origin::new(21, &[2; 16], "a").may_replace(&deployed));
    }
}
