//! A generation request: as asked ([`Ask`]), and as checked against a model ([`Checked`]).

use crate::{
    id::{MediaId, ModelId},
    size::Size,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What is made. The four groups of `/models` are these and chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Image,
    Video,
    Audio,
    Llm,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Image, Self::Video, Self::Audio, Self::Llm];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Llm => "llm",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How a model is to use its inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    Image,
    FirstLast,
    Reference,
    Extend,
    LipSync,
    Sound,
}

impl Mode {
    pub const ALL: [Self; 6] =
        [Self::Image, Self::FirstLast, Self::Reference, Self::Extend, Self::LipSync, Self::Sound];
}

/// What an input is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Reference,
    FirstFrame,
    LastFrame,
    Video,
    Audio,
}

/// Where an input comes from. A data URI is stored on arrival and becomes `Media`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A public address, judged in its text already; its name and bytes are judged by the engine.
    Url(String),
    /// Our own stored media.
    Media(MediaId),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    pub role: Role,
    pub origin: Origin,
    /// The request field it came by, for messages: `imageInputs[0]`.
    pub field: String,
}

/// A small adapter that a model mixes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lora {
    pub model: String,
    #[serde(default = "whole")]
    pub weight: f64,
}

fn whole() -> f64 {
    1.0
}

/// A request as the caller asked it: types are right, the model has not been consulted.
#[derive(Clone, Debug)]
pub struct Ask {
    pub kind: Kind,
    pub model: ModelId,
    pub prompt: String,
    pub negative_prompt: Option<String>,
    pub resolution: Option<String>,
    pub aspect_ratio: Option<String>,
    pub duration: Option<String>,
    pub n: u32,
    pub seed: Option<u64>,
    pub voice: Option<String>,
    pub speed: Option<f64>,
    pub mode: Option<Mode>,
    pub loras: Vec<Lora>,
    pub inputs: Vec<Input>,
    /// What is left of `extraParams`, by the model's own names.
    pub extra: Map<String, Value>,
}

/// A request that a model can carry out; what it could not honour has become a [`Warning`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Checked {
    pub kind: Kind,
    pub model: ModelId,
    pub prompt: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub negative_prompt: Option<String>,
    /// Pixels, for pictures and clips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Size>,
    /// The level that `size` was taken from: `1K`, `720p`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aspect_ratio: Option<String>,
    /// Milliseconds, for clips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u32>,
    pub n: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loras: Vec<Lora>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub extra: Map<String, Value>,
}

impl Checked {
    /// One result of a prompt, with nothing else asked.
    pub fn plain(kind: Kind, model: ModelId, prompt: impl Into<String>) -> Self {
        Self {
            kind,
            model,
            prompt: prompt.into(),
            negative_prompt: None,
            size: None,
            resolution: None,
            aspect_ratio: None,
            duration_ms: None,
            n: 1,
            seed: None,
            voice: None,
            speed: None,
            mode: None,
            loras: Vec::new(),
            inputs: Vec::new(),
            extra: Map::new(),
        }
    }
}

/// Something that was asked and is not honoured, or is honoured differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    pub field: String,
    pub message: String,
}

impl Warning {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// A refusal of a request: the field and a sentence with the remedy. Always a 400.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub field: String,
    pub message: String,
}

impl Refusal {
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}
