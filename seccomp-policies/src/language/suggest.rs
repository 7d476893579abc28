//! "Did you mean": the known name nearest to a misspelt one.

/// No call, argument or constant has a name as long as this; comparing takes the product of two lengths.
const LONGEST_NAME: usize = 64;

/// The candidate that fewest slips of the keyboard turn into `name`; `None` if all are far away.
pub(crate) fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST_NAME {
        return None;
    }
    let typed = name.to_lowercase();
    let limit = (name.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&typed, &candidate.to_lowercase()), candidate))
        .filter(|(slips, _)| *slips <= limit)
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}

/// Names for a sentence: `a`, `b`, `c`.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_or_two_in_a_name_is_recognized() {
        assert_eq!(closest("iotcl", ["read", "ioctl", "fcntl"]), Some("ioctl"));
        assert_eq!(closest("kvm_run", ["KVM_RUN", "KVM_SMI"]), Some("KVM_RUN"));
    }

    #[test]
    fn a_name_unlike_any_other_gets_no_suggestion() {
        assert_eq!(closest("frobnicate", ["read", "ioctl"]), None);
        assert_eq!(closest("fd", ["cmd", "arg"]), None);
    }
}
