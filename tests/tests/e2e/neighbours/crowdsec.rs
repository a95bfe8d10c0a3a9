//! CrowdSec's local API alone, without its agent, and `cscli`.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use anyhow::Context as _;
use ipblock_policy::exchange::FileFormat;
use ipblock_tests::{DEADLINE, Daemon, Netns, require_privileged, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use super::{Server, output, passed_over, prefixes, set, taken, unpacked};

const LISTEN: &str = "127.0.0.1:8080";
const KEY: &str = "0123456789abcdef";

/// A local API with a database of its own.
struct Crowdsec {
    cscli: PathBuf,
    config: PathBuf,
    netns: Arc<Netns>,
    _server: Server,
    _folder: TempDir,
}

impl Crowdsec {
    fn start(package: &Path, netns: &Arc<Netns>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let own = folder.path();
        let config = own.join("config.yaml");
        fs::write(&config, configuration(own))?;
        for name in ["profiles.yaml", "simulation.yaml"] {
            fs::copy(package.join("etc/crowdsec").join(name), own.join(name))?;
        }
        for name in ["acquis.yaml", "credentials.yaml", "console.yaml"] {
            fs::write(own.join(name), "")?;
        }
        fs::write(own.join("index.json"), "{}")?;
        let cscli = package.join("usr/bin/cscli");
        let run = |arguments: &[&str]| {
            let mut command = netns.command(&cscli);
            output(command.arg("-c").arg(&config).args(arguments))
        };
        let credentials = own.join("credentials.yaml").display().to_string();
        let url = format!("http://{LISTEN}");
        run(&[
            "machines",
            "add",
            "test",
            "--password",
            "secret",
            "-f",
            &credentials,
            "--url",
            &url,
        ])?;
        run(&["bouncers", "add", "test", "-k", KEY])?;
        let mut command = netns.command(package.join("usr/bin/crowdsec"));
        let server = Server::start(command.arg("-c").arg(&config).arg("-no-cs"))?;
        wait_for(DEADLINE, "the local API", || {
            netns.enter(|| TcpStream::connect(LISTEN)).ok()
        })?;
        Ok(Self {
            cscli,
            config,
            netns: Arc::clone(netns),
            _server: server,
            _folder: folder,
        })
    }

    fn cscli(&self, arguments: &str) -> anyhow::Result<String> {
        let mut command: Command = self.netns.command(&self.cscli);
        output(
            command
                .arg("-c")
                .arg(&self.config)
                .args(arguments.split(' ')),
        )
    }

    /// Asks the local API as a bouncer.
    fn get(&self, path: &str) -> anyhow::Result<String> {
        // With HTTP/1.0 the answer ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nHost: {LISTEN}\r\nX-Api-Key: {KEY}\r\n\r\n");
        let answer = self.netns.enter(|| -> std::io::Result<String> {
            let mut stream = TcpStream::connect(LISTEN)?;
            stream.write_all(request.as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        })?;
        let (head, body) = answer
            .split_once("\r\n\r\n")
            .context("an answer without a body")?;
        anyhow::ensure!(head.contains(" 200 "), "{path}: {answer}");
        Ok(body.to_owned())
    }
}

fn configuration(own: &Path) -> String {
    let own = own.display();
    format!(
        "common: {{daemonize: false, log_media: stdout, log_level: error, working_dir: {own}}}\n\
         config_paths: {{config_dir: {own}, data_dir: {own}, simulation_path: {own}/simulation.yaml,\n  \
         hub_dir: {own}, index_path: {own}/index.json, notification_dir: {own}, plugin_dir: {own}}}\n\
         crowdsec_service: {{acquisition_path: {own}/acquis.yaml}}\n\
         cscli: {{output: human}}\n\
         db_config: {{log_level: error, type: sqlite, db_path: {own}/crowdsec.db, use_wal: false}}\n\
         api:\n  client: {{credentials_path: {own}/credentials.yaml}}\n  \
         server: {{log_level: error, listen_uri: '{LISTEN}', profiles_path: {own}/profiles.yaml,\n    \
         console_path: {own}/console.yaml}}\n\
         prometheus: {{enabled: false}}\n"
    )
}

#[test]
fn decisions_of_crowdsec_are_read_from_cscli_and_its_api() -> anyhow::Result<()> {
    let root = require_privileged!();
    let Some(package) = unpacked("crowdsec") else {
        return Ok(());
    };
    let netns = Arc::new(Netns::new(root)?);
    let crowdsec = Crowdsec::start(&package, &netns)?;
    for decision in [
        "--ip 192.0.2.7 --duration 4h --reason ssh-bf",
        "--range 198.51.100.0/24 --duration 1h",
        "--ip 2001:db8::1",
        "--ip 192.0.2.8 --type captcha",
        "--scope Country --value CN",
        "--scope AS --value 64496",
    ] {
        crowdsec.cscli(&format!("decisions add {decision}"))?;
    }
    let banned = set(["192.0.2.7", "198.51.100.0/24", "2001:db8::1"]);
    let listed = crowdsec.cscli("decisions list -o json")?;
    for (text, country) in [
        (listed.clone(), 1),
        (crowdsec.cscli("decisions list -o raw")?, 1),
        (crowdsec.get("/v1/decisions")?, 1),
        // The stream has countries only if it is asked for them.
        (crowdsec.get("/v1/decisions/stream?startup=true")?, 0),
    ] {
        let parsed = taken(&text, FileFormat::Crowdsec, &[]);
        assert_eq!(prefixes(&parsed), banned, "{text}");
        assert_eq!(parsed.timed, 3, "each decision ends: {text}");
        let captcha = passed_over(&parsed, "decisions of the type captcha");
        let of_country = passed_over(&parsed, "decisions of the scope Country");
        assert_eq!((captcha, of_country), (1, country), "{text}");
    }

    let daemon = Daemon::in_netns(root, &netns).start()?;
    let import = "import - --as-bans --origin crowdsec --json";
    daemon.ctl_with_input(import, &listed)?.ok()?;
    let bans: Value = serde_json::from_str(&daemon.ctl("bans --json")?.ok()?)?;
    let bans = bans.as_array().context("bans")?;
    assert_eq!(bans.len(), 3, "{bans:?}");
    assert!(bans.iter().all(|ban| !ban["until"].is_null()), "{bans:?}");

    crowdsec.cscli("decisions delete --ip 192.0.2.7")?;
    let stream = crowdsec.get("/v1/decisions/stream")?;
    let parsed = taken(&stream, FileFormat::Crowdsec, &[]);
    assert_eq!(prefixes(&parsed), set([]), "{stream}");
    assert_eq!(passed_over(&parsed, "deleted decisions"), 1, "{stream}");
    let left = taken(&crowdsec.get("/v1/decisions")?, FileFormat::Crowdsec, &[]);
    assert_eq!(prefixes(&left), set(["198.51.100.0/24", "2001:db8::1"]));
    Ok(())
}
