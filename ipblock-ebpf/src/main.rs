//! ipblock's XDP program: judges every packet by its source address.
//!
//! A generation is this program with its own maps, which are filled before the program is attached.
//! The loader patches the constants in `maps`, so the verifier removes the code that a zone does
//! not use.
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

/// Parses, classifies and accounts the packet. `panic-off` overrides a drop.
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

/// The verifier refuses this loop if the compiler could not prove that no code panics.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

// The kernel offers the helpers that the program calls only to GPL-compatible programs.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
