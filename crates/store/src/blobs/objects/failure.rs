//! What went wrong, in few words: the library's errors carry whole answers of the server, which may
//! repeat parts of a signature.

use object_store::Error;
use std::{error, fmt, future::Future, io, time::Duration};

/// A request that failed.
#[derive(Debug)]
pub(super) struct Failed {
    pub kind: io::ErrorKind,
    why: String,
}

impl Failed {
    pub fn is_not_implemented(&self) -> bool {
        self.why.ends_with("NotImplemented")
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl error::Error for Failed {}

impl From<Failed> for io::Error {
    fn from(failed: Failed) -> Self {
        Self::new(failed.kind, failed)
    }
}

/// Waits for a request, up to a limit.
pub(super) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = object_store::Result<T>>,
) -> Result<T, Failed> {
    match tokio::time::timeout(limit, request).await {
        Ok(answer) => answer.map_err(|error| failed(&error)),
        Err(_) => Err(Failed { kind: io::ErrorKind::TimedOut, why: silence(limit) }),
    }
}

pub(super) fn silent(limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, silence(limit))
}

fn silence(limit: Duration) -> String {
    format!("the object store was not done within {} s", limit.as_secs())
}

pub(super) fn failed(error: &Error) -> Failed {
    let code = code_in(&error.to_string());
    let kind = match (error, code.as_deref()) {
        // A bucket that is gone does not mean that an object is lost.
        (_, Some("NoSuchBucket")) => io::ErrorKind::Other,
        (Error::NotFound { .. }, _) => io::ErrorKind::NotFound,
        (Error::PermissionDenied { .. } | Error::Unauthenticated { .. }, _) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    let why = match (code, error) {
        (Some(code), _) => format!("the object store answers {code}"),
        (None, Error::NotFound { .. }) => "the object store does not have it".to_owned(),
        (None, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) => {
            "the object store refuses the key".to_owned()
        }
        (None, error) => format!("the object store cannot be used: {}", deepest(error)),
    };
    Failed { kind, why }
}

/// The word for the error in an answer of the server.
fn code_in(text: &str) -> Option<String> {
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    let is_word = !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_word.then(|| code.to_owned())
}

fn deepest(error: &Error) -> String {
    let mut deepest: &dyn error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Failed {
        failed(&Error::Generic { store: "S3", source: text.to_owned().into() })
    }

    #[test]
    fn an_answer_is_cut_down_to_its_word() {
        let text = "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>hunter2</StringToSign></Error>";
        assert_eq!(of(text).to_string(), "the object store answers SignatureDoesNotMatch");
        assert_eq!(of("connection refused").to_string(), "the object store cannot be used: connection refused");
        assert!(of("<Code>NotImplemented</Code>").is_not_implemented());
        assert!(!of("<Code><b>hunter2</b></Code>").to_string().contains("answers"));
    }

    #[test]
    fn a_missing_bucket_loses_no_object() {
        let missing = |text: &str| {
            let (path, source) = (String::new(), text.to_owned().into());
            failed(&Error::NotFound { path, source }).kind
        };
        assert_eq!(missing("<Code>NoSuchKey</Code>"), io::ErrorKind::NotFound);
        assert_eq!(missing("<Code>NoSuchBucket</Code>"), io::ErrorKind::Other);
    }
}
