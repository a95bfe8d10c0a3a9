//! Builds the tables in front of the tries from a compiled zone. It is pure, without kernel calls.
//!
//! [`ipblock_common::lookup`], which reads the tables, documents their meaning.

mod filter;
mod hosts;
mod nets;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use ipblock_common::{
    ClassId,
    class::NO_CLASS,
    for_each_table,
    lookup::{
        self, Tables,
        layout::Layout,
        nets::{self as walk, ASK_TRIE, LONGEST_V6},
    },
};
use ipblock_policy::compile::CompiledZone;
use ipnet::{Ipv4Net, Ipv6Net};

use self::{
    hosts::Hashed,
    nets::{Net, Nets, boundaries, class_at},
};

macro_rules! declare {
    ($($(#[$doc:meta])* $field:ident: $map:ident of $element:ty,)*) => {
        /// The content of all tables of a generation. An unused table is empty.
        #[derive(Debug, Default)]
        pub struct TableImage {
            /// Sizes and constants.
            pub layout: Layout,
            $($(#[$doc])* pub $field: Vec<$element>,)*
            /// Entries of the IPv6 trie: nets longer than /64, and the rest of the /64s that
            /// contain them.
            pub trie_v6: Vec<(Ipv6Net, ClassId)>,
        }

        impl TableImage {
            /// Returns the tables for a lookup.
            #[must_use]
            pub fn view(&self) -> TableView<'_> {
                TableView {
                    layout: &self.layout,
                    $($field: &self.$field,)*
                }
            }
        }

        /// Tables in any memory.
        #[derive(Clone, Copy, Debug)]
        pub struct TableView<'a> {
            /// Sizes and constants.
            pub layout: &'a Layout,
            $($(#[$doc])* pub $field: &'a [$element],)*
        }

        impl Tables for TableView<'_> {
            fn layout(&self) -> &Layout {
                self.layout
            }

            $(
                fn $field(&self, index: u32) -> Option<&$element> {
                    self.$field.get(usize::try_from(index).ok()?)
                }
            )*

            fn descend(&self, value: u32, number: u32) -> ClassId {
                walk::descend(self, value, number)
            }
        }
    };
}
for_each_table!(declare);

impl TableImage {
    /// Builds all tables. An attacker who does not know `seed` cannot choose addresses that make
    /// them slow.
    #[must_use]
    pub fn build(zone: &CompiledZone, seed: u64) -> Self {
        let v4 = FamilyV4::new(&zone.ipv4);
        let v6 = FamilyV6::new(&zone.ipv6);
        let short_v6 = nets::of_whole_32s(&v6.boundaries);
        let nets = Nets::build(&v4.boundaries, &short_v6, &v6.boundaries);
        let hashed = Hashed::build(&v4.hosts, &v6.hosts, &nets.doors, seed);
        let (filter_v4, filter_v4_drop) = filter::build_v4(
            &v4.hosts,
            &v4.boundaries,
            nets.roots_leading_to_lines(),
            hashed.seed,
        );
        let doors = nets.doors.iter().map(|door| door.tag);
        let (filter_v6, knows_short_v6) =
            filter::build_v6(&v6.hosts, doors, &short_v6, hashed.seed);
        Self {
            layout: Layout {
                seed: hashed.seed,
                buckets_v4: hashed.hosts_v4.buckets,
                buckets_v6: hashed.hosts_v6.buckets,
                doors: hashed.doors.buckets,
                filter_v4_shift: filter_v4.shift,
                filter_v4_drop,
                filter_v6_shift: filter_v6.shift,
                has_tables: 1,
                has_nets_v4: (!v4.boundaries.is_empty()).into(),
                has_short_v6: (!short_v6.is_empty()).into(),
                filters_short_v6: knows_short_v6.into(),
                padding: [0; 4],
            },
            filter_v4: filter_v4.words,
            filter_v6: filter_v6.words,
            hosts_v4: hashed.hosts_v4.table,
            hosts_v6: hashed.hosts_v6.table,
            net_roots: nets.roots,
            net_lines: nets.lines,
            net_doors: hashed.doors.table,
            trie_v6: v6.trie,
        }
    }
}

/// IPv4 entries by type of lookup.
struct FamilyV4 {
    hosts: Vec<(u32, ClassId)>,
    boundaries: Vec<(u64, ClassId)>,
}

impl FamilyV4 {
    fn new(entries: &[(Ipv4Net, ClassId)]) -> Self {
        let (mut hosts, mut nets) = (Vec::new(), Vec::new());
        for (net, class) in entries {
            let address = net.network().to_bits();
            if net.prefix_len() == 32 {
                hosts.push((address, *class));
            } else {
                nets.push(Net {
                    key: u64::from(address) << 32,
                    len: net.prefix_len(),
                    class: *class,
                });
            }
        }
        let mut found = Self {
            hosts,
            boundaries: boundaries(&nets),
        };
        found.settle_small_nets();
        found
    }

    /// Moves small nets to the hosts. Among many hosts some are neighbours, which the compiler has
    /// merged into a net. Without any nets, a lookup does not have to search for nets.
    fn settle_small_nets(&mut self) {
        let most = self.hosts.len() / 8;
        let mut more = Vec::new();
        for (run, class) in nets::held(&self.boundaries, 32) {
            let len = usize::try_from(run.end() - run.start()).unwrap_or(usize::MAX);
            if len >= most - more.len() {
                return;
            }
            more.extend(run.map(|address| (address, class)));
        }
        let of = |(address, _): &(u32, ClassId)| *address;
        more.retain(|host| self.hosts.binary_search_by_key(&of(host), of).is_err());
        self.hosts.extend(more);
        self.boundaries.clear();
    }
}

/// IPv6 entries by type of lookup.
struct FamilyV6 {
    hosts: Vec<([u64; 2], ClassId)>,
    boundaries: Vec<(u64, ClassId)>,
    trie: Vec<(Ipv6Net, ClassId)>,
}

impl FamilyV6 {
    fn new(entries: &[(Ipv6Net, ClassId)]) -> Self {
        let (mut hosts, mut nets, mut trie) = (Vec::new(), Vec::new(), Vec::new());
        for (net, class) in entries {
            let [upper, lower] = halves(net);
            if net.prefix_len() == 128 {
                hosts.push(([upper, lower], *class));
            } else if net.prefix_len() <= LONGEST_V6 {
                nets.push(Net {
                    key: upper,
                    len: net.prefix_len(),
                    class: *class,
                });
            } else {
                trie.push((*net, *class));
            }
        }
        let boundaries = Self::hand_over(nets, &mut trie);
        Self {
            hosts,
            boundaries,
            trie,
        }
    }

    /// Delegates each /64 with longer nets to the trie, together with the class of the rest of that
    /// /64.
    fn hand_over(mut nets: Vec<Net>, trie: &mut Vec<(Ipv6Net, ClassId)>) -> Vec<(u64, ClassId)> {
        let of_nets = boundaries(&nets);
        let mut around: Vec<Ipv6Net> = trie
            .iter()
            .filter_map(|(net, _)| Ipv6Net::new(net.network(), LONGEST_V6).ok())
            .map(|net| net.trunc())
            .collect();
        around.dedup();
        if around.is_empty() {
            return of_nets;
        }
        for net in around {
            let [key, _] = halves(&net);
            let class = class_at(&of_nets, key);
            if class != NO_CLASS {
                trie.push((net, class));
            }
            nets.push(Net {
                key,
                len: LONGEST_V6,
                class: ASK_TRIE,
            });
        }
        // The sort is stable: this entry comes after a rule's entry for the same /64, so it wins.
        nets.sort_by_key(|net| (net.key, net.len));
        boundaries(&nets)
    }
}

/// Returns the network address as two numbers.
fn halves(net: &Ipv6Net) -> [u64; 2] {
    let bits = net.network().to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "the halves")]
    let halves = [(bits >> 64) as u64, bits as u64];
    halves
}

impl TableView<'_> {
    /// Returns the class in the tables for an address; [`ASK_TRIE`] if the IPv6 trie decides.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> ClassId {
        match address {
            IpAddr::V4(address) => lookup::find_v4(self, address.to_bits()),
            IpAddr::V6(address) => {
                let [upper, lower] = halves(&address.into());
                lookup::find_v6(self, upper, lower)
            }
        }
    }
}
