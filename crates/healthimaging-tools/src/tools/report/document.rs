//! Encapsulated PDF documents: their text, or a page as a picture.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use healthimaging::model::RetrieveBulkdataRequest;
use healthimaging::{DatastoreId, Error, ErrorKind, MemoryBudget, Result, Uid};
use healthimaging_pixels::{PdfContent, PdfPart, PdfPicture};
use healthimaging_render::report::{EncapsulatedDocument, Report};
use healthimaging_render::{Picture, PictureFormat, RenderOptions};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::find::Found;
use super::{Shown, head};
use crate::answer::{Image, Reply};
use crate::arguments::PageNumber;
use crate::context::Context;
use crate::size::{LONGEST_PART, fitting};

/// Longest document, in bytes.
const LONGEST_DOCUMENT: u64 = 64 << 20;

/// Longest side of the picture of a page, in pixels.
const PAGE_SIDE: u32 = 1024;

/// Which pages are shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pages {
    /// Number of the page that is shown as a picture.
    pub(super) number: Option<PageNumber>,
    /// Pages that are skipped where text is shown.
    pub(super) start: usize,
}

/// Text of a page.
#[derive(Debug, Serialize)]
struct PageText {
    page: usize,
    text: String,
}

/// Shows the text of a PDF document, or one page with its picture.
pub(super) async fn pdf(
    context: &Context,
    datastore_id: DatastoreId,
    found: &Found,
    mut report: Report,
    pages: Pages,
) -> Result<Reply<Shown>> {
    let lacking =
        || Error::new(ErrorKind::NotFound, "the instance has no Encapsulated Document (0042,0011)");
    if context.redaction().is_some() {
        return Err(Error::new(
            ErrorKind::AccessDenied,
            "the text and the pages of documents may identify the patient, and are withheld (--redact-phi)",
        ));
    }
    let document = report.document.take().ok_or_else(lacking)?;
    let bytes = bytes(context, &datastore_id, found, document).await?;
    let members = head(found, &report)?;
    let first = u32::try_from(pages.start).unwrap_or(u32::MAX).saturating_add(1);
    let part =
        pages.number.map_or(PdfPart::Text(first), |number| PdfPart::Page(number.get(), PAGE_SIDE));
    let lease = MemoryBudget::process().work(2 * bytes.len() as u64).await;
    let decoder = context.decoder().clone();
    let read = tokio::task::spawn_blocking(move || {
        let _lease = lease;
        decoder.read_pdf(&bytes, part)
    })
    .await
    .map_err(|error| Error::internal("reading the PDF document failed", error))??;
    match pages.number {
        Some(number) => page(datastore_id, members, read, number.get()),
        None => text(datastore_id, members, read, pages.start),
    }
}

async fn bytes(
    context: &Context,
    datastore_id: &DatastoreId,
    found: &Found,
    document: EncapsulatedDocument,
) -> Result<Vec<u8>> {
    match document {
        EncapsulatedDocument::Inline(base64) => STANDARD
            .decode(base64)
            .map_err(|error| Error::internal("the DICOM JSON of an instance is invalid", error)),
        EncapsulatedDocument::BulkData(bulkdata_id) => {
            let request = RetrieveBulkdataRequest {
                datastore_id: datastore_id.clone(),
                study_instance_uid: Uid::try_from(found.study_instance_uid.as_str())?,
                series_instance_uid: Uid::try_from(found.series_instance_uid.as_str())?,
                sop_instance_uid: Uid::try_from(found.sop_instance_uid.as_str())?,
                image_set_id: found.image_set_id.clone(),
                bulkdata_id,
            };
            let found = context.dicomweb().retrieve_bulkdata(request).await?;
            Ok(found.bulkdata.collect(LONGEST_DOCUMENT).await?.to_vec())
        }
    }
}

fn text(
    datastore_id: DatastoreId,
    mut members: Map<String, Value>,
    content: PdfContent,
    start: usize,
) -> Result<Reply<Shown>> {
    let page_count = content.page_count as usize;
    let texts = content.texts.into_iter().enumerate();
    let mut pages: Vec<PageText> =
        texts.map(|(at, text)| PageText { page: start + at + 1, text }).collect();
    pages.truncate(fitting(&pages, LONGEST_PART)?.max(1));
    let end = start + pages.len();
    let next_start = (end < page_count).then_some(end);
    let mut summary =
        format!("A PDF document: the text of pages {} to {end} of {page_count}.", start + 1);
    if pages.iter().all(|page| page.text.trim().is_empty()) {
        summary += " They have no text; page shows one as a picture.";
    }
    if next_start.is_some() {
        summary += " Pass next_start as start to continue.";
    }
    members.insert("number_of_pages".to_owned(), page_count.into());
    members.insert("pages".to_owned(), json!(pages));
    Ok(Reply::new(Shown { datastore_id, members, next_start }, summary))
}

fn page(
    datastore_id: DatastoreId,
    mut members: Map<String, Value>,
    mut content: PdfContent,
    number: u32,
) -> Result<Reply<Shown>> {
    let lost = || Error::internal("the picture of the page is invalid", "its size");
    let PdfPicture { rows, columns, rgb } = content.picture.take().ok_or_else(lost)?;
    let picture = Picture::of_rgb(rows, columns, rgb).ok_or_else(lost)?;
    let format = PictureFormat::Png;
    let data = picture.encode(format, RenderOptions::default().quality)?;
    let text = content.texts.pop().unwrap_or_default();
    for (name, value) in [
        ("number_of_pages", Value::from(content.page_count)),
        ("page", number.into()),
        ("rows", rows.into()),
        ("columns", columns.into()),
        ("text", text.into()),
    ] {
        members.insert(name.to_owned(), value);
    }
    let summary = format!("Page {number} of {} of a PDF document.", content.page_count);
    let reply = Reply::new(Shown { datastore_id, members, next_start: None }, summary);
    Ok(reply.with_image(Image { data, media_type: format.media_type().to_owned() }))
}
