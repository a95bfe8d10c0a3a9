//! Bounds-checked reads from the frame under judgement, in any of its fragments.

use core::arch::asm;

use aya_ebpf::{
    EbpfContext as _,
    helpers::generated::{bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};

/// One received frame, from its Ethernet header on.
pub(crate) struct Frame<'a> {
    ctx: &'a XdpContext,
    data: usize,
    data_end: usize,
    len: u64,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(crate) fn new(ctx: &'a XdpContext) -> Self {
        Self {
            ctx,
            data: ctx.data(),
            data_end: ctx.data_end(),
            // Read once: every packet is counted with its length, most of them twice.
            // SAFETY: the context is the one that the kernel passed to the program.
            len: unsafe { bpf_xdp_get_buff_len(ctx.ctx) },
        }
    }

    /// The context, for aya-log.
    #[inline(always)]
    pub(crate) fn ctx(&self) -> &'a XdpContext {
        self.ctx
    }

    /// Index of the interface that received the frame.
    #[inline(always)]
    pub(crate) fn interface(&self) -> u32 {
        self.ctx.ingress_ifindex() as u32
    }

    /// Length in bytes over all fragments.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Returns the `N` bytes at `offset`, or `None` if the frame ends before their end.
    ///
    /// Reads the first buffer directly. A driver may put few bytes into the first buffer, so the
    /// kernel copies a header that reaches into a fragment: it cannot hide there.
    #[inline(always)]
    pub(crate) fn read<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let start = self.data + offset;
        if start + N <= self.data_end {
            // SAFETY: the comparison above is what the verifier asks of a packet access, and a byte
            // array has no alignment.
            return Some(unsafe { *(start as *const [u8; N]) });
        }
        self.copy(offset)
    }

    /// Returns the big-endian `u16` at `offset`, or `None` as [`Self::read`] does.
    #[inline(always)]
    pub(crate) fn read_u16(&self, offset: usize) -> Option<u16> {
        self.read(offset).map(u16::from_be_bytes)
    }

    /// Returns the `N` bytes at `offset` in place, or `None` if the first buffer ends before their
    /// end.
    #[inline(always)]
    pub(crate) fn piece<const N: usize>(&self, offset: usize) -> Option<Piece<N>> {
        let start = self.data + offset;
        (start + N <= self.data_end).then_some(Piece { start })
    }

    /// As [`Self::read`], through a kernel helper: slower, but takes an offset without known
    /// bounds.
    #[inline(never)]
    pub(crate) fn copy<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: the destination is a stack array of the length that is passed; the kernel checks
        // offset and length against the frame.
        let error = unsafe {
            bpf_xdp_load_bytes(
                self.ctx.as_ptr().cast(),
                offset as u32,
                bytes.as_mut_ptr().cast(),
                N as u32,
            )
        };
        (error == 0).then_some(bytes)
    }
}

/// `N` bytes of the first buffer.
#[derive(Clone, Copy)]
pub(crate) struct Piece<const N: usize> {
    start: usize,
}

impl<const N: usize> Piece<N> {
    /// The byte at an offset.
    #[inline(always)]
    pub(crate) fn u8<const OFFSET: usize>(self) -> u8 {
        const { assert!(OFFSET < N) }
        // SAFETY: `Frame::piece` made the comparison that the verifier asks of a packet access.
        unsafe { *((self.start + OFFSET) as *const u8) }
    }
}

/// Reads an integer of a piece with one instruction. The compiler would load it byte by byte,
/// because it assumes no alignment.
macro_rules! number {
    ($number:ident) => {
        impl<const N: usize> Piece<N> {
            /// The integer at an offset, converted from network byte order.
            #[inline(always)]
            pub(crate) fn $number<const OFFSET: usize>(self) -> $number {
                const { assert!(OFFSET + size_of::<$number>() <= N) }
                let value: u64;
                // SAFETY: as in `u8`. An unaligned access is valid where the machine supports it.
                unsafe {
                    asm!(concat!("{value} = *(", stringify!($number), " *)({start} + {offset})"),
                        start = in(reg) self.start, value = out(reg) value,
                        offset = const OFFSET, options(nostack, readonly));
                }
                $number::from_be(value as $number)
            }
        }
    };
}

number!(u16);
number!(u32);
number!(u64);
