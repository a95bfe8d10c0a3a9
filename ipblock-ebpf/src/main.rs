//! ipblock's XDP program: judges every packet by its source address.
//!
//! One generation is this program with maps of its own, filled before it is put on a link. The
//! constants in `maps` are patched by the loader, so the verifier removes what a zone does not use.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]

mod account;
mod alert;
mod atomic;
mod bans;
mod classify;
mod essential;
mod frame;
mod hits;
mod layer4;
mod maps;
mod packet;
mod panic_off;
mod source;
mod tables;

use aya_ebpf::{bindings::xdp_action::XDP_PASS, macros::xdp, programs::XdpContext};
use ipblock_common::Outcome;

use crate::{
    classify::Judgement,
    frame::Frame,
    packet::{Packet, parse},
};

/// Parse, classify, account, verdict, which an emergency overrides.
#[xdp(frags)]
fn ipblock(ctx: XdpContext) -> u32 {
    let frame = Frame::new(&ctx);
    let judgement = match parse(&frame) {
        Packet::V4(header) => classify::judge(&frame, &header),
        Packet::V6(header) => classify::judge(&frame, &header),
        Packet::NonIp => Judgement::pass(Outcome::NonIp),
        Packet::Malformed(why) => classify::judge_malformed(&frame, why),
    };
    let judgement = if judgement.action != XDP_PASS && panic_off::is_on() {
        judgement.called_off()
    } else {
        judgement
    };
    account::total(&frame, judgement.outcome);
    judgement.action
}

/// A panic that the compiler could not prove unreachable ends in a loop that the verifier refuses.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// The helpers that the program calls are open to GPL-compatible programs alone.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
