//! How each service words its errors. A code that means several things is told apart by a part of
//! its message, before the table of plain codes is asked.

use crate::status::{Dialect, Said};
use ErrorKind::{ModerationBlocked, RateLimited, Unclear, VendorAuth, VendorBalance, VendorRefused, VendorUnavailable};
use pixel_core::{
    Error, ErrorKind, Stamp,
    vendor::{Answer, Credential, Job},
};

pub struct Words {
    pub dialect: Dialect,
    /// Code, a part of the message in lower case, kind.
    by_message: &'static [(&'static str, &'static str, ErrorKind)],
}

impl Words {
    /// The error that an answer amounts to.
    pub fn error(&self, job: &Job<'_>, answer: &Answer) -> Error {
        self.refusal(job.credential, job.now, answer)
    }

    /// The same outside a job.
    pub fn refusal(&self, credential: &Credential, now: Stamp, answer: &Answer) -> Error {
        let said = (self.dialect.said)(&answer.body);
        let message = said.message.to_lowercase();
        let is_meant =
            |(code, part, _): &&(&str, &str, ErrorKind)| said.codes.iter().any(|c| c == code) && message.contains(part);
        match self.by_message.iter().find(is_meant) {
            Some((_, _, kind)) => self.dialect.worded(credential, now, answer, *kind, said.message),
            None => self.dialect.refusal(credential, now, answer),
        }
    }
}

pub static ARK: Words = Words {
    dialect: Dialect {
        name: "Volcengine Ark",
        said: |body| Said::at(body, ["/error/code", "/error/type"], &["/error/message"]),
        codes: &[
            ("InvalidParameter", VendorRefused),
            ("MissingParameter", VendorRefused),
            ("InvalidImageURL", VendorRefused),
            ("RequestBodyTooLarge", VendorRefused),
            ("InputTextSensitiveContentDetected", ModerationBlocked),
            ("InputImageSensitiveContentDetected", ModerationBlocked),
            ("InputVideoSensitiveContentDetected", ModerationBlocked),
            ("InputAudioSensitiveContentDetected", ModerationBlocked),
            ("InputTextRiskDetection", ModerationBlocked),
            ("SensitiveContentDetected", ModerationBlocked),
            ("OutputTextSensitiveContentDetected", ModerationBlocked),
            ("OutputImageSensitiveContentDetected", ModerationBlocked),
            ("OutputVideoSensitiveContentDetected", ModerationBlocked),
            ("OutputAudioSensitiveContentDetected", ModerationBlocked),
            // Not moderation: its checker had a fault, and a later try may pass.
            ("ContentSecurityDetectionError", VendorUnavailable),
            ("AuthenticationError", VendorAuth),
            ("AccessDenied", VendorAuth),
            ("AccountOverdueError", VendorBalance),
            ("OperationDenied.ServiceOverdue", VendorBalance),
            ("SetLimitExceeded", VendorBalance),
            // The key is good, only this is not open to it.
            ("OperationDenied", VendorRefused),
            ("ModelNotOpen", VendorRefused),
            ("InvalidEndpointOrModel", VendorRefused),
            ("RateLimitExceeded", RateLimited),
            ("ModelAccountRpmRateLimitExceeded", RateLimited),
            ("ModelAccountTpmRateLimitExceeded", RateLimited),
            ("AccountRateLimitExceeded", RateLimited),
            ("RequestBurstTooFast", RateLimited),
            ("ServerOverloaded", RateLimited),
            ("QuotaExceeded", RateLimited),
            // Ours, or a proxy's; the picture may be on its way.
            ("RequestCanceled", Unclear),
            ("InternalServiceError", Unclear),
        ],
    },
    // A full queue, or the end of what was given for free.
    by_message: &[
        ("QuotaExceeded", "free", VendorBalance),
        ("QuotaExceeded", "trial", VendorBalance),
        ("QuotaExceeded", "balance", VendorBalance),
    ],
};

pub static SPEECH: Words = Words {
    dialect: Dialect {
        name: "Doubao speech",
        said: |body| Said::at(body, ["/code", "/header/code"], &["/message", "/header/message"]),
        codes: &[
            ("40402003", VendorRefused),
            ("45000000", VendorRefused),
            ("45000001", VendorRefused),
            ("45000292", RateLimited),
            ("45002000", VendorRefused),
            ("45002001", ModerationBlocked),
            ("55000000", Unclear),
        ],
    },
    by_message: &[
        ("45000000", "concurrency", RateLimited),
        ("45000000", "quota", VendorBalance),
        ("45000000", "lifetime", VendorBalance),
        ("45000000", "permission", VendorAuth),
        ("45000000", "grant", VendorAuth),
        // The voice belongs to another resource: no server's fault, and no repeat will mend it.
        ("55000000", "mismatch", VendorRefused),
    ],
};

pub static VISUAL: Words = Words {
    dialect: Dialect {
        name: "Jimeng",
        // The gateway before the service has an envelope of its own.
        said: |body| {
            let (code, message) = ("/ResponseMetadata/Error/Code", "/ResponseMetadata/Error/Message");
            Said::at(body, ["/code", code], &["/message", message])
        },
        codes: &[
            ("50411", ModerationBlocked),
            ("50412", ModerationBlocked),
            ("50413", ModerationBlocked),
            ("50511", ModerationBlocked),
            ("50512", ModerationBlocked),
            ("50516", ModerationBlocked),
            ("50517", ModerationBlocked),
            ("50518", ModerationBlocked),
            ("50519", ModerationBlocked),
            ("50215", VendorRefused),
            ("50429", RateLimited),
            ("50430", RateLimited),
            ("50500", Unclear),
            ("50501", Unclear),
            ("SignatureDoesNotMatch", VendorAuth),
            ("InvalidAccessKey", VendorAuth),
        ],
    },
    by_message: &[],
};
