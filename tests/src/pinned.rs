//! All pins on a bpffs, with the content of every map, to prove that they are unchanged.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, Metadata},
    os::{
        fd::{AsFd as _, BorrowedFd},
        unix::fs::MetadataExt as _,
    },
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use crate::bpf::{self, ObjectInfo};

// Types of maps of include/uapi/linux/bpf.h.
const ARRAY: u32 = 2;
const PER_CPU: [u32; 3] = [5, 6, 10];
const PER_CPU_ARRAY: u32 = 6;
const RING_BUFFER: u32 = 27;

/// A pin, or a directory of pins.
#[derive(Clone, PartialEq, Eq)]
pub struct Pinned {
    inode: u64,
    mode: u32,
    owner: (u32, u32),
    /// Type and id of the object, and for a link its program; `None` for a directory.
    object: Option<(u32, u32, u32)>,
    /// Keys and values of a map.
    content: Vec<u8>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = self.content.get(..64).unwrap_or(&self.content);
        write!(
            f,
            "inode {} mode {:o} owner {:?} object {:?}, {} bytes: {head:02x?}",
            self.inode,
            self.mode,
            self.owner,
            self.object,
            self.content.len()
        )
    }
}

/// Every pin and directory below a bpffs, by path.
pub fn pinned_under(bpffs: &Path) -> anyhow::Result<BTreeMap<PathBuf, Pinned>> {
    let mut found = BTreeMap::new();
    add(bpffs, &mut found)?;
    Ok(found)
}

fn add(path: &Path, found: &mut BTreeMap<PathBuf, Pinned>) -> anyhow::Result<()> {
    let metadata = fs::symlink_metadata(path).with_context(|| path.display().to_string())?;
    let is_directory = metadata.is_dir();
    let pinned = if is_directory {
        of(&metadata, None, Vec::new())
    } else {
        let object = bpf::open_pin(path)?;
        let info = bpf::object_info(object.as_fd())?;
        // An object other than a map has its id as content.
        let content = if is_map(path)? {
            content(object.as_fd(), &info)?
        } else {
            Vec::new()
        };
        of(
            &metadata,
            Some((info.kind, info.id, info.words[0])),
            content,
        )
    };
    found.insert(path.to_owned(), pinned);
    if is_directory {
        for entry in fs::read_dir(path)? {
            let entry = entry?.path();
            // What bpffs itself shows at its root: `maps.debug` and `progs.debug`.
            if entry
                .extension()
                .is_none_or(|extension| extension != "debug")
            {
                add(&entry, found)?;
            }
        }
    }
    Ok(())
}

/// Whether ipblock pins a map there.
fn is_map(path: &Path) -> anyhow::Result<bool> {
    let name = path.file_name().context("a pin has a name")?;
    let directory = path.parent().and_then(Path::file_name);
    Ok(name != "program" && directory != Some("links".as_ref()))
}

fn of(metadata: &Metadata, object: Option<(u32, u32, u32)>, content: Vec<u8>) -> Pinned {
    Pinned {
        inode: metadata.ino(),
        mode: metadata.mode(),
        owner: (metadata.uid(), metadata.gid()),
        object,
        content,
    }
}

/// All keys and values of a map, in its own order. A ring buffer has none.
fn content(map: BorrowedFd<'_>, info: &ObjectInfo) -> anyhow::Result<Vec<u8>> {
    let [key_size, value_size, entries, _] = info.words;
    if info.kind == RING_BUFFER {
        return Ok(Vec::new());
    }
    let mut value_size = usize::try_from(value_size)?;
    if PER_CPU.contains(&info.kind) {
        value_size = value_size.next_multiple_of(8) * possible_cpus()?;
    }
    let mut content = Vec::new();
    if [ARRAY, PER_CPU_ARRAY].contains(&info.kind) {
        for index in 0..entries {
            content
                .extend(bpf::look_up(map, &index.to_ne_bytes(), value_size)?.unwrap_or_default());
        }
        return Ok(content);
    }
    let mut key = None;
    while let Some(next) = bpf::next_key(map, key.as_deref(), usize::try_from(key_size)?)? {
        content.extend(&next);
        content.extend(bpf::look_up(map, &next, value_size)?.unwrap_or_default());
        key = Some(next);
    }
    Ok(content)
}

/// CPUs for which the kernel keeps values: the last number of `0-7`, and one.
fn possible_cpus() -> anyhow::Result<usize> {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let last = text.trim().rsplit(['-', ',']).next().context("a CPU")?;
    Ok(last.parse::<usize>()? + 1)
}
