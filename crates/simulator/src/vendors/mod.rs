//! A file for each vendor, and the list of them.

use crate::vendor::Vendor;

pub(crate) mod dashscope;
pub(crate) mod kling;
pub(crate) mod lab;
pub(crate) mod minimax;
pub(crate) mod modelscope;
pub(crate) mod openai;
pub(crate) mod pixverse;
pub(crate) mod volcengine;

/// Every vendor that is spoken.
pub(crate) const ALL: &[&dyn Vendor] = &[
    &openai::OpenAi,
    &dashscope::Dashscope,
    &minimax::MiniMax,
    &modelscope::ModelScope,
    &volcengine::ark::Ark,
    &kling::Kling,
    &pixverse::PixVerse,
    &lab::Lab,
];
