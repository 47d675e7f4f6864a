//! LoRAs as the vendor takes them: at most six, whose weights add up to 1. Others let weights be
//! free, so that what is sent may differ from what was asked, which is said.

use super::{DIALECT, Lora, Value, Warning, json};
use serde_json::Map;

const MOST: usize = 6;
/// Weights have so many parts, which are shared out: their sum is then exact.
const PARTS: f64 = 10_000.0;
/// A sum that differs from 1 by less was meant to be 1.
const ROUNDING: f64 = 1e-6;

/// The weights that are sent, in parts, each model once.
fn shares(loras: &[Lora]) -> Vec<(&str, f64)> {
    let mut merged: Vec<(&str, f64)> = Vec::new();
    for lora in loras {
        match merged.iter_mut().find(|(model, _)| *model == lora.model) {
            Some((_, weight)) => *weight += lora.weight,
            None => merged.push((&lora.model, lora.weight)),
        }
    }
    merged.truncate(MOST);
    let is_good = |weight: f64| weight.is_finite() && weight > 0.0;
    merged.retain(|(_, weight)| is_good(*weight));
    let sum: f64 = merged.iter().map(|(_, weight)| weight).sum();
    if !is_good(sum) {
        return Vec::new();
    }
    let mut left = PARTS;
    let last = merged.len().saturating_sub(1);
    for (at, (_, weight)) in merged.iter_mut().enumerate() {
        let parts = if at == last { left } else { (*weight / sum * PARTS).round().min(left) };
        left -= parts;
        *weight = parts;
    }
    merged.retain(|(_, parts)| *parts > 0.0);
    merged
}

/// A single one goes as text, which is weight 1.
pub(super) fn value(loras: &[Lora]) -> Option<Value> {
    match shares(loras).as_slice() {
        [] => None,
        [(model, _)] => Some(json!(model)),
        several => {
            let weights = several.iter().map(|(model, parts)| ((*model).to_owned(), json!(parts / PARTS)));
            Some(Value::Object(weights.collect::<Map<_, _>>()))
        }
    }
}

/// Says what is sent where it is not what was asked.
pub(super) fn warning(loras: &[Lora]) -> Option<Warning> {
    let sent = shares(loras);
    let is_met = |lora: &Lora| {
        let found = sent.iter().find(|(model, _)| *model == lora.model);
        found.is_some_and(|(_, parts)| (parts / PARTS - lora.weight).abs() < 1.0 / PARTS + ROUNDING)
    };
    if loras.iter().all(is_met) {
        return None;
    }
    let list: Vec<_> = sent.iter().map(|(model, parts)| format!("{model} {}", parts / PARTS)).collect();
    let used = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let message = format!("{} takes at most {MOST} LoRAs with weights that add up to 1; sent: {used}.", DIALECT.name);
    Some(Warning::new("extraParams.loras", message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(loras: &[(&str, f64)]) -> (Value, Option<String>) {
        let loras: Vec<_> =
            loras.iter().map(|(model, weight)| Lora { model: (*model).to_owned(), weight: *weight }).collect();
        (value(&loras).unwrap_or_default(), warning(&loras).map(|warning| warning.message))
    }

    #[test]
    fn weights_that_add_up_are_sent_as_they_are() {
        assert_eq!(sent(&[]), (Value::Null, None));
        assert_eq!(sent(&[("o/a", 1.0)]), (json!("o/a"), None));
        assert_eq!(sent(&[("o/a", 0.6), ("o/b", 0.4)]), (json!({ "o/a": 0.6, "o/b": 0.4 }), None));
        let third = 1.0 / 3.0;
        let (thirds, warning) = sent(&[("o/a", third), ("o/b", third), ("o/c", third)]);
        assert_eq!((thirds, warning), (json!({ "o/a": 0.3333, "o/b": 0.3333, "o/c": 0.3334 }), None));
    }

    #[test]
    fn other_weights_are_scaled_and_what_is_sent_is_said() {
        for (asked, expected, words) in [
            (vec![("o/a", 0.8)], json!("o/a"), "sent: o/a 1."),
            (vec![("o/a", 1.0), ("o/b", 1.0)], json!({ "o/a": 0.5, "o/b": 0.5 }), "sent: o/a 0.5, o/b 0.5."),
            (vec![("o/a", 0.9), ("o/b", -0.5)], json!("o/a"), "sent: o/a 1."),
            (
                vec![("o/a", 0.5), ("o/b", 0.3), ("o/a", 0.7)],
                json!({ "o/a": 0.8, "o/b": 0.2 }),
                "sent: o/a 0.8, o/b 0.2.",
            ),
            (vec![("o/a", 0.0), ("o/b", f64::NAN)], Value::Null, "sent: none."),
        ] {
            let (value, warning) = sent(&asked);
            assert_eq!(value, expected, "{asked:?}");
            assert!(warning.as_ref().is_some_and(|text| text.ends_with(words)), "{asked:?}: {warning:?}");
        }
    }

    #[test]
    fn at_most_six_are_sent_and_their_sum_is_exact() {
        let names = ["o/1", "o/2", "o/3", "o/4", "o/5", "o/6", "o/7"];
        let (value, warning) = sent(&names.map(|name| (name, 1.0 / 7.0)));
        let weights: Vec<f64> = value.as_object().unwrap().values().filter_map(Value::as_f64).collect();
        assert_eq!((weights.len(), weights.iter().map(|w| (w * PARTS).round() as u32).sum::<u32>()), (6, 10_000));
        assert!(warning.is_some_and(|text| !text.contains("o/7")));
    }
}
