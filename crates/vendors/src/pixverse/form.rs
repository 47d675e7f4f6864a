//! The forms of the vendor's submission, as data: what each is made from, and what it has a field for.

use super::dialect::DIALECT;
use pixel_core::{
    Error, ErrorKind,
    request::{Checked, Mode, Role, Warning},
    task::StoredInput,
};

/// One submission of the vendor's.
#[derive(Debug)]
pub(super) struct Form {
    pub path: &'static str,
    /// For messages.
    noun: &'static str,
    /// The inputs that it is made from, in the order of their upload, and the field for each one's id.
    pub inputs: &'static [(Role, &'static str)],
    /// Where the prompt goes; nowhere, where the sound is given.
    pub prompt: Option<&'static str>,
    /// Our fields, beside the prompt, that it has a place for.
    carries: &'static [&'static str],
    /// The vendor's own parameters that it takes.
    pub extra: &'static [&'static str],
}

const OPTIONS: &[&str] = &[
    "motion_mode",
    "style",
    "camera_movement",
    "template_id",
    "water_mark",
    "sound_effect_switch",
    "sound_effect_content",
    "lip_sync_switch",
    "lip_sync_tts_content",
    "lip_sync_tts_speaker_id",
    "generate_audio_switch",
    "generate_multi_clip_switch",
    "thinking_type",
];

const TEXT: Form = Form {
    path: "/video/text/generate",
    noun: "a clip from text",
    inputs: &[],
    prompt: Some("prompt"),
    carries: &["duration", "resolution", "aspectRatio", "seed", "negativePrompt"],
    extra: OPTIONS,
};
const IMAGE: Form = Form {
    path: "/video/img/generate",
    noun: "a clip from a picture",
    inputs: &[(Role::FirstFrame, "img_id")],
    prompt: Some("prompt"),
    carries: &["duration", "resolution", "seed", "negativePrompt"],
    extra: OPTIONS,
};
const TRANSITION: Form = Form {
    path: "/video/transition/generate",
    noun: "a transition",
    inputs: &[(Role::FirstFrame, "first_frame_img"), (Role::LastFrame, "last_frame_img")],
    prompt: Some("prompt"),
    carries: &["duration", "resolution", "seed"],
    extra: &[],
};
const EXTEND: Form = Form {
    path: "/video/extend/generate",
    noun: "an extension",
    inputs: &[(Role::Video, "video_media_id")],
    prompt: Some("prompt"),
    carries: &["duration", "resolution", "seed"],
    extra: &[],
};
const SPEAK: Form = Form {
    path: "/video/lip_sync/generate",
    noun: "lip-sync to a text",
    inputs: &[(Role::Video, "video_media_id")],
    prompt: Some("lip_sync_tts_content"),
    carries: &[],
    extra: &["lip_sync_tts_speaker_id"],
};
const SING: Form = Form {
    path: "/video/lip_sync/generate",
    noun: "lip-sync to a sound",
    inputs: &[(Role::Video, "video_media_id"), (Role::Audio, "audio_media_id")],
    prompt: None,
    carries: &[],
    extra: &[],
};
const SOUND: Form = Form {
    path: "/video/sound_effect/generate",
    noun: "a sound effect",
    inputs: &[(Role::Video, "video_media_id")],
    prompt: Some("sound_effect_content"),
    carries: &[],
    extra: &["original_sound_switch"],
};

/// The form that a mode, and the roles of the inputs, ask for. The error is about the request.
pub(super) fn choose(mode: Option<Mode>, roles: &[Role]) -> Result<&'static Form, Error> {
    let has = |role: Role| roles.iter().any(|other| is_of(*other, role));
    let form = match mode {
        Some(Mode::Extend) => &EXTEND,
        Some(Mode::Sound) => &SOUND,
        Some(Mode::LipSync) if has(Role::Audio) => &SING,
        Some(Mode::LipSync) => &SPEAK,
        Some(Mode::FirstLast) => &TRANSITION,
        Some(Mode::Image) => &IMAGE,
        None | Some(Mode::Reference) if has(Role::Video) || has(Role::Audio) => {
            let what = "Say in 'extraParams.mode' what to do with the input: 'extend', 'lipSync' or 'sound'.";
            return Err(Error::new(ErrorKind::InvalidRequest, what));
        }
        None | Some(Mode::Reference) if has(Role::LastFrame) => &TRANSITION,
        None | Some(Mode::Reference) if has(Role::FirstFrame) => &IMAGE,
        None | Some(Mode::Reference) => &TEXT,
    };
    match form.inputs.iter().find(|(role, _)| !has(*role)) {
        None => Ok(form),
        Some((role, _)) => {
            let what = format!("{} makes {} from '{}': give one.", DIALECT.name, form.noun, field_of(*role));
            Err(Error::new(ErrorKind::InvalidRequest, what))
        }
    }
}

