//! Files below the lists directory: only regular files, up to a maximum size, and never through a
//! link that leads out.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use ipblock_policy::{ListElement, ListFile, exchange::ReadOptions};
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
};

use super::feed::{Feed, FeedError, MAX_CONTENT, Stamp, elements};

/// A list file.
#[derive(Debug)]
pub(super) struct FileFeed {
    /// The lists directory.
    directory: PathBuf,
    file: ListFile,
    options: ReadOptions,
}

impl Feed for FileFeed {
    fn place(&self) -> String {
        self.path().display().to_string()
    }

    fn look(&self) -> Result<Stamp, FeedError> {
        self.open().map(|(_, metadata)| stamp(&metadata))
    }

    fn fetch(&self) -> Result<(Stamp, Vec<ListElement>), FeedError> {
        let (open, metadata) = self.open()?;
        let (before, size) = (stamp(&metadata), metadata.size());
        if size > MAX_CONTENT {
            let problem = format!("larger than {MAX_CONTENT} bytes");
            return Err(self.refused(problem, "split it into several lists"));
        }
        let unreadable = |error| unreadable(&self.path(), &error);
        let mut bytes = Vec::new();
        let mut bounded = (&open).take(MAX_CONTENT + 1);
        bounded.read_to_end(&mut bytes).map_err(unreadable)?;
        let after = stamp(&open.metadata().map_err(unreadable)?);
        // With several concurrent writers, half a file may look like a whole one.
        if before != after || bytes.len() as u64 != size {
            let problem = "was written while it was read";
            let hint = "write a file beside it and rename that to it, then try again";
            return Err(self.refused(problem, hint));
        }
        Ok((before, elements(&self.place(), bytes, &self.options)?))
    }
}

impl FileFeed {
    pub(super) fn new(directory: &Path, file: &ListFile, options: &ReadOptions) -> Self {
        Self {
            directory: directory.to_owned(),
            file: file.clone(),
            options: options.clone(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(self.file.as_path())
    }

    fn refused(&self, problem: impl Into<String>, hint: impl Into<String>) -> FeedError {
        FeedError::new(self.place(), problem).with_hint(hint)
    }

    /// Opens a regular file without leaving the directory, whatever links exist.
    fn open(&self) -> Result<(File, Metadata), FeedError> {
        let directory = &self.directory;
        let root = File::open(directory).map_err(|error| unreadable(directory, &error))?;
        // Opening a pipe must not wait for a writer.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let beneath = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags).resolve(beneath);
        let opened = match openat2(&root, self.file.as_path(), how) {
            Ok(opened) => File::from(opened),
            Err(Errno::EXDEV) => {
                let directory = directory.display();
                let hint = format!(
                    "put the file itself into {directory}, or link to a place inside it by a \
                     relative path"
                );
                return Err(self.refused(format!("leads out of {directory}"), hint));
            }
            Err(errno) => return Err(unreadable(&self.path(), &errno.into())),
        };
        let metadata = opened.metadata();
        let metadata = metadata.map_err(|error| unreadable(&self.path(), &error))?;
        if !metadata.is_file() {
            let hint = "write the addresses into a plain file";
            return Err(self.refused("not a regular file", hint));
        }
        Ok((opened, metadata))
    }
}

/// Returns the inode, its size, and the times when content and inode changed. The latter detects a
/// write within one clock tick, and a file whose modification time was set back.
fn stamp(metadata: &Metadata) -> Stamp {
    let inode = (metadata.dev(), metadata.ino(), metadata.size());
    let modified = (metadata.mtime(), metadata.mtime_nsec());
    let changed = (metadata.ctime(), metadata.ctime_nsec());
    Stamp::new(format!("{inode:?} {modified:?} {changed:?}"))
}

fn unreadable(path: &Path, error: &io::Error) -> FeedError {
    FeedError::new(path.display(), error.to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write as _, os::unix::fs::symlink};

    use flate2::{Compression, write::GzEncoder};

    use tempfile::TempDir;

    use super::*;

    fn feed(directory: &TempDir, path: &str) -> FileFeed {
        FileFeed::new(
            directory.path(),
            &path.parse().unwrap(),
            &ReadOptions::default(),
        )
    }

    #[track_caller]
    fn refused(directory: &TempDir, path: &str) -> String {
        let error = feed(directory, path).fetch().unwrap_err();
        error.to_string()
    }

    #[test]
    fn a_file_below_the_directory_is_read_also_through_a_link_that_stays_inside() {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("feeds")).unwrap();
        fs::write(directory.path().join("feeds/a.txt"), "192.0.2.1\n").unwrap();
        symlink("feeds/a.txt", directory.path().join("b.txt")).unwrap();
        for path in ["feeds/a.txt", "b.txt"] {
            let feed = feed(&directory, path);
            let (seen, elements) = feed.fetch().unwrap();
            assert_eq!(elements.len(), 1);
            assert_eq!(seen, feed.look().unwrap());
        }
    }

    #[test]
    fn a_packed_table_is_read_as_the_list_says() {
        let directory = TempDir::new().unwrap();
        let text = b"192.0.2.0,192.0.2.255,AU\n198.51.100.0,198.51.100.255,CN\n";
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(text).unwrap();
        let packed = packed.finish().unwrap();
        fs::write(directory.path().join("table.csv.gz"), &packed).unwrap();
        fs::write(directory.path().join("cut.gz"), &packed[..packed.len() - 1]).unwrap();
        let mut options = ReadOptions::default();
        options.put("column", "1-2").unwrap();
        options.put("where", "3=cn").unwrap();
        let read =
            |path: &str| FileFeed::new(directory.path(), &path.parse().unwrap(), &options).fetch();
        let (_, elements) = read("table.csv.gz").unwrap();
        let prefixes: Vec<String> = elements
            .iter()
            .map(|element| element.prefix.to_string())
            .collect();
        assert_eq!(prefixes, ["198.51.100.0/24"]);
        let error = read("cut.gz").unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("cut.gz: gzip data that is cut off"),
            "{error}"
        );
    }

