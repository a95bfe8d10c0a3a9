//! Unpacks gzip data while it is read, up to a size and a ratio.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::ReadError;
use crate::Diagnostic;

/// The first bytes of gzip data. Text never begins with the first one.
const MARK: [u8; 2] = [0x1f, 0x8b];

/// Maximum of unpacked bytes.
const MAX_UNPACKED: u64 = 1 << 30;

/// Lists shrink to a tenth, repeated ones to a fiftieth. Far more than that is a bomb.
const MAX_RATIO: u64 = 250;

/// The ratio does not matter below this number of bytes.
const FREE: u64 = 8 << 20;

const HINT: &str = "fetch the file again, or unpack it with gzip -d to see what is in it";

/// Whether data that begins with `head` is packed.
#[must_use]
pub fn is_packed(head: &[u8]) -> bool {
    !head.is_empty() && MARK.starts_with(head.get(..MARK.len()).unwrap_or(head))
}

/// Returns the text of an input that may be packed, unpacked as it is read.
pub fn unpacked<'i>(mut input: impl BufRead + 'i) -> io::Result<Box<dyn BufRead + 'i>> {
    if !is_packed(input.fill_buf()?) {
        return Ok(Box::new(input));
    }
    Ok(Box::new(BufReader::new(Unpacked::new(input))))
}

/// gzip data with one or several members, unpacked. An error means that none of it may be used.
pub(super) struct Unpacked<R> {
    decoder: MultiGzDecoder<Counted<R>>,
    given: u64,
}

impl<R: BufRead> Unpacked<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            decoder: MultiGzDecoder::new(Counted { input, taken: 0 }),
            given: 0,
        }
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(damaged)?;
        self.given += read as u64;
        let packed = self.decoder.get_ref().taken;
        if self.given > MAX_UNPACKED {
            let mib = MAX_UNPACKED >> 20;
            return Err(refused(format!("gzip data of more than {mib} MiB of text")));
        }
        if self.given > FREE && self.given / MAX_RATIO > packed {
            let problem = format!("gzip data that grows more than {MAX_RATIO} times");
            return Err(refused(problem));
        }
        Ok(read)
    }
}

fn damaged(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => refused("gzip data that is cut off".to_owned()),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            refused(format!("gzip data that is damaged ({error})"))
        }
        // Such as an interrupted call, or the error of a disk.
        _ => error,
    }
}

fn refused(what: String) -> io::Error {
    let error = ReadError::Binary {
        what,
        hint: HINT.to_owned(),
    };
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Returns the error of [`Unpacked`] itself in place of the I/O error around it.
pub(super) fn unwrapped(error: ReadError) -> ReadError {
    match error {
        ReadError::Io(error) => match error.downcast::<ReadError>() {
            Ok(inner) => inner,
            Err(error) => ReadError::Io(error),
        },
        error => error,
    }
}

/// Describes an error of [`unpacked`].
#[must_use]
pub fn unpack_error(error: io::Error) -> Diagnostic {
    Diagnostic::of(&unwrapped(ReadError::Io(error)))
}

/// Counts the bytes that were taken.
struct Counted<R> {
    input: R,
    taken: u64,
}

impl<R: BufRead> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(buffer)?;
        self.taken += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Counted<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.taken += count as u64;
        self.input.consume(count);
    }
}
