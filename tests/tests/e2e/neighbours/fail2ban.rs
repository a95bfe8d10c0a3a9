//! The server of fail2ban with three jails, and what its client prints.

use std::{fs, path::Path, process::Command};

use ipblock_policy::{address::End, exchange::FileFormat};
use ipblock_tests::{DEADLINE, Netns, require_privileged, wait_for};

use super::{Server, has_program, output, prefixes, set, taken, unpacked};

const PYTHON: &str = "/usr/bin/python3";

const JAILS: &str = "\
[DEFAULT]
bantime = 1h
backend = polling
usedns = no
action = nothing
[sshd]
enabled = true
logpath = %(folder)s/log-of-a-service
[recidive]
enabled = true
bantime = -1
logpath = %(folder)s/log-of-a-service
[nginx-http-auth]
enabled = true
logpath = %(folder)s/log-of-a-service
";

/// Copies a folder without links.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

#[test]
fn bans_of_fail2ban_are_read_from_each_of_its_listings() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(package) = unpacked("fail2ban").filter(|_| has_program(PYTHON)) else {
        return Ok(());
    };
    let netns = Netns::new(root)?;
    let folder = tempfile::tempdir()?;
    let own = folder.path().join("fail2ban");
    copy(&package.join("etc/fail2ban"), &own)?;
    // The jails of Debian read the journal.
    fs::remove_dir_all(own.join("jail.d"))?;
    let shown = own.display().to_string();
    fs::write(own.join("log-of-a-service"), "")?;
    fs::write(own.join("jail.local"), JAILS.replace("%(folder)s", &shown))?;
    let action = "[Definition]\nactionban = true\nactionunban = true\n";
    fs::write(own.join("action.d/nothing.conf"), action)?;
    let server = format!("[Definition]\nlogtarget = {shown}/log\ndbfile = {shown}/db\n");
    fs::write(own.join("fail2ban.local"), server)?;
    let (socket, pid) = (own.join("socket"), own.join("pid"));
    let command = |program: &str| -> Command {
        let mut command = netns.command(PYTHON);
        command
            .env("PYTHONPATH", package.join("usr/lib/python3/dist-packages"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TZ", "UTC")
            .arg(package.join("usr/bin").join(program))
            .arg("-c")
            .arg(&own)
            .arg("-s")
            .arg(&socket)
            .arg("-p")
            .arg(&pid);
        command
    };
    let client = |arguments: &str| output(command("fail2ban-client").args(arguments.split(' ')));
    let _server = Server::start(command("fail2ban-server").args(["-xf", "start"]))?;
    wait_for(DEADLINE, "fail2ban", || {
        client("status nginx-http-auth").ok()
    })?;
    client("set sshd banip 192.0.2.7 198.51.100.0/25 2001:db8::7")?;
    client("set recidive banip 203.0.113.5")?;

    let of_sshd = set(["192.0.2.7", "198.51.100.0/25", "2001:db8::7"]);
    let all = set(["192.0.2.7", "198.51.100.0/25", "2001:db8::7", "203.0.113.5"]);
    // It bans in the background.
    wait_for(DEADLINE, "the bans", || {
        let banned = client("banned").ok()?;
        (prefixes(&taken(&banned, FileFormat::Fail2ban, &[])) == all).then_some(())
    })?;
    let banned = client("banned")?;
    let recidive = taken(&banned, FileFormat::Fail2ban, &["recidive"]);
    assert_eq!(prefixes(&recidive), set(["203.0.113.5"]));
    for listing in [
        "status sshd",
        "get sshd banned",
        "get sshd banip --with-time",
    ] {
        let parsed = taken(&client(listing)?, FileFormat::Fail2ban, &[]);
        assert_eq!(prefixes(&parsed), of_sshd, "{listing}");
    }
    let plain = taken(&client("get sshd banip")?, FileFormat::Plain, &[]);
    assert_eq!(prefixes(&plain), of_sshd);
    let timed = taken(
        &client("get sshd banip --with-time")?,
        FileFormat::Fail2ban,
        &[],
    );
    assert_eq!(timed.timed, 3);
    let endless = taken(
        &client("get recidive banip --with-time")?,
        FileFormat::Fail2ban,
        &[],
    );
    assert_eq!(
        (endless.timed, endless.ends.as_slice()),
        (0, &[End::Never][..])
    );
    Ok(())
}
