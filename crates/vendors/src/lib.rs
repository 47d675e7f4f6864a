//! One file, or one small folder, per vendor: our request becomes theirs, their answer ours.
//!
//! An adapter is pure (see [`pixel_core::vendor`]); this crate has no HTTP client. To add a
//! vendor: its file, its line in [`all`], its entry in `catalog/` and the line in [`CATALOG`].

use pixel_core::{chat::Writer, vendor::Vendor};
use std::sync::Arc;

mod call;
mod chat;
mod dashscope;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod inline;
mod kling;
#[cfg(feature = "lab")]
pub mod lab;
mod minimax;
mod modelscope;
mod openai;
mod pixverse;
pub mod sandbox;
mod sign;
mod status;
mod volcengine;

/// The catalogue files, compiled in: name and text. Their order is the order of `/models`.
pub const CATALOG: &[(&str, &str)] = &[
    ("dashscope.toml", include_str!("../../../catalog/dashscope.toml")),
    ("modelscope.toml", include_str!("../../../catalog/modelscope.toml")),
    ("volcengine.toml", include_str!("../../../catalog/volcengine.toml")),
    ("openai.toml", include_str!("../../../catalog/openai.toml")),
    ("minimax.toml", include_str!("../../../catalog/minimax.toml")),
    ("kling.toml", include_str!("../../../catalog/kling.toml")),
    ("pixverse.toml", include_str!("../../../catalog/pixverse.toml")),
    ("sandbox.toml", include_str!("../../../catalog/sandbox.toml")),
];

/// The vendor that needs no key and stands in for every model when none is configured.
pub const SANDBOX: &str = "sandbox";

/// Every adapter.
pub fn all() -> Vec<Arc<dyn Vendor>> {
    vec![
        Arc::new(dashscope::Dashscope),
        Arc::new(modelscope::ModelScope),
        Arc::new(openai::OpenAi),
        Arc::new(minimax::MiniMax),
        Arc::new(volcengine::Volcengine),
        Arc::new(kling::Kling),
        Arc::new(pixverse::PixVerse),
        Arc::new(sandbox::Sandbox),
    ]
}

/// The files of the catalogue, with those that stand in it only where their variable is set.
pub fn catalog(is_set: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    let mut files = CATALOG.to_vec();
    files.extend(EXTRAS.iter().filter(|extra| is_set(extra.variable)).map(|extra| extra.file));
    files
}

/// Every adapter, with those that few catalogues name.
pub fn adapters() -> Vec<Arc<dyn Vendor>> {
    let mut adapters = all();
    adapters.extend(EXTRAS.iter().map(|extra| (extra.adapter)()));
    adapters
}

/// A vendor that a release does not have.
struct Extra {
    variable: &'static str,
    file: (&'static str, &'static str),
    adapter: fn() -> Arc<dyn Vendor>,
}

const EXTRAS: &[Extra] = &[
    #[cfg(feature = "lab")]
    Extra { variable: lab::VARIABLE, file: lab::CATALOG, adapter: || Arc::new(lab::Lab) },
];

/// Who answers chat in-process.
pub fn writer() -> Arc<dyn Writer> {
    Arc::new(sandbox::Sandbox)
}
