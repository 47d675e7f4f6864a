//! `POST /text2video` and `POST /image2video`: a request becomes a task, and is answered with its number.

use super::{
    detail::Detail,
    dialect::{Dialect, PLAIN, PRODUCTION},
    fields::Bag,
    ways,
    wish::{self, Wish},
};
use crate::api::{
    create::{Order, accept},
    envelope::ApiError,
    inputs::Given,
    layers::RequestId,
    state::App,
    view,
};
use axum::{
    Extension, Json,
    body::Body,
    extract::{RawQuery, State},
    http::HeaderMap,
};
use pixel_store::{NewClip, StoreError, new_clip_number};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use utoipa::ToSchema;

/// What is tagged in the list of tasks.
const SOURCE: &str = "pixverse";

/// A request for a video. Optional fields have the defaults of the app's settings.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the fields in the document; they are read by name")]
pub struct VideoForm {
    /// At most 2048 characters.
    #[schema(example = "a red kite over a lake")]
    prompt: String,
    #[schema(example = "com.example.app")]
    app_bundle_id: String,
    #[schema(example = "user-1")]
    apphud_user_id: String,
    model: Option<String>,
    /// Seconds.
    duration: Option<u32>,
    /// `360p`, `540p`, `720p` or `1080p`.
    quality: Option<String>,
    /// `16:9`, `4:3`, `1:1`, `3:4` or `9:16`.
    aspect_ratio: Option<String>,
    style: Option<String>,
    template_id: Option<i64>,
    negative_prompt: Option<String>,
    seed: Option<i64>,
}

/// The same with a picture.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the fields in the document; they are read by name")]
pub struct PictureForm {
    #[serde(flatten)]
    fields: VideoForm,
    /// PNG, JPEG or WEBP below 20 MB and at most 4000x4000 pixels; the part may be called `image` as well.
    #[schema(format = Binary, content_media_type = "application/octet-stream")]
    file: String,
}

/// The number by which the video is asked after.
#[derive(Debug, Serialize, ToSchema)]
pub struct VideoNumber {
    #[schema(example = 5_637_240_912_345_678_i64)]
    video_id: i64,
}

/// What a handler hands on.
pub struct Asked {
    request: RequestId,
    query: Option<String>,
    headers: HeaderMap,
    body: Body,
}

macro_rules! route {
    ($name:ident, $path:literal, $dialect:expr, $picture:literal, $form:ty, $kind:literal, $doc:literal) => {
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "apps", request_body(content = $form, content_type = $kind), responses(
            (status = 200, description = "Accepted, and on stable storage", body = VideoNumber),
            (status = 400, description = "A field is missing or wrong; the sentence names it", body = Detail),
            (status = 413, description = "The picture or the body is too large", body = Detail),
            (status = 429, description = "Too many generations of this user; see Retry-After", body = Detail),
            (status = 500, description = "A fault of the server or of its set-up; the sentence names the setting", body = Detail)
        ))]
        pub async fn $name(
            State(app): State<Arc<App>>,
            Extension(request): Extension<RequestId>,
            RawQuery(query): RawQuery,
            headers: HeaderMap,
            body: Body,
        ) -> Result<Json<Value>, ApiError> {
            create(&app, Asked { request, query, headers, body }, $dialect, $picture).await
        }
    };
}

route!(
    text_to_video,
    "/text2video",
    &PLAIN,
    false,
    VideoForm,
    "application/x-www-form-urlencoded",
    "Make a video from a text; a form, parts, JSON or a query."
);
route!(
    image_to_video,
    "/image2video",
    &PLAIN,
    true,
    PictureForm,
    "multipart/form-data",
    "Make a video from a picture and a text."
);
route!(
    prompt_to_video,
    "/pixverse/api/v1/text2video",
    &PRODUCTION,
    false,
    VideoForm,
    "application/x-www-form-urlencoded",
    "Make a video from a text, with the predecessor's names: `promptText`, `appId`, `userId`."
);
route!(
    picture_to_video,
    "/pixverse/api/v1/image2video",
    &PRODUCTION,
    true,
    PictureForm,
    "multipart/form-data",
    "Make a video from a picture and a text, with the predecessor's names."
);

async fn create(
    app: &Arc<App>,
    asked: Asked,
    dialect: &'static Dialect,
    has_picture: bool,
) -> Result<Json<Value>, ApiError> {
    let Asked { request, query, headers, body } = asked;
    let mut bag = Bag::read(app, dialect, query.as_deref(), &headers, body, has_picture).await?;
    let wish = Wish::read(&bag)?;
    let picture = match (has_picture, bag.take_picture()) {
        (true, None) => return Err(ApiError::bad("'file' is required: a PNG, JPEG or WEBP picture.")),
        (_, picture) => picture,
    };
    let rules = wish.rules(&app.settings.apps);
    let card = ways::choose(app, wish.model(rules), rules.way)?;
    let clip = NewClip {
        number: new_clip_number(),
        app: wish.app.clone(),
        caller: wish.user.clone(),
        method: if has_picture { "image2video" } else { "text2video" },
        per_min: rules.per_min,
    };
    let labels = [Some(wish.app.clone()), Some(SOURCE.to_owned()), Some(wish.user.clone())];
    let (mut ask, params) = wish.ask(card, rules, has_picture)?;
    let mut given = Vec::new();
    if let Some(picture) = picture {
        picture.measure().await?;
        // The store has the last word, but a picture that will be refused is not published first.
        if let Some(wait) = app.engine.store().clip_wait(&clip).await? {
            return Err(StoreError::Limited(wait).into());
        }
        given.push(Given::first_frame("file", picture.admit(app).await?));
    }
    ask.inputs = given.iter().map(Given::input).collect();
    let (base, number) = (view::base_url(app, &headers), clip.number);
    let order = Order { ask, given, params, labels, clip: Some(clip) };
    accept(app, request, &base, card, order).await.map_err(wish::in_own_names)?;
    Ok(dialect.accepted(number))
}
