//! System calls that aya lacks, or wraps in a way that does not fit.
//!
//! aya's `Xdp::attach` falls back to netlink on any EINVAL. Its `attach_to_link` loses the link's
//! descriptor on an error, and it cannot report a link's interface. So this module creates, updates
//! and queries links with plain descriptors.

use std::{
    ffi::CString,
    io,
    marker::PhantomData,
    mem::{size_of, size_of_val},
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
    time::Duration,
};

use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

// Commands and constants of include/uapi/linux/bpf.h.
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_OBJ_PIN: libc::c_int = 6;
const BPF_OBJ_GET: libc::c_int = 7;
const BPF_OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const BPF_MAP_FREEZE: libc::c_int = 22;
const BPF_MAP_LOOKUP_BATCH: libc::c_int = 24;
const BPF_LINK_CREATE: libc::c_int = 28;
const BPF_LINK_UPDATE: libc::c_int = 29;
const BPF_LINK_DETACH: libc::c_int = 34;
const BPF_XDP: u32 = 37;
const BPF_TCX_INGRESS: u32 = 46;
/// In front of every other program there.
const BPF_F_BEFORE: u32 = 1 << 3;
const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
/// The time unit of a hold: about a second, and a power of two, so that a shift divides by it.
pub(super) const HOLD_TICK_NS: u64 = 1 << 30;
// Flags of include/uapi/linux/if_link.h.
pub(super) const XDP_FLAGS_SKB_MODE: u32 = 1 << 1;
pub(super) const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;
/// `MEMBARRIER_CMD_GLOBAL` of include/uapi/linux/membarrier.h.
const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct PathAttributes {
    path: u64,
    fd: u32,
    flags: u32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct InfoAttributes {
    fd: u32,
    info_len: u32,
    info: u64,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LinkCreateAttributes {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

/// The first fields of the attributes of `BPF_PROG_LOAD`.
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct ProgramLoadAttributes {
    kind: u32,
    instruction_count: u32,
    instructions: u64,
    license: u64,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LinkUpdateAttributes {
    link: u32,
    program: u32,
    flags: u32,
    old_program: u32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct LinkDetachAttributes {
    link: u32,
}

#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct MapFreezeAttributes {
    map: u32,
}

/// The first fields of `struct bpf_link_info`, with the union as an XDP link has it.
#[derive(Debug, FromZeros)]
#[repr(C)]
pub(super) struct LinkInfo {
    kind: u32,
    id: u32,
    /// Id of the program that the link runs.
    pub(super) program: u32,
    padding: u32,
    /// Index of the interface; 0 if it was removed.
    pub(super) interface: u32,
}

/// Calls bpf(2) with attributes that the kernel only reads.
fn bpf(command: libc::c_int, attributes: &(impl IntoBytes + Immutable)) -> io::Result<libc::c_int> {
    let bytes = attributes.as_bytes();
    // SAFETY: the kernel reads `size` bytes of the attributes, which live through the call. The
    // callers below guarantee that the pointers inside are valid.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, bytes.as_ptr(), size_of_val(bytes)) };
    match libc::c_int::try_from(result) {
        Ok(value) if value >= 0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

fn own(fd: libc::c_int) -> OwnedFd {
    // SAFETY: called with a descriptor that a successful bpf(2) has just returned, and that has no
    // other owner.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

#[expect(clippy::cast_sign_loss, reason = "an open descriptor is not negative")]
fn raw(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Opens a pinned object.
pub(super) fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let path = c_path(path)?;
    let attributes = PathAttributes {
        path: path.as_ptr().addr() as u64,
        fd: 0,
        flags: 0,
    };
    bpf(BPF_OBJ_GET, &attributes).map(own)
}

/// Pins an object; the path must not exist.
pub(super) fn pin(object: impl AsFd, path: &Path) -> io::Result<()> {
    let path = c_path(path)?;
    let attributes = PathAttributes {
        path: path.as_ptr().addr() as u64,
        fd: raw(object.as_fd()),
        flags: 0,
    };
    bpf(BPF_OBJ_PIN, &attributes).map(drop)
}

/// Prevents all further writes to a map from user space, permanently; programs can still write.
pub(super) fn freeze(map: impl AsFd) -> io::Result<()> {
    let attributes = MapFreezeAttributes {
        map: raw(map.as_fd()),
    };
    bpf(BPF_MAP_FREEZE, &attributes).map(drop)
}

/// Attaches a program by a link. The program is detached when its last descriptor or pin is
/// removed.
pub(super) fn create_xdp_link(
    program: impl AsFd,
    interface: u32,
    mode_flags: u32,
) -> io::Result<OwnedFd> {
    let attributes = LinkCreateAttributes {
        program: raw(program.as_fd()),
        interface,
        attach_type: BPF_XDP,
        flags: mode_flags,
    };
    bpf(BPF_LINK_CREATE, &attributes).map(own)
}

/// An instruction whose registers are all `r0` (`struct bpf_insn`).
#[derive(IntoBytes, Immutable)]
#[repr(C)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

impl Instruction {
    const fn new(code: u8, offset: i16, immediate: i32) -> Self {
        Self {
            code,
            registers: 0,
            offset,
            immediate,
        }
    }
}

/// Drops every incoming packet of an interface, after XDP and before the stack, while the link
/// lives and `CLOCK_BOOTTIME` is at most `until`, in units of [`HOLD_TICK_NS`]. The error is
/// `EINVAL` before Linux 6.6.
pub(super) fn drop_incoming(interface: u32, until: i32) -> io::Result<OwnedFd> {
    const BPF_FUNC_KTIME_GET_BOOT_NS: i32 = 125;
    const TC_ACT_SHOT: i32 = 2;
    /// Continues with the next program or the stack.
    const TCX_NEXT: i32 = -1;
    const CALL: u8 = 0x85;
    const SHIFT_RIGHT: u8 = 0x77;
    const JUMP_IF_GREATER: u8 = 0x25;
    const MOVE: u8 = 0xb7;
    const EXIT: u8 = 0x95;
    let instructions = [
        Instruction::new(CALL, 0, BPF_FUNC_KTIME_GET_BOOT_NS),
        Instruction::new(SHIFT_RIGHT, 0, HOLD_TICK_NS.ilog2().cast_signed()),
        Instruction::new(JUMP_IF_GREATER, 2, until),
        Instruction::new(MOVE, 0, TC_ACT_SHOT),
        Instruction::new(EXIT, 0, 0),
        Instruction::new(MOVE, 0, TCX_NEXT),
        Instruction::new(EXIT, 0, 0),
    ];
    let license = c"GPL";
    let load = ProgramLoadAttributes {
        kind: BPF_PROG_TYPE_SCHED_CLS,
        instruction_count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
        instructions: instructions.as_ptr().expose_provenance() as u64,
        license: license.as_ptr().expose_provenance() as u64,
    };
    let program = bpf(BPF_PROG_LOAD, &load).map(own)?;
    let attributes = LinkCreateAttributes {
        program: raw(program.as_fd()),
        interface,
        attach_type: BPF_TCX_INGRESS,
        flags: BPF_F_BEFORE,
    };
    bpf(BPF_LINK_CREATE, &attributes).map(own)
}

/// Replaces the program of a link: every packet is judged by the old or the new one.
pub(super) fn update_link(link: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let attributes = LinkUpdateAttributes {
        link: raw(link.as_fd()),
        program: raw(program.as_fd()),
        flags: 0,
        old_program: 0,
    };
    bpf(BPF_LINK_UPDATE, &attributes).map(drop)
}

/// Detaches a link's program from its interface at once. (If pin and descriptors are closed
/// instead, a callback of the kernel does it later.) The link stays, without effect.
pub(super) fn detach_link(link: impl AsFd) -> io::Result<()> {
    let attributes = LinkDetachAttributes {
        link: raw(link.as_fd()),
    };
    bpf(BPF_LINK_DETACH, &attributes).map(drop)
}

/// Returns the kernel's information about an XDP link.
pub(super) fn link_info(link: impl AsFd) -> io::Result<LinkInfo> {
    let mut info = LinkInfo::new_zeroed();
    fill_info(link, &mut info)?;
    Ok(info)
}

/// Reads the first fields of an object's info. `T` must match the type of the object.
fn fill_info<T: FromZeros>(object: impl AsFd, info: &mut T) -> io::Result<()> {
    let attributes = InfoAttributes {
        fd: raw(object.as_fd()),
        info_len: u32::try_from(size_of::<T>()).unwrap_or(u32::MAX),
        info: std::ptr::from_mut(info).expose_provenance() as u64,
    };
    bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes).map(drop)
}

/// The first fields of the info of any object.
#[derive(Debug, FromZeros)]
#[repr(C)]
struct ObjectInfo {
    kind: u32,
    id: u32,
}

/// Returns an object's id, which is unique among objects of its kind.
pub(super) fn object_id(object: impl AsFd) -> io::Result<u32> {
    let mut info = ObjectInfo::new_zeroed();
    fill_info(object, &mut info)?;
    Ok(info.id)
}

/// The first fields of `struct bpf_prog_info`.
#[derive(Debug, FromZeros)]
#[repr(C)]
struct ProgramInfo {
    kind: u32,
    id: u32,
    tag: [u8; 8],
    code_lengths: [u32; 2],
    codes: [u64; 2],
    load_time: u64,
    created_by: u32,
    map_count: u32,
    maps: u64,
}

/// Returns the ids of a program and of its maps. Queries by descriptor: by id, as aya does, needs
/// `CAP_SYS_ADMIN`.
pub(super) fn program_and_maps(program: impl AsFd) -> io::Result<(u32, Vec<u32>)> {
    let mut info = ProgramInfo::new_zeroed();
    fill_info(&program, &mut info)?;
    let count = info.map_count;
    let mut maps = vec![0_u32; usize::try_from(count).unwrap_or_default()];
    info = ProgramInfo::new_zeroed();
    info.map_count = count;
    info.maps = maps.as_mut_ptr().expose_provenance() as u64;
    fill_info(&program, &mut info)?;
    Ok((info.id, maps))
}

/// Attributes of `BPF_MAP_LOOKUP_BATCH`. The kernel writes `count`.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct BatchAttributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Maximum of entries per call; more than any bucket of a hash map contains.
const BATCH: usize = 4096;

/// All entries of a hash map, in batches of some thousands. The walk goes bucket by bucket: entries
/// that are added or removed meanwhile neither repeat others nor prevent its end.
pub(super) struct Batches<'a, K, V> {
    map: BorrowedFd<'a>,
    /// The next bucket; `None` before the first.
    position: Option<u32>,
    is_done: bool,
    entry: PhantomData<(K, V)>,
}

impl<'a, K, V> Batches<'a, K, V> {
    /// `K` and `V` must match the map's keys and values.
    pub(super) fn new(map: &'a OwnedFd) -> Self {
        Self {
            map: map.as_fd(),
            position: None,
            is_done: false,
            entry: PhantomData,
        }
    }
}

impl<K, V> Iterator for Batches<'_, K, V>
where
    K: FromZeros + FromBytes + Clone,
    V: FromZeros + FromBytes + Clone,
{
    type Item = io::Result<Vec<(K, V)>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_done {
            return None;
        }
        let mut keys = vec![K::new_zeroed(); BATCH];
        let mut values = vec![V::new_zeroed(); BATCH];
        let mut following = 0_u32;
        let mut attributes = BatchAttributes {
            in_batch: self.position.as_ref().map_or(0, |position| {
                std::ptr::from_ref(position).expose_provenance() as u64
            }),
            out_batch: std::ptr::from_mut(&mut following).expose_provenance() as u64,
            keys: keys.as_mut_ptr().expose_provenance() as u64,
            values: values.as_mut_ptr().expose_provenance() as u64,
            count: u32::try_from(BATCH).unwrap_or(u32::MAX),
            map: raw(self.map),
            element_flags: 0,
            flags: 0,
        };
        let size = size_of::<BatchAttributes>();
        let place = std::ptr::from_mut(&mut attributes);
        // SAFETY: the kernel reads and writes the attributes. It writes at most `count` keys and
        // values of the map's sizes, which are those of `K` and `V`, and a bucket number. All of it
        // lives through the call.
        let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_MAP_LOOKUP_BATCH, place, size) };
        if result < 0 {
            self.is_done = true;
            let error = io::Error::last_os_error();
            // The end of the map, with the rest of the entries.
            if error.raw_os_error() != Some(libc::ENOENT) {
                return Some(Err(error));
            }
        }
        self.position = Some(following);
        let count = usize::try_from(attributes.count).unwrap_or(0);
        Some(Ok(keys.into_iter().zip(values).take(count).collect()))
    }
}

/// Waits until every packet that was being judged at the time of the call is judged and counted.
///
/// `MEMBARRIER_CMD_GLOBAL` is a `synchronize_rcu()` (kernel/sched/membarrier.c), and XDP programs
/// run inside RCU read sections. With full dynticks the kernel refuses it; then this sleeps
/// instead.
pub fn settle() {
    const LONGER_THAN_ANY_POLL: Duration = Duration::from_millis(200);
    // SAFETY: the call takes no pointers.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result != 0 {
        std::thread::sleep(LONGER_THAN_ANY_POLL);
    }
}
