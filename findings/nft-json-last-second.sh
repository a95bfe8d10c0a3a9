#!/usr/bin/env bash
# What: `nft -j` prints the timeout and the remaining time of an element in whole seconds, rounded down.
#   Below one second that is 0, and 0 means the opposite when it is loaded: `"timeout": 0` makes an
#   element without a timeout, and `"expires": 0` one that has its whole timeout before it again.
# Seen on: nftables 1.0.6-2+deb12u2. The text output of the same set has milliseconds and loads exactly.
# Why it matters: `nft -j list ruleset`, kept and loaded with `nft -j -f`, turns a ban of half a second
#   into a permanent one. A program that reads the JSON must take 0 as "ends within a second", although
#   ipset prints the same number for "never ends".
# Needs: root, apt-get, unshare (util-linux), Python 3. It unpacks the packages in a temporary folder and
#   works in a network namespace of its own.
# Expected output: the JSON of four elements, two of them with 0; then the set 2.5 s after the JSON was
#   loaded: 192.0.2.1 without a timeout, 192.0.2.2 with more than 59 minutes left, 192.0.2.3 gone,
#   192.0.2.4 without a timeout. Exit status 1 when nft does anything else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
timeout 120 apt-get download -q=2 -o APT::Sandbox::User=root nftables=1.0.6-2+deb12u2 libnftables1=1.0.6-2+deb12u2
for package in ./*.deb; do
    dpkg-deb -x "$package" unpacked
done
export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(echo "$folder"/unpacked/usr/lib/*-linux-gnu)
export nft="$folder/unpacked/usr/sbin/nft"
"$nft" --version

timeout 60 unshare --net bash -euo pipefail -c '
"$nft" -f - <<RULESET
table ip t {
    set s {
        type ipv4_addr
        flags timeout
        elements = { 192.0.2.1 timeout 900ms, 192.0.2.2 timeout 1h expires 900ms,
                     192.0.2.3 timeout 1900ms, 192.0.2.4 }
    }
}
RULESET
"$nft" -j list ruleset > before.json
"$nft" flush ruleset
"$nft" -j -f before.json
sleep 2.5
"$nft" -j list set ip t s > after.json
"$nft" list set ip t s
'
python3 - <<'PYTHON'
import json, sys


def elements(name):
    with open(name) as file:
        parts = json.load(file)["nftables"]
    (members,) = [part["set"]["elem"] for part in parts if "set" in part]
    found = {}
    for member in members:
        inner = member["elem"] if isinstance(member, dict) else {"val": member}
        found[inner["val"]] = (inner.get("timeout"), inner.get("expires"))
    return found


before, after = elements("before.json"), elements("after.json")
print("printed:", before)
print("after it was loaded:", after)
ok = before == {
    "192.0.2.1": (0, 0),
    "192.0.2.2": (3600, 0),
    "192.0.2.3": (1, 1),
    "192.0.2.4": (None, None),
}
ok &= after.keys() == {"192.0.2.1", "192.0.2.2", "192.0.2.4"}
ok &= after["192.0.2.1"] == after["192.0.2.4"] == (None, None)
ok &= after["192.0.2.2"][0] == 3600 and after["192.0.2.2"][1] > 3540
sys.exit(0 if ok else "nft no longer does that")
PYTHON