    #[test]
    fn nothing_outside_of_the_directory_is_read() {
        let outside = TempDir::new().unwrap();
        fs::write(outside.path().join("a.txt"), "192.0.2.1\n").unwrap();
        let directory = TempDir::new().unwrap();
        symlink(outside.path().join("a.txt"), directory.path().join("file")).unwrap();
        symlink(outside.path(), directory.path().join("folder")).unwrap();
        let up = outside.path().file_name().unwrap();
        symlink(Path::new("..").join(up), directory.path().join("up")).unwrap();
        symlink("/proc/self/cwd/hosts", directory.path().join("magic")).unwrap();
        for path in ["file", "folder/a.txt", "up/a.txt", "magic"] {
            let said = refused(&directory, path);
            assert!(said.contains("leads out of"), "{path}: {said}");
        }
    }

    #[test]
    fn what_is_no_regular_text_file_with_an_address_says_what_it_is() {
        let directory = TempDir::new().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("folder")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(at("empty"), "").unwrap();
        fs::write(at("comments"), "# nothing\n").unwrap();
        fs::write(at("latin"), b"192.0.2.1 caf\xe9\n").unwrap();
        fs::write(at("bad"), "192.0.2.1\n192.0.2.1/24\n").unwrap();
        fs::write(at("gzip"), b"\x1f\x8b\x08\0\xff").unwrap();
        fs::write(at("utf16"), b"\xff\xfe1\x009\x002\0").unwrap();
        fs::write(at("timed"), "add a 192.0.2.1 timeout 60\n").unwrap();
        let large = File::create(at("large")).unwrap();
        large.set_len(MAX_CONTENT + 1).unwrap();
        symlink("loop", at("loop")).unwrap();
        for (path, part) in [
            ("folder", "not a regular file"),
            ("pipe", "not a regular file"),
            ("empty", "holds no address"),
            ("comments", "holds no address"),
            ("latin", "not text in UTF-8, from byte 13 on"),
            ("bad", "line 2: `192.0.2.1/24`: host bits set"),
            ("gzip", "gzip data"),
            ("utf16", "text in UTF-16"),
            ("timed", "1 entry has an end"),
            ("large", "larger than 67108864 bytes"),
            ("none", "No such file"),
            ("loop", "symbolic links"),
        ] {
            let said = refused(&directory, path);
            assert!(said.contains(part) && said.contains(path), "{path}: {said}");
        }
        let gone = directory.path().join("gone");
        let feed = FileFeed::new(&gone, &"a".parse().unwrap(), &ReadOptions::default());
        let said = feed.fetch().unwrap_err().to_string();
        assert!(said.starts_with(&gone.display().to_string()), "{said}");
    }

    #[test]
    fn a_file_that_is_written_again_has_another_stamp() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("a");
        fs::write(&path, "192.0.2.1\n").unwrap();
        let feed = feed(&directory, "a");
        let first = feed.look().unwrap();
        fs::write(directory.path().join("b"), "192.0.2.2\n").unwrap();
        fs::rename(directory.path().join("b"), &path).unwrap();
        assert_ne!(first, feed.look().unwrap());
    }
}
