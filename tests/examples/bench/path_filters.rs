//! The filters of the whole path, each in force on an interface.

use std::{
    fmt::Write as _,
    io::Write as _,
    os::fd::{AsFd as _, OwnedFd},
    process::Command,
};

use anyhow::Result;
use ipblock_datapath::Generation;
use ipblock_datapath::Lookup;
use ipblock_policy::compile::CompiledZone;
use ipblock_tests::{End, bpf};
use ipnet::IpNet;
use nix::net::if_::if_nametoindex;
use tempfile::NamedTempFile;

use crate::judging::{
    traffic::Traffic,
    variant::{Workshop, judged},
};

const XDP_DROP: i32 = 1;
const XDP_PASS: i32 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// Frames go up the stack.
    None,
    /// A program that drops everything.
    XdpDrop,
    /// A program that passes everything.
    XdpPass,
    Ipblock,
    /// nftables, netdev ingress, a set of single addresses.
    NftHash,
    /// The same with a set of ranges.
    NftInterval,
    /// iptables, raw table, and an ipset of prefixes.
    Ipset,
}

/// Keeps a filter in force, if the namespace does not.
pub(crate) struct InForce {
    _link: Option<OwnedFd>,
    generation: Option<Generation>,
}

impl Filter {
    pub(crate) const ALL: [Self; 7] = [
        Self::None,
        Self::XdpDrop,
        Self::XdpPass,
        Self::Ipblock,
        Self::NftHash,
        Self::NftInterval,
        Self::Ipset,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::XdpDrop => "xdp-drop",
            Self::XdpPass => "xdp-pass",
            Self::Ipblock => "ipblock",
            Self::NftHash => "nft-hash",
            Self::NftInterval => "nft-interval",
            Self::Ipset => "ipset",
        }
    }

    /// Returns why it cannot be measured here.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let runs = |program| Command::new(program).arg("--version").output().is_ok();
        match self {
            Self::NftHash | Self::NftInterval if !runs("nft") => {
                Some("no nft\nhint: apt-get install nftables")
            }
            Self::Ipset if !runs("ipset") || !runs("iptables") => {
                Some("no ipset or no iptables\nhint: apt-get install ipset iptables")
            }
            _ => None,
        }
    }

    /// Whether it is neither ipblock nor its reference in XDP.
    pub(crate) fn is_of_others(self) -> bool {
        matches!(self, Self::NftHash | Self::NftInterval | Self::Ipset)
    }

    /// Returns the traffic for it.
    pub(crate) fn traffic(self) -> &'static [Traffic] {
        match self {
            // It treats all traffic the same.
            Self::XdpDrop => &[Traffic::Attack],
            _ => &Traffic::BOTH,
        }
    }

    pub(crate) fn delivers(self, traffic: Traffic) -> bool {
        match self {
            Self::None | Self::XdpPass => true,
            Self::XdpDrop => false,
            Self::Ipblock | Self::NftHash | Self::NftInterval | Self::Ipset => {
                traffic == Traffic::Clean
            }
        }
    }

    pub(crate) fn put_in_force(
        self,
        host: &End,
        workshop: &mut Workshop,
        zone: &CompiledZone,
        hosts: &[IpNet],
    ) -> Result<InForce> {
        let interface = &host.interface;
        let mut generation = None;
        let program = match self {
            Self::None => None,
            Self::XdpDrop => Some(bpf::always(XDP_DROP)?),
            Self::XdpPass => Some(bpf::always(XDP_PASS)?),
            Self::Ipblock => {
                let built = workshop.build(zone, Lookup::Tables)?;
                let program = workshop.program(&built)?;
                generation = Some(built);
                Some(program)
            }
            Self::NftHash => {
                nft(host, &nft_set(interface, "", hosts)?)?;
                None
            }
            Self::NftInterval => {
                nft(host, &nft_set(interface, "flags interval; ", hosts)?)?;
                None
            }
            Self::Ipset => {
                ipset(host, hosts)?;
                None
            }
        };
        let attach = |program: OwnedFd| {
            host.netns.enter(|| {
                let index = if_nametoindex(interface.as_str())?;
                bpf::attach(program.as_fd(), index)
            })
        };
        Ok(InForce {
            _link: program.map(attach).transpose()?,
            generation,
        })
    }
}

impl InForce {
    /// Returns how many packets ipblock counted correctly; 0 for others.
    pub(crate) fn judged(&self, traffic: Traffic) -> Result<u64> {
        let Some(generation) = &self.generation else {
            return Ok(0);
        };
        Ok(judged(&generation.counts()?.totals, traffic).0)
    }
}

fn nft_set(interface: &str, flags: &str, hosts: &[IpNet]) -> Result<String> {
    let mut text =
        format!("table netdev filter {{\nset blocked {{ type ipv4_addr; {flags}elements = {{\n");
    for host in hosts {
        writeln!(text, "{},", host.addr())?;
    }
    write!(
        text,
        "}} }}\nchain ingress {{ type filter hook ingress device {interface} priority 0;\n\
         ip saddr @blocked drop\n}}\n}}\n"
    )?;
    Ok(text)
}

fn nft(host: &End, text: &str) -> Result<()> {
    let file = file(text)?;
    host.netns
        .run(["nft", "-f", &file.path().display().to_string()])?;
    Ok(())
}

fn ipset(host: &End, hosts: &[IpNet]) -> Result<()> {
    let mut text = String::from("create blocked hash:net maxelem 1048576\n");
    for address in hosts {
        writeln!(text, "add blocked {}", address.addr())?;
    }
    let file = file(&text)?;
    let path = file.path().display().to_string();
    host.netns.run(["ipset", "-file", &path, "restore"])?;
    host.netns
        .run("iptables -t raw -A PREROUTING -m set --match-set blocked src -j DROP".split(' '))?;
    Ok(())
}

fn file(text: &str) -> Result<NamedTempFile> {
    let mut file = NamedTempFile::new()?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}
