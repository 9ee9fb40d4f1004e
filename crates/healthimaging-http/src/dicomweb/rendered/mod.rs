//! Rendered resources and thumbnails (`PS3.18 §10.4.1.1.3`, `§10.4.1.1.4`), which AWS HealthImaging does not have: pictures
//! of frames, windowed, cropped and scaled by the query.

mod media;
mod parameters;
mod renderer;
mod representative;

use std::sync::Arc;

use axum::response::Response;
use bytes::Bytes;
use futures::future;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use healthimaging::model::SearchLevel;
use healthimaging::{Body, DatastoreId, Error, ErrorKind, Result, Uid};
use healthimaging_render::RenderOptions;
use http::{HeaderValue, header};

pub(crate) use renderer::Renderer;

use super::hierarchy::{listed, nothing, reject_image_set};
use super::part::{Part, Urls};
use super::{multipart, retrieve};
use crate::call::Call;
use crate::content::typed;
use crate::entity_tag::{tag, validated};
use media::Media;
use parameters::Parameters;
use renderer::{Frame, Image, Place};

/// Pictures of a multipart that are made at the same time.
const AHEAD: usize = 2;

/// A frame, from 1, of an image.
type Which = (Arc<Image>, u32);

/// Returns frames as pictures.
pub(super) async fn frames(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    let numbers = retrieve::frame_numbers(&call.text("frames"))?;
    let parameters = Parameters::parse(call.pairs())?;
    let media = match numbers[..] {
        [_] => Media::of_one(&call.headers)?,
        _ => Media::of_several(&call.headers)?,
    };
    let image = image_of_frames(&renderer, &call).await?;
    let options = parameters.options(media.format);
    if let ([number], false) = (&numbers[..], media.is_multipart) {
        let frame = renderer.frame(image, *number, options).await?;
        return one(&renderer, &call, frame, media).await;
    }
    // All numbers are checked before the first part: afterwards, a refusal could only cut the answer.
    renderer.require_frames(&image, &numbers).await?;
    let which = stream::iter(numbers).map(move |number| Ok((Arc::clone(&image), number)));
    several(renderer, which.boxed(), options, media, Urls::of(&call)?).await
}

/// Returns an instance as a picture: one of its frames, or each as a part of a multipart.
pub(super) async fn instance(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    let parameters = Parameters::parse(call.pairs())?;
    let media = Media::of_one(&call.headers)?;
    let image = renderer.image(place(&call)?).await?;
    let options = parameters.options(media.format);
    if media.is_multipart {
        let urls = Urls::of(&call)?;
        return several(renderer, all_frames(image).boxed(), options, media, urls).await;
    }
    let number = representative_frame(&image);
    let frame = renderer.frame(image, number, options).await?;
    one(&renderer, &call, frame, media).await
}

/// Returns every frame of a series as a multipart.
pub(super) async fn series(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    let level = SearchLevel::Instances(Some(call.path("study")?), Some(call.path("series")?));
    instances(renderer, call, level).await
}

/// Returns every frame of a study as a multipart.
pub(super) async fn study(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    reject_image_set(&call)?;
    let level = SearchLevel::Instances(Some(call.path("study")?), None);
    instances(renderer, call, level).await
}

/// Returns every frame of the images among the instances of a level.
async fn instances(renderer: Arc<Renderer>, call: Call, level: SearchLevel) -> Result<Response> {
    let parameters = Parameters::parse(call.pairs())?;
    let media = Media::of_several(&call.headers)?;
    let study: Uid = call.path("study")?;
    let listed = listed(&*renderer.web, &call, level).await?;
    if listed.is_empty() {
        return Err(nothing());
    }
    let (datastore_id, image_set_id) = (call.path("datastoreId")?, call.query("imageSetId")?);
    let fetching = Arc::clone(&renderer);
    let images = stream::iter(listed).then(move |one| {
        let place = Place {
            datastore_id: DatastoreId::clone(&datastore_id),
            study: study.clone(),
            series: one.series,
            sop: one.sop,
            image_set_id: image_set_id.clone(),
        };
        let renderer = Arc::clone(&fetching);
        async move { renderer.image(place).await }
    });
    let which = images.map_ok(all_frames).try_flatten();
    let options = parameters.options(media.format);
    several(renderer, which.boxed(), options, media, Urls::of(&call)?).await
}

/// Returns the thumbnail of a frame.
pub(super) async fn frame_thumbnail(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    let [number] = retrieve::frame_numbers(&call.text("frames"))?[..] else {
        return Err(Error::validation("a thumbnail is of one frame"));
    };
    let image = image_of_frames(&renderer, &call).await?;
    thumbnail(&renderer, &call, image, number).await
}

/// Returns the thumbnail of an instance.
pub(super) async fn instance_thumbnail(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    let place = place(&call)?;
    representative_thumbnail(&renderer, &call, vec![place]).await
}

/// Returns the thumbnail of a series.
pub(super) async fn series_thumbnail(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    let places = representative::of_series(&renderer, &call).await?;
    representative_thumbnail(&renderer, &call, places).await
}

/// Returns the thumbnail of a study.
pub(super) async fn study_thumbnail(renderer: Arc<Renderer>, call: Call) -> Result<Response> {
    reject_image_set(&call)?;
    let places = representative::of_study(&renderer, &call).await?;
    representative_thumbnail(&renderer, &call, places).await
}

