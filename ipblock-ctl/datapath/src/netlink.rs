//! Dumps over rtnetlink.

use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

/// Dumps the daemon's network namespace and applies `keep` to each message. Repeats the dump if the
/// kernel reports a change meanwhile, because an object may be missing then.
pub(super) fn dump<T>(
    request: &RouteNetlinkMessage,
    keep: impl Fn(RouteNetlinkMessage) -> Option<T>,
) -> io::Result<Vec<T>> {
    const TRIES: u32 = 5;
    for _ in 1..TRIES {
        let (kept, whole) = dump_once(request, &keep)?;
        if whole {
            return Ok(kept);
        }
    }
    Ok(dump_once(request, &keep)?.0)
}

/// Returns the kept messages, and whether nothing changed during the dump.
fn dump_once<T>(
    request: &RouteNetlinkMessage,
    keep: impl Fn(RouteNetlinkMessage) -> Option<T>,
) -> io::Result<(Vec<T>, bool)> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut request = NetlinkMessage::new(header, NetlinkPayload::from(request.clone()));
    request.finalize();
    let mut bytes = vec![0; request.buffer_len()];
    request.serialize(&mut bytes);
    socket.send(&bytes, 0)?;

    let mut kept = Vec::new();
    let mut whole = true;
    loop {
        let (datagram, _sender) = socket.recv_from_full()?;
        let mut rest = datagram.as_slice();
        while let Some(length) = message_length(rest) {
            // A message that cannot be parsed (a device with an unusual alias) hides one device,
            // not all.
            if let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest) {
                whole &= message.header.flags & NLM_F_DUMP_INTR == 0;
                match message.payload {
                    NetlinkPayload::InnerMessage(message) => kept.extend(keep(message)),
                    NetlinkPayload::Done(done) if done.code < 0 => {
                        return Err(io::Error::from_raw_os_error(-done.code));
                    }
                    NetlinkPayload::Done(_) => return Ok((kept, whole)),
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    _ => {}
                }
            }
            rest = rest.get(length..).unwrap_or_default();
        }
    }
}

/// Returns the length of the first message with its padding, or `None` if there is none.
pub(super) fn message_length(messages: &[u8]) -> Option<usize> {
    const HEADER: usize = 16;
    const ALIGNMENT: usize = 4;
    let length = messages
        .first_chunk::<4>()
        .copied()
        .map(u32::from_ne_bytes)?;
    let length = usize::try_from(length).ok()?;
    (length >= HEADER).then(|| length.next_multiple_of(ALIGNMENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_their_padded_length() {
        let mut message = vec![0; 20];
        message[..4].copy_from_slice(&18_u32.to_ne_bytes());
        assert_eq!(message_length(&message), Some(20));
        assert_eq!(message_length(&[]), None);
        assert_eq!(message_length(&[0; 16]), None);
    }
}
