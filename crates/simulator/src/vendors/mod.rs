//! A file for each vendor.

pub(crate) mod dashscope;
pub(crate) mod lab;
pub(crate) mod openai;
pub(crate) mod pixverse;
