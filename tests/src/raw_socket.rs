//! Sends and receives whole Ethernet frames in a namespace, over `AF_PACKET`.

use std::{
    collections::BTreeMap,
    io::{self, IoSlice},
    mem::{size_of, zeroed},
    os::fd::{AsRawFd as _, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use nix::{
    errno::Errno,
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, LinkAddr, MsgFlags, MultiHeaders, SockFlag, SockProtocol, SockType,
            recv, send, sendmmsg, setsockopt, socket, sockopt,
        },
        time::{TimeVal, TimeValLike as _},
    },
};

use crate::{
    Netns,
    packet::{Frame, marker_in},
    wait::{patience, wait_for},
};

/// Frames per call in a flood.
const BATCH: usize = 64;
/// Size of the receive buffer in bytes.
const RECEIVE_BUFFER: usize = 64 << 20;
/// Maximum length of a frame, including aggregates by offloads.
const LONGEST_FRAME: usize = 1 << 16;
/// How soon a receiver notices that it should stop, in milliseconds.
const STOP_LATENCY: i64 = 20;

/// Sends frames out of one interface, exactly as they are.
#[derive(Debug)]
pub struct FrameSender {
    socket: OwnedFd,
}

impl FrameSender {
    /// A sender on `interface` of `netns`.
    pub fn new(netns: &Netns, interface: &str) -> anyhow::Result<Self> {
        // No protocol: a socket that only sends need not see what arrives.
        let socket = packet_socket(netns, interface, None)?;
        Ok(Self { socket })
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// `EMSGSIZE` when it is longer than the interface's MTU allows, link-layer header and one VLAN
    /// tag aside.
    pub fn send(&self, frame: &Frame) -> anyhow::Result<()> {
        let bytes = frame.bytes();
        let sent = send(self.socket.as_raw_fd(), bytes, MsgFlags::empty())
            .with_context(|| format!("send a frame of {} bytes", bytes.len()))?;
        ensure!(sent == bytes.len(), "sent {sent} of {} bytes", bytes.len());
        Ok(())
    }

    /// Sends the frames repeatedly, as fast as the kernel accepts them, until `count` are sent or
    /// `time` has passed (multiplied by `IPBLOCK_PATIENCE`). Returns how many were sent. The n-th
    /// sent frame (from 0) is the one at index n modulo the number of frames.
    pub fn flood(&self, frames: &[Frame], count: u64, time: Duration) -> anyhow::Result<u64> {
        ensure!(!frames.is_empty(), "no frames to flood with");
        let end = Instant::now() + time * patience();
        let mut headers = MultiHeaders::<LinkAddr>::preallocate(BATCH, None);
        let mut queue = frames.iter().cycle();
        let mut sent: u64 = 0;
        let mut batch: Vec<[IoSlice<'_>; 1]> = Vec::with_capacity(BATCH);
        while sent < count && Instant::now() < end {
            let wanted = usize::try_from(count - sent).unwrap_or(BATCH).min(BATCH);
            while batch.len() < wanted {
                batch.extend(queue.next().map(|frame| [IoSlice::new(frame.bytes())]));
            }
            let taken = sendmmsg(
                self.socket.as_raw_fd(),
                &mut headers,
                &batch,
                [const { None }; BATCH],
                [],
                MsgFlags::empty(),
            );
            let taken = match taken {
                Ok(results) => results.count(),
                // The device's queue is full.
                Err(Errno::ENOBUFS | Errno::EAGAIN) => 0,
                Err(error) => return Err(error).context("flood"),
            };
            // Frames that were not accepted stay at the head, so that the order is kept.
            batch.drain(..taken);
            sent += taken as u64;
        }
        Ok(sent)
    }
}

/// Counts marked frames that reach the stack on one interface, by their marker.
///
/// A thread reads from the start, so that floods do not overrun the socket.
#[derive(Debug)]
pub struct FrameReceiver {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    socket: OwnedFd,
    stop: AtomicBool,
    arrived: Mutex<Arrived>,
}

#[derive(Debug, Default)]
struct Arrived {
    marked: BTreeMap<u64, u64>,
    unmarked: u64,
}

impl FrameReceiver {
    /// A receiver on `interface` of `netns`: sees what comes in, after XDP and before the IP stack.
    pub fn new(netns: &Netns, interface: &str) -> anyhow::Result<Self> {
        let socket = packet_socket(netns, interface, Some(SockProtocol::EthAll))?;
        setsockopt(&socket, sockopt::RcvBufForce, &RECEIVE_BUFFER)?;
        setsockopt(
            &socket,
            sockopt::ReceiveTimeout,
            &TimeVal::milliseconds(STOP_LATENCY),
        )?;
        let shared = Arc::new(Shared {
            socket,
            stop: AtomicBool::new(false),
            arrived: Mutex::default(),
        });
        let reader = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.read()
        });
        Ok(Self {
            shared,
            reader: Some(reader),
        })
    }

