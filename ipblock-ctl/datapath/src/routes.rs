//! Default gateways, read over rtnetlink.

use std::net::IpAddr;

use netlink_packet_route::{
    RouteNetlinkMessage,
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia},
};

use super::{error::DatapathError, netlink::dump};

/// A next hop of a default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultGateway {
    /// Its address; for IPv6, mostly a link-local one.
    pub address: IpAddr,
    /// Index of the interface to it, if the route has one.
    pub interface: Option<u32>,
}

/// Returns the gateways of every default route in the daemon's network namespace: all tables, both
/// families, and every hop of a multipath route.
pub fn default_gateways() -> Result<Vec<DefaultGateway>, DatapathError> {
    let request = RouteNetlinkMessage::GetRoute(RouteMessage::default());
    // The kernel cannot dump selected prefixes only. So this reads the full table of a router, and
    // keeps nothing but the default routes.
    let gateways = dump(&request, |message| match message {
        RouteNetlinkMessage::NewRoute(route) => Some(gateways_of(&route)).filter(|g| !g.is_empty()),
        _ => None,
    });
    Ok(gateways.map_err(DatapathError::Netlink)?.concat())
}

fn gateways_of(route: &RouteMessage) -> Vec<DefaultGateway> {
    let header = &route.header;
    if header.destination_prefix_length != 0 || header.kind != RouteType::Unicast {
        return Vec::new();
    }
    let own = route
        .attributes
        .iter()
        .find_map(|attribute| match attribute {
            RouteAttribute::Oif(index) => Some(*index),
            _ => None,
        });
    let mut gateways = Vec::new();
    for attribute in &route.attributes {
        if let Some(address) = address_of(attribute) {
            gateways.push(DefaultGateway {
                address,
                interface: own,
            });
        }
        if let RouteAttribute::MultiPath(hops) = attribute {
            for hop in hops {
                let addresses = hop.attributes.iter().filter_map(address_of);
                gateways.extend(addresses.map(|address| DefaultGateway {
                    address,
                    interface: Some(hop.interface_index),
                }));
            }
        }
    }
    gateways
}

fn address_of(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address))
        | RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Gateway(RouteAddress::Inet6(address))
        | RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(prefix_length: u8, attributes: Vec<RouteAttribute>) -> RouteMessage {
        let mut route = RouteMessage::default();
        route.header.kind = RouteType::Unicast;
        route.header.destination_prefix_length = prefix_length;
        route.attributes = attributes;
        route
    }

    fn via(address: &str) -> RouteAttribute {
        RouteAttribute::Gateway(address.parse::<IpAddr>().unwrap().into())
    }

    #[test]
    fn only_default_routes_have_a_default_gateway() {
        let attributes = vec![via("192.0.2.1"), RouteAttribute::Oif(3)];
        let found = gateways_of(&route(0, attributes.clone()));
        let wanted = DefaultGateway {
            address: "192.0.2.1".parse().unwrap(),
            interface: Some(3),
        };
        assert_eq!(found, [wanted]);
        assert!(gateways_of(&route(24, attributes)).is_empty());
        assert!(gateways_of(&route(0, vec![RouteAttribute::Oif(3)])).is_empty());
    }

    #[test]
    fn an_ipv4_route_may_go_over_an_ipv6_gateway() {
        let attribute = RouteAttribute::Via(RouteVia::Inet6("fe80::1".parse().unwrap()));
        let found = gateways_of(&route(0, vec![attribute]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address.to_string(), "fe80::1");
    }

    #[test]
    fn the_routes_of_this_namespace_can_be_read() {
        assert!(default_gateways().is_ok());
    }
}
