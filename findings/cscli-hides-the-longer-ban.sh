#!/usr/bin/env bash
# What: when an address has two active decisions, `cscli decisions list` prints only the one that was
#   made last, also as JSON and as raw CSV, also with --all. The longer one is in force and is not
#   printed: its alert is in the JSON, with an empty list of decisions.
# Seen on: crowdsec 1.4.6-6~deb12u1+b1. The local API itself returns both decisions, and its stream the
#   longer one.
# Why it matters: who moves bans elsewhere with `cscli decisions list -o json` shortens them: here from
#   four hours to one. Ask the local API (GET /v1/decisions) for that, or read its stream.
# Needs: apt-get, unshare (util-linux), ip (iproute2), curl, Python 3, root. It unpacks the package in a
#   temporary folder and runs the local API alone, with a configuration of its own, in a network
#   namespace of its own.
# Expected output: "list -o json: [1]", "list -o raw: [1]", "API: [1, 4]", "stream: [4]": the whole hours
#   that the decisions for 192.0.2.7 have left, rounded up. Exit status 1 when crowdsec does anything else.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
timeout 180 apt-get download -q=2 -o APT::Sandbox::User=root 'crowdsec=1.4.6-6~deb12u1+b1'
dpkg-deb -x ./crowdsec_*.deb unpacked
mkdir data hub
echo '{}' > hub/.index.json
touch credentials.yaml
cp unpacked/etc/crowdsec/{profiles,simulation,acquis}.yaml .
cat > config.yaml <<CONFIG
common: {daemonize: false, pid_dir: $folder, log_media: stdout, log_level: warning, working_dir: $folder}
config_paths: {config_dir: $folder, data_dir: $folder/data, simulation_path: $folder/simulation.yaml,
  hub_dir: $folder/hub, index_path: $folder/hub/.index.json, notification_dir: $folder, plugin_dir: $folder}
crowdsec_service: {acquisition_path: $folder/acquis.yaml}
cscli: {output: human}
db_config: {log_level: warning, type: sqlite, db_path: $folder/data/crowdsec.db}
api:
  client: {credentials_path: $folder/credentials.yaml}
  server: {log_level: warning, listen_uri: 127.0.0.1:18080, profiles_path: $folder/profiles.yaml}
prometheus: {enabled: false}
CONFIG

timeout 120 unshare --net bash -euo pipefail -c '
ip link set lo up
cscli() { ./unpacked/usr/bin/cscli -c config.yaml "$@"; }
cscli version 2>&1 | grep version:
password=$(od -An -N16 -tx1 /dev/urandom | tr -d " ")
cscli --error machines add finding --password "$password" -f credentials.yaml -u http://127.0.0.1:18080
key=$(cscli bouncers add finding -o raw)
./unpacked/usr/bin/crowdsec -c config.yaml -no-cs > server.log 2>&1 &
server=$!
trap "kill $server; wait $server 2>/dev/null || true" EXIT
for _ in $(seq 100); do
    curl -s -o /dev/null http://127.0.0.1:18080/ && break
    sleep 0.1
done
cscli --error decisions add --ip 192.0.2.7 --duration 4h --reason long
cscli --error decisions add --ip 192.0.2.7 --duration 1h --reason short
cscli --error decisions list --all -o json > list.json
cscli --error decisions list --all -o raw > list.csv
api=http://127.0.0.1:18080/v1/decisions
curl -sf -H "X-Api-Key: $key" "$api" > api.json
curl -sf -H "X-Api-Key: $key" "$api/stream?startup=true" > stream.json
'
python3 - <<'PYTHON'
import csv, json, re, sys


def hours(durations):
    found = []
    for text in durations:
        parts = {unit: float(number) for number, unit in re.findall(r"([\d.]+)(h|m(?!s)|s)", text)}
        seconds = parts.get("h", 0) * 3600 + parts.get("m", 0) * 60 + parts.get("s", 0)
        found.append(int(-(-seconds // 3600)))
    return sorted(found)


def load(name):
    with open(name) as file:
        return json.load(file)


with open("list.csv", newline="") as file:
    rows = list(csv.DictReader(file))
alerts = load("list.json")
found = {
    "list -o json": hours(d["duration"] for alert in alerts for d in alert["decisions"]),
    "list -o raw": hours(row["expiration"] for row in rows),
    "API": hours(d["duration"] for d in load("api.json")),
    "stream": hours(d["duration"] for d in load("stream.json")["new"]),
}
for name, left in found.items():
    print(f"{name}: {left}")
print("alerts in the JSON without a decision:", sum(not alert["decisions"] for alert in alerts))
expected = {"list -o json": [1], "list -o raw": [1], "API": [1, 4], "stream": [4]}
sys.exit(0 if found == expected else "crowdsec no longer does that")
PYTHON
