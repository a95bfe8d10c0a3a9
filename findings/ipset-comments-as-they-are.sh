#!/usr/bin/env bash
# What: ipset takes a comment with a line break, `<` or `&`, and prints it as it is. So `ipset restore`
#   refuses what `ipset save` has printed of such a set, and `ipset list -o xml` prints a document that
#   is not XML.
# Seen on: ipset 7.17-1 (protocol 7).
# Why it matters: a comment often comes from a log or a ticket. One line break in it, and the saved sets
#   of the host are not loaded at the next boot: restore stops at that line, and the entries after it are
#   missing. Who parses the output line by line reads the rest of a comment as commands.
# Needs: root, apt-get, unshare (util-linux), Python 3, a kernel with ip_set_hash_net. It unpacks the
#   packages in a temporary folder and works in a network namespace of its own.
# Expected output: "restore: exit 2, 1 of 3 entries there" and "xml: not well-formed"; without such
#   comments "restore: exit 0, 3 of 3 entries there" and "xml: well-formed". Exit status 1 when ipset does
#   anything else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
chmod 755 .
timeout 120 apt-get download -q=2 -o APT::Sandbox::User=root ipset=7.17-1 libipset13=7.17-1
for package in ./*.deb; do
    dpkg-deb -x "$package" unpacked
done
export LD_LIBRARY_PATH
LD_LIBRARY_PATH=$(echo "$folder"/unpacked/usr/lib/*-linux-gnu)
export ipset="$folder/unpacked/sbin/ipset"
[ -x "$ipset" ] || ipset="$folder/unpacked/usr/sbin/ipset"
"$ipset" --version

timeout 60 unshare --net bash -euo pipefail -c '
try() {
    local break=$1 mark=$2
    "$ipset" create a hash:net comment
    "$ipset" create b hash:net comment
    "$ipset" create c hash:net comment
    "$ipset" add a 192.0.2.1 comment "first"
    "$ipset" add b 192.0.2.2 comment "seen${break}twice"
    "$ipset" add c 192.0.2.3 comment "mail $mark web"
    for set in a b c; do "$ipset" save "$set"; done > saved
    "$ipset" list -o xml > list.xml
    "$ipset" destroy
    local code=0
    "$ipset" restore < saved || code=$?
    local held
    held=$("$ipset" save | grep -c ^add || true)
    local xml=well-formed
    python3 -c "import xml.dom.minidom; xml.dom.minidom.parse(\"list.xml\")" 2>/dev/null || xml=not\ well-formed
    echo "restore: exit $code, $held of 3 entries there"
    echo "xml: $xml"
    "$ipset" destroy
}
try " " and
try "
" "&"
' 2>/dev/null | tee seen
diff seen - <<'EXPECTED'
restore: exit 0, 3 of 3 entries there
xml: well-formed
restore: exit 2, 1 of 3 entries there
xml: not well-formed
EXPECTED
