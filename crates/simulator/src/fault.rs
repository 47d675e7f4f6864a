//! Every way in which a vendor may misbehave, by name. What a fault does is the same at every
//! vendor; only the words of a refusal and the place of a job's id are the vendor's own.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Where in the life of a submission a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before any request: an address to point a base URL at.
    Connect,
    /// The call that costs money.
    Submit,
    /// The question how the job stands.
    Poll,
    /// The copying of a result.
    Fetch,
}

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Submit => "submit",
            Self::Poll => "poll",
            Self::Fetch => "fetch",
        }
    }
}

/// What a fault looks like to the client, which is what it may conclude from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// No byte of the request arrives.
    Before,
    /// A clear no: nothing was accepted.
    Refusal,
    /// Nobody can say whether it was accepted.
    Unclear,
    /// An answer that takes for ever, or never ends.
    Slow,
    /// An answer that makes no sense.
    Nonsense,
    /// A result that is not what it should be.
    Media,
    /// The job ends badly, as jobs do.
    End,
    /// What only a vendor does where somebody signs in.
    Account,
}

macro_rules! faults {
    ($($name:ident $text:literal $group:ident [$($stage:ident)*] $accepts:literal $about:literal;)*) => {
        /// A kind of misbehaviour. The names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Fault { $(#[doc = $about] $name,)* }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name in scripts.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            pub fn group(self) -> Group {
                match self { $(Self::$name => Group::$group,)* }
            }

            /// Where it can strike.
            pub fn stages(self) -> &'static [Stage] {
                match self { $(Self::$name => &[$(Stage::$stage,)*],)* }
            }

            /// Whether a submission that it strikes was accepted, and is charged for.
            pub fn accepts(self) -> bool {
                match self { $(Self::$name => $accepts,)* }
            }

            /// What happens, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => $about,)* }
            }
        }
    };
}

faults! {
    NameNotFound "name-not-found" Before [Connect Fetch] false "The host's name does not resolve.";
    ConnectionRefused "connection-refused" Before [Connect Fetch] false "Nobody listens on the port.";
    BlackHole "black-hole" Before [Connect Fetch] false "The connection is never established.";
    TlsFailure "tls-failure" Before [Connect Fetch] false "The port does not speak TLS although the address says https.";
    WrongCertificate "wrong-certificate" Before [Connect Fetch] false "The certificate is self-signed and for another name.";

    BadRequest "bad-request" Refusal [Submit Poll Fetch] false "400, or the vendor's word for a wrong parameter.";
    Unauthorized "unauthorized" Refusal [Submit Poll Fetch] false "401: the key is not known.";
    PaymentRequired "payment-required" Refusal [Submit Poll Fetch] false "402, or the vendor's word for an empty account.";
    Forbidden "forbidden" Refusal [Submit Poll Fetch] false "403: the key may not do this.";
    NotFound "not-found" Refusal [Submit Poll Fetch] false "404: no such model, or job, or file.";
    Unprocessable "unprocessable" Refusal [Submit Poll Fetch] false "422: understood, and not possible.";
    Moderation "moderation" Refusal [Submit] false "The safety system refuses the prompt.";
    RateLimitSeconds "rate-limit-seconds" Refusal [Submit Poll Fetch] false "429 with Retry-After in seconds (`wait`, 1 by default).";
    RateLimitDate "rate-limit-date" Refusal [Submit Poll Fetch] false "429 with a date as Retry-After, two seconds ahead.";
    RateLimitBare "rate-limit-bare" Refusal [Submit Poll Fetch] false "429 without Retry-After.";
    RateLimitTenYears "rate-limit-ten-years" Refusal [Submit Poll Fetch] false "429 that asks for ten years.";

    ErrorBeforeAccept "error-before-accept" Unclear [Submit Poll Fetch] false "500, and nothing was accepted.";
    ErrorAfterAccept "error-after-accept" Unclear [Submit] true "500, although the submission was accepted.";
    BadGateway "bad-gateway" Unclear [Submit Poll Fetch] true "502 with a proxy's page; a submission was accepted behind it.";
    ServiceUnavailable "service-unavailable" Unclear [Submit Poll Fetch] false "503 with a proxy's page; nothing was accepted.";
    GatewayTimeout "gateway-timeout" Unclear [Submit Poll Fetch] true "504 with a proxy's page; a submission was accepted behind it.";
    NoAnswer "no-answer-after-accept" Unclear [Submit Poll Fetch] true "Read, accepted, and never answered.";
    Reset "reset-after-accept" Unclear [Submit Poll Fetch] true "Read, accepted, and the connection is reset.";
    ClosedOnReuse "closed-on-reuse" Unclear [Submit Poll Fetch] false "On a connection that was used before: closed without an answer, nothing accepted. On a new one: answered as usual.";
    Goaway "http2-goaway" Unclear [Connect] false "Whatever is sent is answered with HTTP/2's GOAWAY, and nothing is accepted.";

    SlowHeaders "slow-headers" Slow [Submit Poll Fetch] true "The answer's headers come a byte at a time (`pace_ms`).";
    SlowBody "slow-body" Slow [Submit Poll Fetch] true "The answer's body comes a byte at a time (`pace_ms`).";
    EndlessBody "endless-body" Slow [Submit Poll Fetch] true "The answer's body does not end before 10 GB.";
    GzipBomb "gzip-bomb" Slow [Submit Poll Fetch] true "A body of 1 MB that inflates to 1 GB.";
    HalfOpen "half-open" Slow [Submit Poll Fetch] true "The answer begins and stops; the connection stays open and silent.";

    GarbageJson "garbage-json" Nonsense [Submit Poll] true "200 with a body that is cut-off JSON.";
    HtmlPage "html-page" Nonsense [Submit Poll] true "200 with a sign-in page.";
    WrongSchema "wrong-schema" Nonsense [Submit Poll] true "200 with JSON of another shape.";
    MissingId "missing-id" Nonsense [Submit] true "The acceptance lacks the job's id; a blocking answer lacks its result.";
    ReusedId "reused-id" Nonsense [Submit] true "The acceptance names an earlier job that was polled already, where there is one.";
    UnknownStatus "unknown-status" Nonsense [Poll] true "A state that no document names.";
    StatusBackwards "status-backwards" Nonsense [Poll] true "Running, then waiting, then running again.";
    RunningForEver "running-for-ever" Nonsense [Poll] true "The job does not end.";
    NotYetKnown "not-yet-known" Nonsense [Poll] true "404 for a job that was just accepted.";

    ExpiredLink "expired-link" Media [Fetch] true "The link has expired: 403, as an object store says it.";
    PrivateRedirect "private-redirect" Media [Fetch] true "302 to an address of the reader's own network (`to`).";
    CutWithLength "cut-with-length" Media [Fetch] true "Half of the file, though Content-Length promises all of it.";
    CutWithoutLength "cut-without-length" Media [Fetch] true "Half of the file, and the connection's end is the only end.";
    EmptyMedia "empty-media" Media [Fetch] true "Zero bytes.";
    WrongType "wrong-content-type" Media [Fetch] true "The file, called text/plain.";
    HtmlMedia "html-as-media" Media [Fetch] true "A web page, called a picture.";
    TenGigabytes "ten-gigabytes" Media [Fetch] true "10 GB without a length, beginning like the file.";
    MediaBomb "media-bomb" Media [Fetch] true "A picture of 30000 by 30000 in a small file.";
    WrongChecksum "wrong-checksum" Media [Fetch] true "The file with a few bytes of its picture changed; length and checksum header are those of the true one.";
    MissingOutput "missing-output" Media [Poll] true "One result (`output`, the last by default) failed and the others are there.";

    JobFailed "job-failed" End [Poll] true "The job fails.";
    JobModerated "job-moderated" End [Poll] true "The safety system refuses what the job made.";
    JobLost "job-lost" End [Poll] true "The vendor no longer knows the job.";

    Code "code" Account [Submit Poll] false "An error of the vendor's own, by its number (`code`); nothing was accepted.";
    CodeAfterAccept "code-after-accept" Account [Submit] true "The same, although the submission was accepted.";
    StatusNumber "status-number" Account [Poll] true "The job's row has the state with this number (`code`), and no link.";
    Placeholder "placeholder" Account [Poll] true "The job's row says that it is done (or `code`), and its link leads to a `default.mp4` that is not there.";
    MissingRow "missing-row" Account [Poll] true "The list lacks the job's row.";
}

