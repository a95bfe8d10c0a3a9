//! Resolves the addresses of a request, including lists.

use ipblock_api::error::ApiError;
use ipblock_policy::{At, Ruleset, address::parse_elements, edit::no_such_list};
use ipnet::IpNet;

/// Returns the prefixes, in order, including duplicates. `too_many` is the error if there are more
/// than `limit`.
pub(super) fn prefixes(
    deployed: &Ruleset,
    arguments: &[String],
    limit: usize,
    too_many: impl Fn() -> ApiError,
) -> Result<Vec<IpNet>, ApiError> {
    let mut prefixes = Vec::new();
    for argument in arguments {
        for element in parse_elements(argument)? {
            match element {
                At::Prefix(prefix) => prefixes.push(prefix),
                At::List(name) => {
                    let list = deployed.lists.get(&name);
                    let list = list.ok_or_else(|| no_such_list(name.as_str(), deployed))?;
                    prefixes.extend(list.elements.iter().map(|element| element.prefix));
                }
            }
        }
        if prefixes.len() > limit {
            return Err(too_many());
        }
    }
    Ok(prefixes)
}
