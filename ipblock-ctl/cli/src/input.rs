//! Files and standard input, read up to a limit: an endless input must not use all memory.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::Path,
};

use ipblock_policy::exchange::unpacked;

use super::error::CliError;

/// Maximum size of a text: the daemon's limit.
const MAX_TEXT: u64 = 64 << 20;
/// Maximum size of a backup: the daemon's limit.
const MAX_BACKUP: u64 = 1 << 30;
/// Maximum size of an imported file. It is read in pieces, and a large table may contain few
/// addresses.
pub(crate) const MAX_IMPORT: u64 = 1 << 30;

/// The argument for standard input.
const STANDARD: &str = "-";

/// Returns the text of a file, and its name for messages; `-` is standard input.
pub(crate) fn read_text(path: &Path) -> Result<(String, String), CliError> {
    let (text, name) = if is_standard(path) {
        let read = whole(io::stdin().lock(), MAX_TEXT).and_then(text);
        (read, "<stdin>".to_owned())
    } else {
        (read_text_file(path), path.display().to_string())
    };
    text.map(|text| (text, name)).map_err(failed(path))
}

/// Returns the text of a file.
fn read_text_file(path: &Path) -> io::Result<String> {
    text(whole_file(path, MAX_TEXT)?)
}

/// Returns the text of a list file, which may be packed.
pub(crate) fn read_list_file(path: &Path) -> io::Result<String> {
    let bytes = whole_file(path, MAX_TEXT)?;
    text(whole(unpacked(&bytes[..])?, MAX_TEXT)?)
}

/// Returns the content of a backup; `-` is standard input.
pub(crate) fn read_backup(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = if is_standard(path) {
        whole(io::stdin().lock(), MAX_BACKUP)
    } else {
        whole_file(path, MAX_BACKUP)
    };
    read.map_err(failed(path))
}

/// As [`whole`]; does not read a file whose reported size is too large.
fn whole_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > limit {
        return Err(too_large(limit));
    }
    whole(file, limit)
}

/// Reads to the end, or fails if the input exceeds `limit`.
fn whole(input: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    input.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(limit));
    }
    Ok(bytes)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let problem = format!("byte {place} is not UTF-8 text");
        io::Error::new(io::ErrorKind::InvalidData, problem)
    })
}

/// An input that fails when it exceeds a limit.
pub(crate) struct Bounded<R> {
    input: R,
    limit: u64,
    left: u64,
}

impl<R> Bounded<R> {
    pub(crate) const fn new(input: R, limit: u64) -> Self {
        Self {
            input,
            limit,
            left: limit,
        }
    }
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.input.fill_buf()?;
        if self.left == 0 && !bytes.is_empty() {
            return Err(too_large(self.limit));
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        Ok(bytes.get(..most).unwrap_or(bytes))
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.input.consume(count);
    }
}

fn is_standard(path: &Path) -> bool {
    path == Path::new(STANDARD)
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    move |source| CliError::File {
        verb: "read",
        path: path.to_path_buf(),
        source,
    }
}

fn too_large(limit: u64) -> io::Error {
    let mib = limit >> 20;
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!("it is larger than {mib} MiB"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_input_is_refused_at_the_limit() {
        let error = whole(io::repeat(b'#'), 64 << 20).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it is larger than 64 MiB");
    }

    #[test]
    fn an_input_of_exactly_the_limit_is_read() {
        assert_eq!(whole(&b"abc"[..], 3).unwrap(), b"abc");
        assert!(whole(&b"abcd"[..], 3).is_err());
        let read = |text: &'static [u8]| {
            let mut bytes = Vec::new();
            Bounded::new(text, 3).read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(read(b"abc").unwrap(), b"abc");
        let error = read(b"abcd").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
