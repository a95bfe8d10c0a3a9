//! Creates and opens pinned maps, and explains failures.

use std::{os::fd::AsFd as _, path::Path, sync::atomic::AtomicU64, thread, time::Duration};

use aya::maps::{Map, MapData, MapError, MapInfo, MapType};
use ipblock_fault::{Step, reach};
use zerocopy::{FromBytes, Immutable};

use super::{error::DatapathError, mapped_array::MappedArray, sys};

/// Attempts to insert before the memory is considered exhausted. With the pause between them they
/// take one second.
const PATIENCE: u32 = 200;
const A_MOMENT: Duration = Duration::from_millis(5);

/// `BPF_F_MMAPABLE` of include/uapi/linux/bpf.h.
pub(super) const MMAPABLE: u32 = 1 << 10;

/// Opens a pinned map and requires the type and the sizes of the ABI.
pub(super) fn open_map<M>(directory: &Path, name: &'static str) -> Result<M, DatapathError>
where
    M: TryFrom<Map, Error = MapError>,
{
    let path = directory.join(name);
    let strange = |error: MapError| DatapathError::strange_pin(&path, &error);
    let data = MapData::from_pin(&path).map_err(strange)?;
    let map = Map::from_map_data(data).map_err(strange)?;
    M::try_from(map).map_err(strange)
}

/// Maps all of a pinned array that is not written any more.
pub(super) fn open_finished<T: FromBytes + Immutable>(
    directory: &Path,
    name: &'static str,
) -> Result<MappedArray<T>, DatapathError> {
    let path = directory.join(name);
    let strange = |problem: String| DatapathError::StrangePin {
        path: path.clone(),
        problem,
    };
    let failed = |error: MapError| DatapathError::strange_pin(&path, &error);
    let map = MapData::from_pin(&path).map_err(failed)?;
    let info = map.info().map_err(failed)?;
    let size = info.value_size() as usize;
    if size != size_of::<T>() || info.map_flags() != MMAPABLE {
        return Err(strange(format!("elements of {size} bytes")));
    }
    MappedArray::of_finished(map.fd().as_fd(), info.max_entries())
        .map_err(|source| DatapathError::Read { map: name, source })
}

/// Maps a pinned array as words that programs read meanwhile.
pub(super) fn open_words(
    directory: &Path,
    name: &'static str,
    words: usize,
) -> Result<MappedArray<AtomicU64>, DatapathError> {
    let path = directory.join(name);
    let map = sys::open_pin(&path).map_err(|source| DatapathError::pin(path, source))?;
    MappedArray::of_words(map.as_fd(), words)
        .map_err(|source| DatapathError::Read { map: name, source })
}

/// Retries an insertion into a trie. The kernel takes the memory from a small reserve, which it
/// refills in the background without reclaim. So an insertion can fail while the page cache
/// occupies all free memory, and succeed a moment later.
pub(super) fn insert_patiently(
    mut insert: impl FnMut() -> Result<(), MapError>,
) -> Result<(), MapError> {
    for _ in 0..PATIENCE {
        match insert() {
            Err(error) if is_out_of_memory(&error) => thread::sleep(A_MOMENT),
            result => return result,
        }
    }
    insert()
}

fn is_out_of_memory(error: &MapError) -> bool {
    matches!(error, MapError::SyscallError(error)
        if error.io_error.raw_os_error() == Some(libc::ENOMEM))
}

pub(super) fn map_error(map: &'static str, error: MapError) -> DatapathError {
    DatapathError::Map {
        map,
        source: Box::new(error),
    }
}

/// The object is part of this build, so this error means a broken build.
pub(super) fn no_such_map(map: &'static str) -> DatapathError {
    DatapathError::Map {
        map,
        source: Box::new(MapError::InvalidName {
            name: map.to_owned(),
        }),
    }
}

/// The required shape of a shared map.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) kind: MapType,
    /// Size of a key in bytes.
    pub(super) key: usize,
    /// Size of a value in bytes.
    pub(super) value: usize,
    /// Maximum of entries; for a ring buffer, its size in bytes.
    pub(super) entries: u32,
    pub(super) flags: u32,
}

/// An array with one element.
pub(super) const fn one_element(name: &'static str, kind: MapType, value: usize) -> Shape {
    Shape {
        name,
        kind,
        key: size_of::<u32>(),
        value,
        entries: 1,
        flags: 0,
    }
}

/// Creates the map unless it is pinned. Returns its id.
pub(super) fn ensure(directory: &Path, shape: &Shape) -> Result<u32, DatapathError> {
    let path = directory.join(shape.name);
    if !path.exists() {
        let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let map = aya_obj::Map::new_from_params(
            shape.kind as u32,
            size(shape.key),
            size(shape.value),
            shape.entries,
            shape.flags,
        );
        let map = MapData::create(map, shape.name, None);
        let map = map.map_err(|error| map_error(shape.name, error))?;
        map.pin(&path)
            .map_err(|error| DatapathError::pin(&path, std::io::Error::other(error)))?;
        reach(Step::SharedMapPinned);
    }
    require(&path, shape)
}

/// Returns the id of a map if it is pinned.
pub(super) fn pinned(directory: &Path, shape: &Shape) -> Result<Option<u32>, DatapathError> {
    let path = directory.join(shape.name);
    match path.try_exists() {
        Ok(false) => Ok(None),
        Ok(true) => require(&path, shape).map(Some),
        Err(error) => Err(DatapathError::pin(path, error)),
    }
}

/// Returns the id of a pinned map, which must have this shape.
///
/// aya checks neither the maps that it opens nor those that it passes to a program, so another
/// object is an error here.
fn require(path: &Path, shape: &Shape) -> Result<u32, DatapathError> {
    let failed = |error: MapError| DatapathError::strange_pin(path, &error);
    let info = MapInfo::from_pin(path).map_err(failed)?;
    let kind = info.map_type().map_err(failed)?;
    let found = (kind, info.max_entries(), info.map_flags());
    let sizes = (info.key_size() as usize, info.value_size() as usize);
    if found != (shape.kind, shape.entries, shape.flags) || sizes != (shape.key, shape.value) {
        let problem = format!(
            "a {kind:?} of {} entries with keys of {} and values of {} bytes, flags {:#x}",
            info.max_entries(),
            sizes.0,
            sizes.1,
            info.map_flags()
        );
        let path = path.to_owned();
        return Err(DatapathError::StrangePin { path, problem });
    }
    Ok(info.id())
}

#[cfg(test)]
mod tests {
    use std::io;

    use aya::sys::SyscallError;

    use super::*;

    fn failing_with(errno: i32) -> MapError {
        MapError::SyscallError(SyscallError {
            call: "bpf_map_update_elem",
            io_error: io::Error::from_raw_os_error(errno),
        })
    }

    #[test]
    fn an_insertion_that_outran_the_kernels_store_of_memory_is_tried_again() {
        let mut left = vec![
            Ok(()),
            Err(failing_with(libc::ENOMEM)),
            Err(failing_with(libc::ENOMEM)),
        ];
        insert_patiently(|| left.pop().unwrap()).unwrap();
        assert!(left.is_empty());
    }

    #[test]
    fn an_insertion_that_fails_otherwise_is_not_tried_again() {
        let mut left = vec![Ok(()), Err(failing_with(libc::ENOSPC))];
        assert!(insert_patiently(|| left.pop().unwrap()).is_err());
        assert_eq!(left.len(), 1);
    }
}
