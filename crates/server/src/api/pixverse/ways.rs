//! Who makes a clip: the platform's key, the consumer account, or the sandbox in their place.

use crate::{
    api::{body::clip, envelope::ApiError, state::App},
    config::{self, ACCOUNT, VENDOR, Way},
};
use axum::http::StatusCode;
use pixel_core::catalog::Model;

/// The card of a model, of the first way that can be used. With none of them it is a fault of the
/// set-up, and the sentence names the setting.
pub fn choose<'a>(app: &'a App, model: &str, way: Way) -> Result<&'a Model, ApiError> {
    let [key, account] = config::cards(&app.catalog, model);
    if key.is_none() && account.is_none() || model.starts_with(ACCOUNT) {
        let must = config::models(&app.catalog).join(", ");
        return Err(ApiError::bad(format!("'model' must be one of {must}, got: '{}'.", clip(model))));
    }
    let ways = match way {
        Way::Auto => [key, account],
        Way::Key => [key, None],
        Way::Account => [account, None],
    };
    let cards: Vec<&Model> = ways.into_iter().flatten().collect();
    // Of the sandbox there is one way only.
    let stands_in = key.or(account).filter(|_| app.settings.sandbox);
    let usable = cards.iter().copied().find(|card| app.offer(card).disabled.is_none());
    usable.or(stands_in.filter(|card| app.offer(card).disabled.is_none())).ok_or_else(|| {
        let why: Vec<String> = cards.iter().filter_map(|card| app.offer(card).disabled).collect();
        let why = match why.is_empty() {
            true => format!("pixverse.way is \"account\", and the catalogue has no '{VENDOR}/{ACCOUNT}{model}'"),
            false => why.join("; or "),
        };
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("No video can be made: {why}."))
    })
}