    /// How many frames with this marker have arrived.
    #[must_use]
    pub fn count(&self, marker: u64) -> u64 {
        let arrived = self.shared.arrived();
        arrived.marked.get(&marker).copied().unwrap_or(0)
    }

    /// Every marker that arrived, and how often.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<u64, u64> {
        self.shared.arrived().marked.clone()
    }

    /// Frames without a marker: what the test did not send.
    #[must_use]
    pub fn unmarked(&self) -> u64 {
        self.shared.arrived().unmarked
    }

    /// Waits until `count` frames with this marker have arrived. To learn that others did *not*
    /// arrive, send them first and then one that must, on the same thread, and wait for that one.
    pub fn wait_for_count(
        &self,
        marker: u64,
        count: u64,
        deadline: Duration,
    ) -> anyhow::Result<()> {
        wait_for(
            deadline,
            &format!("{count} frames with marker {marker}"),
            || (self.count(marker) >= count).then_some(()),
        )
        .with_context(|| format!("arrived so far, by marker: {:?}", self.counts()))
    }

    /// Returns the frames since the last call for which the socket had no room: if it is not 0, a
    /// count proves nothing.
    pub fn lost(&self) -> anyhow::Result<u32> {
        // SAFETY: tpacket_stats is plain integers, for which zero is a value.
        let mut statistics: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = socklen(size_of::<libc::tpacket_stats>());
        // SAFETY: pointer and length describe `statistics`, which is what PACKET_STATISTICS fills.
        let error = unsafe {
            libc::getsockopt(
                self.shared.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        };
        if error < 0 {
            return Err(io::Error::last_os_error()).context("PACKET_STATISTICS");
        }
        Ok(statistics.tp_drops)
    }
}

impl Drop for FrameReceiver {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A reader that panicked has printed its message.
            let _ = reader.join();
        }
    }
}

impl Shared {
    fn arrived(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) {
        let mut buffer = vec![0; LONGEST_FRAME];
        while !self.stop.load(Ordering::Relaxed) {
            match recv(self.socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(length) => self.note(buffer.get(..length).unwrap_or_default()),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                // The interface was disabled or removed: no more frames arrive.
                Err(Errno::ENETDOWN | Errno::ENODEV | Errno::ENXIO) => {
                    thread::sleep(Duration::from_millis(STOP_LATENCY.cast_unsigned()));
                }
                Err(error) => panic!("receive frames: {error}"),
            }
        }
    }

    fn note(&self, frame: &[u8]) {
        let mut arrived = self.arrived();
        match marker_in(frame) {
            Some(marker) => *arrived.marked.entry(marker).or_default() += 1,
            None => arrived.unmarked += 1,
        }
    }
}

/// A raw packet socket bound to an interface; frames that leave are not seen.
fn packet_socket(
    netns: &Netns,
    interface: &str,
    protocol: Option<SockProtocol>,
) -> anyhow::Result<OwnedFd> {
    netns
        .enter(|| {
            let socket = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                // Nothing is received before the socket is bound to its interface.
                None,
            )?;
            ignore_outgoing(&socket)?;
            // SAFETY: sockaddr_ll is plain integers, for which zero is a value.
            let mut address: libc::sockaddr_ll = unsafe { zeroed() };
            address.sll_family = libc::AF_PACKET.try_into()?;
            // SockProtocol keeps it in network byte order, as in sockaddr_ll.
            address.sll_protocol = protocol.map_or(0, |protocol| protocol as u16);
            address.sll_ifindex = if_nametoindex(interface)?.try_into()?;
            // SAFETY: pointer and length describe `address`, a sockaddr_ll for a packet socket.
            let error = unsafe {
                libc::bind(
                    socket.as_raw_fd(),
                    (&raw const address).cast(),
                    socklen(size_of::<libc::sockaddr_ll>()),
                )
            };
            if error < 0 {
                return Err(io::Error::last_os_error().into());
            }
            anyhow::Ok(socket)
        })
        .with_context(|| format!("packet socket on {interface} in {}", netns.name()))
}

fn ignore_outgoing(socket: &OwnedFd) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: pointer and length describe an int, which PACKET_IGNORE_OUTGOING takes.
    let error = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_IGNORE_OUTGOING,
            (&raw const on).cast(),
            socklen(size_of::<libc::c_int>()),
        )
    };
    if error < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The size of a C type as the socket calls take it; none comes near the limit.
fn socklen(size: usize) -> libc::socklen_t {
    libc::socklen_t::try_from(size).unwrap_or(libc::socklen_t::MAX)
}
