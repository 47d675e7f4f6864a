//! Names that mean the server's own surroundings, whatever a resolver says of them.

/// Names, and everything below them.
const LOCAL: &[&str] = &[
    "localhost", // RFC 6761
    "local",     // RFC 6762
    "internal",  // reserved for private use; the metadata services of AWS and Google live here
    "home.arpa", // RFC 8375
    "localdomain",
    "lan",
    "intranet",
    "metadata.goog",
    "metadata.tencentyun.com",
    "metadata.platformequinix.com",
    "metadata.packet.net",
];

/// A name as it is compared: in lower case and without the dot of the root.
pub(super) fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Whether a normal name is local. One without a dot has no public meaning: it is completed by the
/// machine's search list, or names a neighbour such as `metadata` or `instance-data`.
pub(super) fn is_local(name: &str) -> bool {
    !name.contains('.')
        || LOCAL.iter().any(|local| name.strip_suffix(local).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// Whether the labels of a normal name could be a name's at all.
pub(super) fn is_well_formed(name: &str) -> bool {
    name.len() <= 253 && name.split('.').all(|label| (1..=63).contains(&label.len()))
}
