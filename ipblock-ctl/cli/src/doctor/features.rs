//! Whether this kernel accepts the program, found out by loading it.

use ipblock_datapath::{
    DatapathError,
    error::Feature,
    features::missing,
    missing_capabilities,
    object::{object_sha256_hex, try_program},
};
use ipblock_output::doctor::Finding;

const SUBJECT: &str = "program";

pub(super) fn program() -> Vec<Finding> {
    if !missing_capabilities().is_empty() {
        return vec![Finding::warning(
            SUBJECT,
            "not tried: that takes the capabilities that this process lacks",
            "run `ipblock-ctl doctor` as root",
        )];
    }
    judge(&missing(), try_program())
}

fn judge(missing: &[Feature], tried: Result<(), DatapathError>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = missing
        .iter()
        .map(|feature| {
            Finding::error(
                SUBJECT,
                format!("this kernel lacks {}", feature.what),
                format!("boot Linux {} or newer", feature.since),
            )
        })
        .collect();
    match tried {
        Ok(()) => {
            let hash = object_sha256_hex();
            let short = hash.get(..12).unwrap_or(&hash);
            findings.push(Finding::ok(
                SUBJECT,
                format!("this kernel takes it (object {short})"),
            ));
        }
        // The list of missing features explains it already.
        Err(_) if !missing.is_empty() => {}
        Err(error) => findings.push(Finding::error(
            SUBJECT,
            error.to_string(),
            "boot another kernel, Linux 5.18 or newer, and report this one",
        )),
    }
    findings
}

#[cfg(test)]
mod tests {
    use ipblock_output::doctor::FindingState;

    use super::*;

    const RING: Feature = Feature {
        what: "ring buffers, for alerts",
        since: "5.8",
    };

    fn refusal() -> DatapathError {
        DatapathError::Verifier {
            source: std::io::Error::from_raw_os_error(22),
            said: "invalid argument".to_owned(),
        }
    }

    #[test]
    fn a_kernel_that_takes_the_program_is_told_with_the_objects_hash() {
        let findings = judge(&[], Ok(()));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].state, FindingState::Ok);
        assert!(findings[0].detail.contains(&object_sha256_hex()[..12]));
    }

    #[test]
    fn what_a_kernel_lacks_is_named_and_stands_for_the_refusal() {
        let findings = judge(&[RING], Err(refusal()));
        assert_eq!(findings.len(), 1);
        assert_eq!(
            findings[0].detail,
            "this kernel lacks ring buffers, for alerts"
        );
        assert_eq!(
            findings[0].advice.as_deref(),
            Some("boot Linux 5.8 or newer")
        );
    }

    #[test]
    fn a_refusal_for_another_reason_is_told_as_the_kernel_says_it() {
        let findings = judge(&[], Err(refusal()));
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].state, FindingState::Error);
        assert!(findings[0].detail.contains("invalid argument"));
    }
}
