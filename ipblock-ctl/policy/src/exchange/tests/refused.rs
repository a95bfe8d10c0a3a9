//! What is rejected, and at which line.

use proptest::prelude::*;

use super::*;

#[test]
fn addresses_are_refused_with_their_line_and_what_to_write() {
    let text = "# comment\n192.0.2.1/24\n192.0.2.9-192.0.2.1 note\n\n192.0.2.0 - 192.0.2.9\n\
                192.0.2.0 255.255.255.0\n192.0.2.1, 192.0.2.2\n@office\n192.0.2.1 / 32\n192.0.2.7\n";
    let parsed = read_text(text, Some(FileFormat::Plain));
    let refused: Vec<(u64, &str)> = parsed
        .refused
        .iter()
        .map(|refusal| (refusal.line, refusal.hint.as_deref().unwrap_or_default()))
        .collect();
    let network = "write 192.0.2.0/24 for the network; for two addresses write 192.0.2.0/32 and \
                   255.255.255.0/32";
    assert_eq!(
        refused,
        [
            (2, "write 192.0.2.0/24, or 192.0.2.1 for the one address"),
            (3, "write 192.0.2.1-192.0.2.9"),
            (5, "write 192.0.2.0-192.0.2.9"),
            (6, network),
            (8, "write the addresses of the list"),
            (9, "write 192.0.2.1/32"),
        ]
    );
    assert_eq!(
        pairs(&parsed),
        expected(&[
            ("192.0.2.1/32", ""),
            ("192.0.2.2/32", ""),
            ("192.0.2.7/32", "")
        ])
    );
    assert_eq!(parsed.read, 9);
}

#[test]
fn entries_that_mean_the_opposite_are_refused_in_every_format() {
    let opposite = |text: &str| {
        let parsed = read_text(text, None);
        let problems = problems(&parsed);
        assert_eq!(problems.len(), 1, "{parsed:?}");
        assert!(parsed.refused[0].hint.is_some());
        (
            problems[0].0,
            parsed.refused[0].problem.clone(),
            parsed.elements.len(),
        )
    };
    let ipset = "create a hash:net\nadd a 192.0.2.0/24\nadd a 192.0.2.1 nomatch\n";
    assert_eq!(opposite(ipset), (3, "`nomatch` entry".to_owned(), 1));
    let csv = "address,kind\n192.0.2.0/24,match\n192.0.2.1,except\n";
    assert_eq!(opposite(csv), (3, "an exception of a rule".to_owned(), 1));
    let toml = "[[rule]]\nname = \"a\"\naction = \"block\"\nmatch = [\"192.0.2.0/24\"]\n\
                except = [\n\"192.0.2.1\"]\n";
    assert_eq!(opposite(toml), (6, "an exception of a rule".to_owned(), 1));
    let json =
        "{\"allow\": {\"match\": [\n\"192.0.2.1\"]}, \"rule\": [{\"match\": [\"192.0.2.2\"]}]}";
    assert_eq!(
        opposite(json),
        (2, "an entry of an allow list".to_owned(), 1)
    );
    let nft = "delete element inet t s { 192.0.2.1 }\nadd element inet t s { 192.0.2.2 }\n";
    assert_eq!(opposite(nft), (1, "it takes elements away".to_owned(), 0));
}

#[test]
fn sets_of_more_than_addresses_are_refused() {
    let nft = "table t {\n set ports {\n type inet_service\n elements = { 22, 80 } }\n\
               set pairs { type ipv4_addr . inet_service\n elements = { 192.0.2.1 . 22 } }\n\
               map m { type ipv4_addr : verdict\n elements = { 192.0.2.1 : drop } } }";
    let parsed = read_text(nft, None);
    assert_eq!(
        problems(&parsed),
        [
            (4, "set ip t ports", "a set of inet_service"),
            (6, "set ip t pairs", "a set of ipv4_addr . inet_service"),
            (7, "map ip t m", "a map"),
        ]
    );
    let ipset = "create a hash:ip,port\nadd a 192.0.2.1,tcp:22\nadd a\ndel a 192.0.2.1\nnonsense\n";
    let lines: Vec<u64> = read_text(ipset, None)
        .refused
        .iter()
        .map(|r| r.line)
        .collect();
    assert_eq!(lines, [2, 3, 4, 5]);
}

