use etherparse::{NetHeaders, PacketHeaders, TransportHeader};

use super::*;

#[test]
fn an_independent_parser_reads_what_was_composed() {
    let frame = Frame::carrying(
        &Ipv4::from("198.51.100.7")
            .options(2)
            .with(Payload::udp(67, 68).marked(5)),
    )
    .tagged(&[STAG, CTAG]);
    let packet = PacketHeaders::from_ethernet_slice(frame.bytes()).unwrap();
    let vlan_ids: Vec<u16> = packet.vlan_ids().iter().map(|id| id.value()).collect();
    assert_eq!(vlan_ids, [101, 102]);
    let Some(NetHeaders::Ipv4(ip, _)) = &packet.net else {
        panic!("not IPv4: {packet:?}");
    };
    assert_eq!(ip.source, [198, 51, 100, 7]);
    assert_eq!(ip.header_checksum, ip.calc_header_checksum());
    let Some(TransportHeader::Udp(udp)) = &packet.transport else {
        panic!("not UDP: {packet:?}");
    };
    let payload = packet.payload.slice();
    assert_eq!(udp.checksum, udp.calc_checksum_ipv4(ip, payload).unwrap());
    assert_eq!(marker_in(frame.bytes()), Some(5));
}

#[test]
fn ipv6_extension_headers_lead_to_the_payload() {
    let frame = Frame::carrying(
        &Ipv6::from("2001:db8::7")
            .extensions(&[
                Extension::HopByHop,
                Extension::Routing,
                Extension::DestinationOptions,
                Extension::Authentication,
            ])
            .with(Payload::icmpv6(128)),
    );
    let packet = PacketHeaders::from_ethernet_slice(frame.bytes()).unwrap();
    let Some(NetHeaders::Ipv6(ip, _)) = &packet.net else {
        panic!("not IPv6: {packet:?}");
    };
    let Some(TransportHeader::Icmpv6(icmp)) = &packet.transport else {
        panic!("not ICMPv6: {packet:?}");
    };
    let payload = packet.payload.slice();
    let expected = icmp
        .icmp_type
        .calc_checksum(ip.source, ip.destination, payload)
        .unwrap();
    assert_eq!(icmp.checksum, expected);
}

#[test]
fn a_frame_without_a_marker_has_none() {
    let frame = Frame::carrying(&Ipv6::from("2001:db8::7")).padded(200);
    assert_eq!(marker_in(frame.bytes()), None);
    assert_eq!(marker_in(&frame.truncated(20).bytes()[14..]), None);
}
