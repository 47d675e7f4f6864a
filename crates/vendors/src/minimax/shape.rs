//! The vendor names sizes by level and ratio, not in pixels: the nearest that a model lists.

use pixel_core::{
    catalog::Model,
    request::{Checked, Warning},
    size::Size,
};

/// Ratios that differ by less are the same one, rounded to whole pixels.
const SAME_RATIO: f64 = 0.02;

/// The listed level whose shorter side is nearest to the size asked, among those that are allowed.
pub(super) fn level(card: &Model, size: Option<Size>, is_allowed: impl Fn(&str) -> bool) -> &str {
    let wanted = size.map(short);
    let far =
        |level: &str| wanted.zip(side(card, level)).map_or(0.0, |(a, b)| (f64::from(a) / f64::from(b)).ln().abs());
    let levels = card.resolutions.keys().map(String::as_str).filter(|level| is_allowed(level));
    levels.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or_default()
}

/// Warns of a level that is not the one asked for.
pub(super) fn level_warning(request: &Checked, card: &Model, level: &str) -> Option<Warning> {
    let asked = request.resolution.as_ref()?;
    let is_met = request.size.is_some_and(|size| Some(short(size)) == side(card, level));
    let message = || format!("'{}' cannot make this clip in {asked}; {level} was used.", card.id());
    (!is_met).then(|| Warning::new("resolution", message()))
}

/// The field by which the caller asked for a shape, if any.
pub(super) fn shaped_by(request: &Checked) -> Option<&'static str> {
    let is_exact = request.resolution.as_deref().and_then(Size::parse).is_some();
    match request.aspect_ratio {
        Some(_) => Some("aspectRatio"),
        None => is_exact.then_some("resolution"),
    }
}

/// The listed ratio nearest to the size.
pub(super) fn ratio(card: &Model, size: Size) -> &str {
    let ratios = card.resolutions.iter().filter_map(|(_, ratios)| ratios.as_table()).flatten();
    let listed = ratios.filter_map(|(ratio, size)| Some((ratio.as_str(), Size::parse(size.as_str()?)?.ratio())));
    let far = |other: f64| (other / size.ratio()).ln().abs();
    listed.min_by(|a, b| far(a.1).total_cmp(&far(b.1))).map_or("", |(ratio, _)| ratio)
}

pub(super) fn is_ratio(size: Size, width_over_height: f64) -> bool {
    (size.ratio() / width_over_height).ln().abs() < SAME_RATIO
}

/// Whole seconds.
pub(super) fn seconds(request: &Checked, otherwise: u32) -> u32 {
    request.duration_ms.map_or(otherwise, |ms| ms.div_ceil(1000))
}

fn side(card: &Model, level: &str) -> Option<u32> {
    let (_, size) = card.resolutions.get(level)?.as_table()?.iter().next()?;
    size.as_str().and_then(Size::parse).map(short)
}

fn short(size: Size) -> u32 {
    size.width.min(size.height)
}
