//! The formats of other programs: what is taken, what is passed over by name, and what is refused.
//! Each text has the form that the program writes; docs/formats.md names its version.

use std::fmt::Write as _;

use super::{faults::told, *};
use crate::{address::End, samples::shown_by_block};

/// Prints the result of a text, and the ends of its elements.
///
/// If the first line is `@at PATH`, `@set NAME` or `@format NAME`, this is the option.
#[test]
fn what_other_programs_write_is_read_exactly_or_refused() {
    let show = |case: &str| {
        let (option, text) = match case.split_once('\n') {
            Some((option, text)) if option.starts_with('@') => (option, text),
            _ => ("", case),
        };
        let mut options = ReadOptions::default();
        match option.split_once(' ') {
            Some(("@at", path)) => options.at = Some(path.parse().unwrap()),
            Some(("@set", name)) => options.sets = vec![name.to_owned()],
            Some(("@format", name)) => options.format = Some(name.parse().unwrap()),
            other => assert_eq!(other, None),
        }
        let parsed = match read_with(text.as_bytes(), &options) {
            Ok(parsed) => parsed,
            Err(error) => return error.to_string(),
        };
        let mut shown = told(&parsed);
        for place in &parsed.at {
            writeln!(shown, "read at: {place}").unwrap();
        }
        for (index, element) in parsed.elements.iter().enumerate() {
            let end = parsed.end_of(index);
            if end != End::None {
                writeln!(shown, "end of {}: {end:?}", element.prefix).unwrap();
            }
        }
        shown
    };
    let shown = shown_by_block(include_str!("formats.txt"), show);
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("formats", shown);
    });
}

/// A file of `ufw`, with its own chains and the comment of the rule as hexadecimal digits.
#[test]
fn rules_of_ufw_are_its_input_chain() {
    let text = "*filter\n:ufw-user-input - [0:0]\n:ufw-user-forward - [0:0]\n\
        :ufw-user-logging-input - [0:0]\n:ufw-user-limit - [0:0]\n:ufw-user-limit-accept - [0:0]\n\
        ### RULES ###\n\n\
        ### tuple ### deny any any 0.0.0.0/0 any 192.0.2.7 in comment=7768796d65\n\
        -A ufw-user-input -s 192.0.2.7 -j DROP\n\n\
        ### tuple ### reject any any 0.0.0.0/0 any 198.51.100.0/24 in\n\
        -A ufw-user-input -s 198.51.100.0/24 -j REJECT\n\n\
        ### tuple ### allow any any 0.0.0.0/0 any 203.0.113.5 in\n\
        -A ufw-user-input -s 203.0.113.5 -j ACCEPT\n\n\
        ### tuple ### deny tcp 22 0.0.0.0/0 any 203.0.113.9 in\n\
        -A ufw-user-input -p tcp --dport 22 -s 203.0.113.9 -j DROP\n\n\
        ### tuple ### limit any any 0.0.0.0/0 any 192.0.2.66 in\n\
        -A ufw-user-input -s 192.0.2.66 -m conntrack --ctstate NEW -m recent --set\n\
        -A ufw-user-input -s 192.0.2.66 -j ufw-user-limit-accept\n\n\
        ### tuple ### deny_log any any 0.0.0.0/0 any 192.0.2.223 in\n\
        -A ufw-user-logging-input -s 192.0.2.223 -m limit --limit 3/min -j LOG --log-prefix \"[UFW BLOCK] \"\n\
        -A ufw-user-logging-input -s 192.0.2.223 -j RETURN\n\
        -A ufw-user-input -s 192.0.2.223 -j ufw-user-logging-input\n\
        -A ufw-user-input -s 192.0.2.223 -j DROP\n\n\
        ### END RULES ###\n\n### RATE LIMITING ###\n-A ufw-user-limit -j REJECT\n\
        -A ufw-user-limit-accept -j ACCEPT\n### END RATE LIMITING ###\nCOMMIT\n";
    let parsed = read_text(text, None);
    assert_eq!(
        (parsed.format, problems(&parsed)),
        (FileFormat::Iptables, vec![])
    );
    let taken = [
        ("192.0.2.7/32", "whyme"),
        ("198.51.100.0/24", ""),
        ("192.0.2.223/32", ""),
    ];
    assert_eq!(pairs(&parsed), expected(&taken));
    let counted: Vec<(&str, u64)> = parsed
        .passed_over
        .iter()
        .map(|place| (place.what.as_str(), place.count))
        .collect();
    let expected = [
        ("rules with -j ACCEPT", 1),
        ("rules with -p tcp", 1),
        ("rules that block nothing", 2),
        ("rules with -j RETURN", 1),
        ("rules with -j ufw-user-limit-accept", 1),
        ("rules with -j ufw-user-logging-input", 1),
    ];
    assert_eq!(counted, expected);
}

/// A file that ends early has entries that are not there: the rest alone is not the list.
#[test]
fn no_part_of_a_cut_off_file_is_taken() {
    for (format, text) in [
        (
            "crowdsec",
            r#"[{"duration":"4h","id":1,"origin":"cscli","scenario":"s","scope":"Ip","type":"ban","value":"192.0.2.7"},{"dur"#,
        ),
        (
            "crowdsec",
            "id,source,ip,reason,action,country,as,events_count,expiration,simulated,alert_id\n1,cscli,Ip:192.0.2.7,\"ssh bf,ban,,,1,4h,false,1\n",
        ),
        (
            "stix",
            r#"{"type":"bundle","objects":[{"type":"indicator","pattern":"[ipv4-addr:value = '192.0.2.7']"},{"#,
        ),
        (
            "ndjson",
            "{\"ip\":\"192.0.2.7\"}\n{\"ip\":\"192.0.2.8\"}\n{\"ip\":\"192.0.",
        ),
        ("json", r#"{"values":[{"p":["192.0.2.7"]},{"p":["192.0.2"#),
        ("iptables", "*filter\n-A INPUT -s 192.0.2.7/32 -j DROP\n"),
        ("nginx", "deny 192.0.2.7;\ndeny 192.0.2.8"),
        ("nginx", "deny 192.0.2.7;\nhttp {\n"),
        (
            "apache",
            "<RequireAll>\nRequire all granted\nRequire not ip 192.0.2.7\n",
        ),
        (
            "mikrotik",
            "add address=192.0.2.7 list=a\nadd address=192.0.2.8 \\",
        ),
        (
            "firewalld",
            "<ipset type=\"hash:net\"><entry>192.0.2.7</entry>",
        ),
        ("fail2ban", "[{'sshd': ['192.0.2.7', '192.0.2.8"),
        ("fail2ban", "[{'sshd': ['192.0.2.7']"),
        (
            "fail2ban",
            "['192.0.2.7']\nStatus for the jail: sshd\n|- Filter\n",
        ),
        ("hosts-deny", "ALL: 192.0.2.7\nALL: 192.0.2.8 \\"),
    ] {
        let parsed = read_text(text, Some(format.parse().unwrap()));
        assert!(
            parsed.is_spoilt && parsed.elements.is_empty(),
            "{text}: {parsed:?}"
        );
        assert_eq!(
            parsed.format,
            read_text(text, None).format,
            "its format is found: {text}"
        );
    }
}