/// A picture without another role is a first frame.
fn is_of(role: Role, wanted: Role) -> bool {
    role == wanted || (role, wanted) == (Role::Reference, Role::FirstFrame)
}

pub(super) fn field_of(role: Role) -> &'static str {
    match role {
        Role::Reference | Role::FirstFrame => "imageInputs[0]",
        Role::LastFrame => "extraParams.lastFrame",
        Role::Video => "extraParams.videoInput",
        Role::Audio => "extraParams.audioInput",
    }
}

impl Form {
    pub fn carries(&self, field: &str) -> bool {
        self.carries.contains(&field)
    }

    /// The files to upload, in order.
    pub fn files<'a>(&self, inputs: &'a [StoredInput]) -> Vec<(Role, &'a StoredInput)> {
        let of = |role: Role| inputs.iter().find(|input| is_of(input.role, role)).map(|input| (role, input));
        self.inputs.iter().filter_map(|(role, _)| of(*role)).collect()
    }

    /// What was asked and has no field here.
    pub fn left_out(&self, request: &Checked) -> Vec<Warning> {
        let usual_ms = Some(5_000);
        let asked = [
            ("prompt", self.prompt.is_none()),
            ("duration", request.duration_ms != usual_ms),
            ("resolution", request.resolution.is_some()),
            ("aspectRatio", request.aspect_ratio.is_some()),
            ("seed", request.seed.is_some()),
            ("negativePrompt", request.negative_prompt.is_some()),
        ];
        let fields = asked.into_iter().filter(|(field, asked)| *asked && !self.carries(field));
        let mut all: Vec<String> = fields.map(|(field, _)| field.to_owned()).collect();
        let extras = request.extra.keys().filter(|name| !self.extra.contains(&name.as_str()));
        all.extend(extras.map(|name| format!("extraParams.{name}")));
        let mut wanted: Vec<Role> = self.inputs.iter().map(|(role, _)| *role).collect();
        for input in &request.inputs {
            match wanted.iter().position(|role| is_of(input.role, *role)) {
                Some(at) => drop(wanted.remove(at)),
                None => all.push(input.field.clone()),
            }
        }
        let why = format!("{} takes no such thing for {}; it was left out.", DIALECT.name, self.noun);
        all.into_iter().map(|field| Warning::new(field, why.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_and_the_inputs_choose_the_form() {
        use Role::{Audio, FirstFrame, LastFrame, Reference, Video};
        let path = |mode, roles: &[Role]| choose(mode, roles).map(|form| form.path).map_err(|error| error.message);
        assert_eq!(path(None, &[]), Ok(TEXT.path));
        assert_eq!(path(None, &[Reference]), Ok(IMAGE.path));
        assert_eq!(path(None, &[LastFrame, FirstFrame]), Ok(TRANSITION.path));
        assert_eq!(path(Some(Mode::Sound), &[FirstFrame, Video]), Ok(SOUND.path));
        assert_eq!(choose(Some(Mode::LipSync), &[Video]).unwrap().inputs.len(), 1);
        assert_eq!(choose(Some(Mode::LipSync), &[Audio, Video]).unwrap().inputs.len(), 2);
        for (mode, roles, named) in [
            (None, &[Video][..], "extraParams.mode"),
            (None, &[LastFrame], "imageInputs[0]"),
            (Some(Mode::Image), &[], "imageInputs[0]"),
            (Some(Mode::FirstLast), &[FirstFrame], "extraParams.lastFrame"),
            (Some(Mode::Extend), &[FirstFrame], "extraParams.videoInput"),
            (Some(Mode::LipSync), &[Audio], "extraParams.videoInput"),
        ] {
            let refused = path(mode, roles).unwrap_err();
            assert!(refused.contains(named), "{mode:?} {roles:?}: {refused}");
        }
    }
}
