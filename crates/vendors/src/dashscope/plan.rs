//! What a request asks that the vendor does not do as asked.

use super::{DIALECT, SEEDS, Wire, image, vendor_model, video};
use pixel_core::{
    Error, ErrorKind,
    catalog::Model,
    request::{Checked, Kind, Role, Warning},
};
use serde_json::Value;

/// The vendor cuts a longer one without a word.
const NEGATIVE_CHARS_MAX: usize = 500;

/// The warnings, or why it cannot be done at all.
pub(super) fn warnings(request: &Checked, card: &Model) -> Result<Vec<Warning>, Error> {
    let mut all = Vec::new();
    if let Some(seed) = request.seed.filter(|seed| *seed >= SEEDS) {
        let used = seed % SEEDS;
        let message = format!("{} takes seeds below {SEEDS}; {used} was used instead of {seed}.", DIALECT.name);
        all.push(Warning::new("seed", message));
    }
    let negative = request.negative_prompt.as_ref().map_or(0, |text| text.chars().count());
    if negative > NEGATIVE_CHARS_MAX {
        let message =
            format!("{} reads only the first {NEGATIVE_CHARS_MAX} of its {negative} characters.", DIALECT.name);
        all.push(Warning::new("negativePrompt", message));
    }
    match Wire::of(card, !request.inputs.is_empty()) {
        Some(Wire::Clip(style)) => all.extend(video::warnings(request, card, style)?),
        Some(wire) if card.kind == Kind::Image => {
            let usage = if request.inputs.is_empty() { video::Use::Text } else { video::Use::Frames };
            check_picture(card, vendor_model(card, usage, false))?;
            all.extend(image::warning(request, wire));
        }
        _ => {}
    }
    Ok(all)
}

/// A model without an id for text alone needs a picture.
pub(super) fn check_picture(card: &Model, vendor_model: &str) -> Result<(), Error> {
    match vendor_model.is_empty() {
        true => Err(refused(format!("'{}' works from pictures: name one in 'imageInputs'.", card.id()))),
        false => Ok(()),
    }
}

pub(super) fn refused(message: String) -> Error {
    Error::new(ErrorKind::InvalidRequest, message)
}

/// Whether the vendor may rewrite the prompt. A rewritten one would make a fixed seed useless, but
/// is what several shots are made from.
pub(super) fn extends(request: &Checked) -> bool {
    let asked = request.extra.get("prompt_extend").and_then(Value::as_bool);
    asked.unwrap_or(request.seed.is_none() || wants_shots(request))
}

pub(super) fn wants_shots(request: &Checked) -> bool {
    request.extra.get("shot_type").and_then(Value::as_str) == Some("multi")
}

pub(super) fn has(request: &Checked, role: Role) -> bool {
    request.inputs.iter().any(|input| input.role == role)
}

#[cfg(test)]
mod tests {
    use super::warnings;
    use pixel_core::{
        catalog::Catalog,
        id::{MediaId, ModelId},
        request::{
            Checked, Input, Mode, Origin,
            Role::{self, FirstFrame as First, LastFrame as Last, Reference as Other},
        },
    };

    /// A model, the mode, the inputs, and a piece of the refusal, if it is one.
    type Case = (&'static str, Option<Mode>, &'static [Role], Option<&'static str>);

    #[test]
    fn what_cannot_be_done_is_refused_with_the_remedy() {
        let catalog = Catalog::parse(crate::CATALOG).unwrap();
        let cases: &[Case] = &[
            ("qwen-image-edit-plus", None, &[], Some("works from pictures")),
            ("qwen-image-edit-plus", None, &[Other], None),
            ("wan2.6-video-flash", None, &[], Some("works from pictures")),
            ("wan2.6-video-flash", None, &[First], None),
            ("wan2.2-kf2v-flash", None, &[First], Some("needs a last frame")),
            ("wan2.2-kf2v-flash", None, &[First, Last], None),
            ("wan2.7-video", Some(Mode::FirstLast), &[Last], Some("needs a first frame")),
            ("wan3.0-video", None, &[Other], Some("takes no references")),
        ];
        for &(key, mode, roles, refused) in cases {
            let id = ModelId::parse(&format!("dashscope/{key}")).unwrap();
            let card = catalog.model(&id).unwrap();
            let origin = || Origin::Media(MediaId::parse("med_00000000000000000000000000000001").unwrap());
            let inputs =
                roles.iter().map(|role| Input { role: *role, origin: origin(), field: String::new() }).collect();
            let request = Checked { mode, inputs, ..Checked::plain(card.kind, id, "a cat") };
            let why = warnings(&request, card).err().map(|error| error.message);
            let fits = refused.map_or(why.is_none(), |word| why.as_deref().is_some_and(|why| why.contains(word)));
            assert!(fits, "{key} {roles:?}: {why:?}");
        }
    }
}
