//! Words in prompts by which submissions are told apart.

/// How a marker begins.
pub const MARKER: &str = "mk-";

/// The marker in a prompt; prompts without one share the empty marker.
pub fn marker_in(prompt: &str) -> String {
    let Some(at) = prompt.find(MARKER) else { return String::new() };
    prompt[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect()
}

pub(crate) fn is_marker(word: &str) -> bool {
    word.len() > MARKER.len() && marker_in(word) == word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_a_word() {
        assert_eq!(marker_in("a kite mk-7f-1, please"), "mk-7f-1");
        assert_eq!(marker_in("a kite"), "");
        assert!(is_marker("mk-1") && !is_marker("mk-") && !is_marker("mk-1 2") && !is_marker("1mk-1"));
    }
}
