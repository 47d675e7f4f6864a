//! The two ways of speaking with this service: as its contract says, and as its predecessor did.

use axum::Json;
use pixel_core::{
    ErrorKind,
    task::{Failure, Status},
};
use pixel_store::TaskRow;
use serde_json::{Value, json};

/// How one of them names its fields.
#[derive(Debug)]
pub struct Dialect {
    pub prompt: &'static str,
    pub app: &'static str,
    pub user: &'static str,
    pub number: &'static str,
    is_plain: bool,
}

pub static PLAIN: Dialect =
    Dialect { prompt: "prompt", app: "app_bundle_id", user: "apphud_user_id", number: "video_id", is_plain: true };

pub static PRODUCTION: Dialect =
    Dialect { prompt: "promptText", app: "appId", user: "userId", number: "id", is_plain: false };

/// Names of parts that may hold the picture.
pub const PICTURES: [&str; 2] = ["file", "image"];

/// What both may send beside.
pub const WISHES: [&str; 8] =
    ["model", "duration", "quality", "aspect_ratio", "style", "template_id", "negative_prompt", "seed"];

impl Dialect {
    /// Whether a field of this name is read.
    pub fn knows(&self, name: &str) -> bool {
        [self.prompt, self.app, self.user].contains(&name) || WISHES.contains(&name)
    }

    pub fn accepted(&self, number: i64) -> Json<Value> {
        Json(match self.is_plain {
            true => json!({ "video_id": number }),
            false => json!({ "video_id": number, "detail": "Success" }),
        })
    }

    /// A finished clip is answered by its address alone.
    pub fn standing(&self, standing: Standing, url: impl FnOnce() -> Option<String>) -> Json<Value> {
        let url = if standing == Standing::Done { url() } else { None };
        Json(match (self.is_plain, url, standing) {
            (true, Some(url), _) => json!({ "url": url }),
            (true, None, standing) => json!({ "status": standing.phrase() }),
            (false, Some(url), _) => json!({ "status": "success", "video_url": url }),
            (false, None, Standing::Generating) => json!({ "status": "generating", "video_url": null }),
            (false, None, _) => json!({ "status": "error", "video_url": null }),
        })
    }
}

/// How a clip stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Done,
    /// Also while nobody knows: a task that is held goes on, or fails in time.
    Generating,
    Deleted,
    Moderated,
    Failed,
}

impl Standing {
    pub fn of(row: &TaskRow) -> Self {
        match row.status {
            Status::Pending | Status::Processing => Self::Generating,
            // Retention leaves the row, and not the clip.
            Status::Completed if row.kept.is_some() || row.made.is_empty() => Self::Deleted,
            Status::Completed => Self::Done,
            Status::Failed => row.failure.as_ref().map_or(Self::Failed, Self::of_failure),
        }
    }

    fn of_failure(failure: &Failure) -> Self {
        let is = |kind: ErrorKind| failure.code == kind.code();
        match () {
            () if is(ErrorKind::VendorDeleted) => Self::Deleted,
            () if is(ErrorKind::ModerationBlocked) => Self::Moderated,
            () => Self::Failed,
        }
    }

    /// Word for word as clients compare it.
    fn phrase(self) -> &'static str {
        match self {
            Self::Done => "Generation successful",
            Self::Generating => "Generating",
            Self::Deleted => "Deleted",
            Self::Moderated => "Contents moderation failed",
            Self::Failed => "Generation failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_have_their_phrases() {
        let phrase = |kind| Standing::of_failure(&Failure::new(kind, "x")).phrase();
        assert_eq!(phrase(ErrorKind::VendorDeleted), "Deleted");
        assert_eq!(phrase(ErrorKind::ModerationBlocked), "Contents moderation failed");
        let ends = [ErrorKind::VendorDeleted, ErrorKind::ModerationBlocked];
        for kind in ErrorKind::ALL.into_iter().filter(|kind| !ends.contains(kind)) {
            assert_eq!(phrase(kind), "Generation failed", "{kind:?}");
        }
    }

    #[test]
    fn an_answer_has_one_key_or_the_two_of_its_dialect() {
        let url = || Some("u".to_owned());
        assert_eq!(PLAIN.standing(Standing::Done, url).0, json!({ "url": "u" }));
        assert_eq!(PLAIN.standing(Standing::Generating, url).0, json!({ "status": "Generating" }));
        assert_eq!(PRODUCTION.standing(Standing::Done, url).0, json!({ "status": "success", "video_url": "u" }));
        for (standing, word) in [(Standing::Generating, "generating"), (Standing::Deleted, "error")] {
            assert_eq!(PRODUCTION.standing(standing, url).0, json!({ "status": word, "video_url": null }));
        }
    }
}