/// Returns the thumbnail of the first of these instances that can be shown.
async fn representative_thumbnail(
    renderer: &Renderer,
    call: &Call,
    places: Vec<Place>,
) -> Result<Response> {
    // No other instance makes up for a faulty request.
    Parameters::of_thumbnail(call.pairs())?;
    Media::of_thumbnail(&call.headers)?;
    let mut refusal = None;
    for place in places {
        let shown = async {
            let image = renderer.image(place).await.map_err(without_image)?;
            let number = representative_frame(&image);
            thumbnail(renderer, call, image, number).await
        };
        match shown.await {
            Err(error) if is_unusable(&error) => refusal = refusal.or(Some(error)),
            answer => return answer,
        }
    }
    Err(refusal.unwrap_or_else(nothing))
}

async fn thumbnail(
    renderer: &Renderer,
    call: &Call,
    image: Arc<Image>,
    number: u32,
) -> Result<Response> {
    let parameters = Parameters::of_thumbnail(call.pairs())?;
    let media = Media::of_thumbnail(&call.headers)?;
    let options = parameters.thumbnail_options(media.format);
    let frame = renderer.frame(image, number, options).await?;
    one(renderer, call, frame, media).await
}

/// Returns a picture as the whole response; 304 if the client has it.
async fn one(renderer: &Renderer, call: &Call, frame: Frame, media: Media) -> Result<Response> {
    let content_type = media.format.media_type();
    if let Some(tag) = frame.tag.clone() {
        let answer = async { Ok(typed(renderer.picture(frame).await?.into(), content_type)) };
        return validated(&call.headers, Some(tag), answer).await;
    }
    // Without a name of the content, the picture itself is compared.
    let picture: Bytes = renderer.picture(frame).await?;
    let tag = tag(&[&picture, content_type.as_bytes()]);
    let answer = async { Ok(typed(picture.into(), content_type)) };
    validated(&call.headers, Some(tag), answer).await
}

/// Returns pictures as a multipart, which are made while it is read. Instances and frames that cannot be shown are left out.
async fn several(
    renderer: Arc<Renderer>,
    which: BoxStream<'static, Result<Which>>,
    options: RenderOptions,
    media: Media,
    urls: Urls,
) -> Result<Response> {
    let content_type = media.format.media_type();
    let pictures = which.map(move |which| {
        let (renderer, urls) = (Arc::clone(&renderer), urls.clone());
        async move {
            let (image, number) = which?;
            let location = image.location(&urls, number);
            let frame = renderer.frame(image, number, options).await?;
            let body = Body::from(renderer.picture(frame).await?);
            Ok(Part { media: content_type.to_owned(), location, body })
        }
    });
    let mut pictures = pictures.buffered(AHEAD).boxed();
    // The first one is awaited, so that an immediate failure is an error, and so is no picture at all.
    let mut refusal = None;
    let first = loop {
        match pictures.next().await {
            Some(Err(error)) if is_unusable(&error) => refusal = refusal.or(Some(error)),
            Some(picture) => break picture?,
            None => return Err(refusal.unwrap_or_else(nothing)),
        }
    };
    let pictures =
        pictures.filter(|picture| future::ready(!picture.as_ref().is_err_and(is_unusable)));
    let parts = stream::once(future::ok(first)).chain(pictures).boxed();
    let mut response = multipart::response(content_type, parts).await?;
    let private = HeaderValue::from_static("private, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, private);
    Ok(response)
}

/// Whether there is no picture of an instance or frame.
fn is_unavailable(error: &Error) -> bool {
    error.kind() == ErrorKind::NotAcceptable
}

/// Whether the fault is of the instance or frame itself, so that others may have pictures still: it has none, or its pixel
/// data is absent, cut or damaged.
fn is_unusable(error: &Error) -> bool {
    let kind = error.kind();
    is_unavailable(error)
        || matches!(kind, ErrorKind::NotFound | ErrorKind::Validation | ErrorKind::NotSupported)
}

/// Returns the instance of a request.
fn place(call: &Call) -> Result<Place> {
    Ok(Place {
        datastore_id: call.path("datastoreId")?,
        study: call.path("study")?,
        series: call.path("series")?,
        sop: call.path("instance")?,
        image_set_id: call.query("imageSetId")?,
    })
}

/// Returns the image of a request for frames: an instance without one has none of them.
async fn image_of_frames(renderer: &Renderer, call: &Call) -> Result<Arc<Image>> {
    renderer.image(place(call)?).await.map_err(without_image)
}

/// A resource of an instance without an image does not exist.
fn without_image(error: Error) -> Error {
    if is_unavailable(&error) { Error::not_found(error.message().to_owned()) } else { error }
}

fn representative_frame(image: &Image) -> u32 {
    u32::try_from(image.attributes.representative_frame()).unwrap_or(1)
}

fn all_frames(image: Arc<Image>) -> BoxStream<'static, Result<Which>> {
    let count = u32::try_from(image.attributes.number_of_frames()).unwrap_or(u32::MAX);
    let ended = Arc::clone(&image);
    let numbers = (1..=count).take_while(move |_| !ended.has_ended());
    stream::iter(numbers).map(move |number| Ok((Arc::clone(&image), number))).boxed()
}