impl Fault {
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.name() == name)
    }

    pub fn strikes_at(self, stage: Stage) -> bool {
        self.stages().contains(&stage)
    }

    /// Whether a client can no longer know, when this strikes a submission, if it was accepted.
    pub fn is_unclear(self) -> bool {
        !matches!(self.group(), Group::Before | Group::Refusal | Group::End | Group::Account)
            && self != Self::ClosedOnReuse
    }

    /// Whether a rule must name a number.
    pub(crate) fn needs_code(self) -> bool {
        matches!(self, Self::Code | Self::CodeAfterAccept | Self::StatusNumber)
    }

    /// Polls or fetches that are struck when a script does not say how many; 0 is all of them.
    pub(crate) fn usual_times(self) -> u32 {
        match self {
            Self::RunningForEver | Self::MissingOutput | Self::JobFailed | Self::JobModerated | Self::JobLost => 0,
            Self::StatusBackwards => 4,
            Self::NotYetKnown => 2,
            _ => 1,
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?;
        Self::named(&name)
            .ok_or_else(|| D::Error::custom(format!("there is no fault '{name}'; GET /_faults lists them all")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_plain_and_lead_back() {
        let names: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::ALL.len());
        for fault in Fault::ALL {
            assert_eq!(Fault::named(fault.name()), Some(*fault));
            assert!(fault.name().chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'));
            assert!(!fault.stages().is_empty() && fault.about().ends_with(['.', ')']), "{fault:?}");
        }
    }

    #[test]
    fn a_refusal_accepts_nothing() {
        let clear = |fault: &&Fault| matches!(fault.group(), Group::Before | Group::Refusal);
        assert!(Fault::ALL.iter().filter(clear).all(|fault| !fault.accepts() && !fault.is_unclear()));
    }

    #[test]
    fn the_page_has_a_row_for_each() {
        let page = include_str!("../../../docs/simulator.md");
        for fault in Fault::ALL {
            let stages: Vec<_> = fault.stages().iter().map(|stage| stage.name()).collect();
            let accepts = if fault.accepts() { "yes" } else { "no" };
            let row = format!("| `{}` | {} | {accepts} | {} |", fault.name(), stages.join(", "), fault.about());
            assert!(page.contains(&row), "docs/simulator.md lacks: {row}");
        }
    }

    #[test]
    fn a_fault_that_does_not_exist_is_refused_in_words() {
        let error = serde_json::from_str::<Fault>("\"late\"").expect_err("no such fault").to_string();
        assert!(error.contains("'late'") && error.contains("/_faults"), "{error}");
    }
}