#[test]
fn json_is_refused_where_it_is_wrong() {
    let text = "[\n\"192.0.2.1\",\n7,\n{\"name\": \"x\"},\n{\"ip\": \"192.0.2.1/24\"\n},\n\
                {\"ip\": \"192.0.2.1\", \"cidr\": \"192.0.2.0/24\"},\nnull]";
    let parsed = read_text(text, None);
    assert_eq!(
        problems(&parsed),
        [
            (3, "", "a number in the place of an address"),
            (4, "", "no address"),
            (5, "192.0.2.1/24", "host bits set"),
            (7, "", "two addresses in one object"),
            (8, "", "no address"),
        ]
    );
    let parsed = read_text("[\"192.0.2.1\",\n\"192.0.2.2\"\n\"x\"]", None);
    assert_eq!((parsed.elements.len(), parsed.refused[0].line), (0, 3));
    let parsed = read_text("{\"nothing\": []}", None);
    assert_eq!(parsed.refused[0].problem, "no addresses are found in it");
}

#[test]
fn csv_records_are_refused_by_the_line_they_begin_on() {
    let text = "address,note\n192.0.2.1,\"two\nlines\"\n192.0.2.1/24,x\n,empty\n192.0.2.2,\"open\n";
    let parsed = read_text(text, None);
    assert_eq!(
        problems(&parsed),
        [
            (4, "192.0.2.1/24", "host bits set"),
            (5, ",empty", "a record without an address"),
            (6, "192.0.2.2,\"open", "a quote that is not closed"),
        ]
    );
    let parsed = read_text("192.0.2.1/8,office\n192.0.2.1,x\n", Some(FileFormat::Csv));
    assert_eq!(parsed.refused[0].line, 1, "no header: it has digits");
}

#[test]
fn refusals_and_long_lines_are_bounded() {
    let text = format!(
        "192.0.2.1 {}\n{}",
        "x".repeat(70_000),
        "nonsense\n".repeat(1_500)
    );
    let parsed = read_text(&text, Some(FileFormat::Plain));
    assert_eq!(parsed.refused.len(), MAX_REFUSED);
    assert_eq!((parsed.more_refused, parsed.read), (501, 1_501));
    assert_eq!(parsed.refused[0].problem, "a line of more than 64 KiB");
    assert_eq!(parsed.refused[1].line, 2);
}

/// Writes an address as a line of a format.
type Line = fn(String) -> String;

proptest! {
    /// Puts a bad address on a known line among good ones: in every format the error has that line.
    #[test]
    fn line_numbers_are_right(bad in 0_usize..30, gaps in prop::collection::vec(0_usize..3, 30)) {
        let address = |n: usize| if n == bad { "192.0.2.300".to_owned() } else { format!("192.0.2.{n}") };
        let cases: [(FileFormat, &str, Line, &str); 6] = [
            (FileFormat::Plain, "", |a| a, ""),
            (FileFormat::Csv, "address,note\n", |a| format!("{a},\"x\""), ""),
            (FileFormat::Json, "[\n", |a| format!("{{\"ip\": \"{a}\"}},"), "\"192.0.2.99\"]"),
            (FileFormat::Ipset, "create a hash:ip\n", |a| format!("add a {a}"), ""),
            (FileFormat::Nft, "add element t s {\n", |a| format!("{a},"), "}"),
            (FileFormat::Toml, "[list.a]\nmatch = [\n", |a| format!("\"{a}\","), "]"),
        ];
        for (format, head, line, tail) in cases {
            let mut text = head.to_owned();
            let mut expected = 0;
            for (n, gap) in gaps.iter().enumerate() {
                text.push_str(&"\n".repeat(*gap));
                if n == bad {
                    expected = text.matches('\n').count() as u64 + 1;
                }
                text.push_str(&line(address(n)));
                text.push('\n');
            }
            text.push_str(tail);
            let parsed = read(text.as_bytes(), Some(format)).unwrap();
            let lines: Vec<u64> = parsed.refused.iter().map(|refusal| refusal.line).collect();
            prop_assert_eq!(lines, [expected], "{}", format);
        }
    }
}
