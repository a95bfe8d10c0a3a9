//! Array maps, mapped into the memory of this process: fast to write, and word by word while
//! programs read.

use std::{
    ffi::c_void,
    io,
    marker::PhantomData,
    os::fd::{AsRawFd as _, BorrowedFd},
    ptr::NonNull,
    slice,
    sync::atomic::AtomicU64,
};

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A mapped array map.
pub(super) struct MappedArray<T> {
    start: NonNull<c_void>,
    bytes: usize,
    element: PhantomData<T>,
}

// SAFETY: the memory belongs to the kernel's map, and any thread may access it.
unsafe impl<T: Sync> Send for MappedArray<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for MappedArray<T> {}

/// Writes elements from index 0 into a map that no program uses yet.
pub(super) fn fill<T: IntoBytes + Immutable>(
    map: BorrowedFd<'_>,
    elements: &[T],
) -> io::Result<()> {
    let bytes = elements.as_bytes();
    if bytes.is_empty() {
        return Ok(());
    }
    let mapped = MappedArray::<u8>::new(map, bytes.len(), libc::PROT_WRITE)?;
    // SAFETY: the mapping has this length, and this process alone has a reference to it.
    unsafe {
        mapped
            .start
            .cast::<u8>()
            .copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len());
    }
    Ok(())
}

impl<T> MappedArray<T> {
    fn new(map: BorrowedFd<'_>, bytes: usize, protection: libc::c_int) -> io::Result<Self> {
        let anywhere = std::ptr::null_mut();
        // SAFETY: a new mapping, so no reference points into it. The kernel refuses one that is
        // longer than the map.
        let start = unsafe {
            libc::mmap(
                anywhere,
                bytes,
                protection,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                0,
            )
        };
        match NonNull::new(start) {
            Some(start) if start.as_ptr() != libc::MAP_FAILED => Ok(Self {
                start,
                bytes,
                element: PhantomData,
            }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl<T: FromBytes + Immutable> MappedArray<T> {
    /// Maps `elements` elements of a map that is not written any more. `T` must have the size of an
    /// element, which must be a multiple of 8 bytes, because the kernel rounds it up.
    pub(super) fn of_finished(map: BorrowedFd<'_>, elements: u32) -> io::Result<Self> {
        let bytes = usize::try_from(elements).unwrap_or(usize::MAX) * size_of::<T>();
        Self::new(map, bytes, libc::PROT_READ)
    }

    /// Returns all elements.
    pub(super) fn elements(&self) -> &[T] {
        // SAFETY: the mapping has this length, lives as long as `self`, is aligned to a page,
        // contains only bytes that are a valid `T`, and is not written any more.
        unsafe { slice::from_raw_parts(self.start.cast().as_ptr(), self.bytes / size_of::<T>()) }
    }
}

impl MappedArray<AtomicU64> {
    /// Maps `words` words of a map that programs read meanwhile.
    pub(super) fn of_words(map: BorrowedFd<'_>, words: usize) -> io::Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        Self::new(map, words * size_of::<AtomicU64>(), protection)
    }

    /// Returns all words.
    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has this length, lives as long as `self` and is aligned to a page.
        // All bytes are valid numbers, and atomics allow concurrent writes.
        unsafe { slice::from_raw_parts(self.start.cast().as_ptr(), self.bytes / 8) }
    }
}

impl<T> Drop for MappedArray<T> {
    fn drop(&mut self) {
        // SAFETY: `new` made this mapping; references into it end with `self`.
        unsafe { libc::munmap(self.start.as_ptr(), self.bytes) };
    }
}
