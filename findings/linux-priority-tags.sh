#!/usr/bin/env bash
# What: Linux removes any number of priority tags (802.1Q or 802.1ad, VLAN id 0) from a frame and
#   gives the IP packet inside to its own sockets. The host needs no VLAN device and no setting.
# Seen on: Linux 6.18 without CONFIG_VLAN_8021Q. The loop is `check_vlan_id` in
#   __netif_receive_skb_core (net/core/dev.c).
# Why it matters: the standard knows one priority tag. A program at the XDP or tc hook that wants the
#   addresses of the packet that the host will see has to skip tags in a loop, not one or two of them.
# Needs: root, iproute2, Python 3. It makes two network namespaces of its own and removes them.
# Expected output: "accepted" for 0, 1, 2, 3, 8 and 300 tags of either protocol; "refused" for tags of
#   VLAN id 5 (no device has it) and for 0x9100. Exit status 1 when the kernel does anything else.
set -euo pipefail

host="tags-host-$$" peer="tags-peer-$$"
clean_up() {
    ip netns del "$host" 2>/dev/null || true
    ip netns del "$peer" 2>/dev/null || true
}
trap clean_up EXIT
ip netns add "$host"
ip netns add "$peer"
ip link add v0 netns "$host" address 02:00:00:00:00:01 type veth \
    peer name v1 netns "$peer" address 02:00:00:00:00:02
ip -n "$host" addr add 192.0.2.1/24 dev v0
ip -n "$host" link set v0 up
ip -n "$peer" link set v1 up
# The sender is not to depend on how the machine checks return paths.
for name in all v0; do
    ip netns exec "$host" sysctl -q -w "net.ipv4.conf.$name.rp_filter=0"
done

echo "Linux $(uname -r)"
timeout 60 python3 - "$host" "$peer" <<'PYTHON'
import ctypes, socket, struct, sys

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def enter(name):
    with open(f"/run/netns/{name}") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"enter {name}")


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(data):
    udp = struct.pack("!HHHH", 5000, 9000, 8 + len(data), 0) + data
    fields = [0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0]
    addresses = socket.inet_aton("192.0.2.2") + socket.inet_aton("192.0.2.1")
    fields[7] = checksum(struct.pack("!BBHHHBBH", *fields) + addresses)
    return struct.pack("!BBHHHBBH", *fields) + addresses + udp


enter(sys.argv[1])
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.bind(("192.0.2.1", 9000))
receiver.settimeout(0.2)
enter(sys.argv[2])
sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
sender.bind(("v1", 0))

stations = bytes.fromhex("020000000001" "020000000002")
cases = [(tpid, 0, count, True) for tpid in (0x8100, 0x88A8) for count in (0, 1, 2, 3, 8, 300)]
cases += [(0x8100, 5, 1, False), (0x88A8, 5, 3, False), (0x9100, 0, 1, False)]
wrong = 0
for number, (tpid, vlan, count, expected) in enumerate(cases):
    data = b"%04d" % number
    tags = struct.pack("!HH", tpid, vlan) * count
    sender.send(stations + tags + b"\x08\x00" + packet(data))
    try:
        accepted = receiver.recv(100) == data
    except TimeoutError:
        accepted = False
    says = "accepted" if accepted else "refused"
    changed = "" if accepted == expected else "   <- this is new"
    wrong += accepted != expected
    print(f"{count:3} tags {tpid:#06x}, VLAN id {vlan}: {says}{changed}")
sys.exit(1 if wrong else 0)
PYTHON
