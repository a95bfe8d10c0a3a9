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
            // Every packet is counted with its length, most of them twice: asked for once.
            // SAFETY: the context is the one that the kernel handed to the program.
            len: unsafe { bpf_xdp_get_buff_len(ctx.ctx) },
        }
    }

    /// The context, for aya-log.
    #[inline(always)]
    pub(crate) fn ctx(&self) -> &'a XdpContext {
        self.ctx
    }

    /// Index of the interface that the frame came in by.
    #[inline(always)]
    pub(crate) fn interface(&self) -> u32 {
        self.ctx.ingress_ifindex() as u32
    }

    /// Length in bytes over all fragments.
    #[inline(always)]
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The `N` bytes at `offset`, or `None` when the frame ends before them.
    ///
    /// The first buffer is read directly. A header that reaches into a fragment (a driver may put
    /// few bytes into the first buffer) is copied out by the kernel, so that it cannot hide there.
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

    /// The number of two bytes at `offset`, in network byte order; `None` as for [`Self::read`].
    #[inline(always)]
    pub(crate) fn read_u16(&self, offset: usize) -> Option<u16> {
        self.read(offset).map(u16::from_be_bytes)
    }

    /// The `N` bytes at `offset` where they are, or `None` when the first buffer ends before them.
    #[inline(always)]
    pub(crate) fn piece<const N: usize>(&self, offset: usize) -> Option<Piece<N>> {
        let start = self.data + offset;
        (start + N <= self.data_end).then_some(Piece { start })
    }

    /// As [`Self::read`], by the kernel: slower, and for any offset that the verifier knows nothing of.
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

/// A number of a piece, by one instruction: the compiler knows of no alignment and would load byte by
/// byte.
macro_rules! number {
    ($number:ident) => {
        impl<const N: usize> Piece<N> {
            /// The number at an offset, in network byte order.
            #[inline(always)]
            pub(crate) fn $number<const OFFSET: usize>(self) -> $number {
                const { assert!(OFFSET + size_of::<$number>() <= N) }
                let value: u64;
                // SAFETY: as in `u8`; an access may be unaligned where the machine can do that.
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
