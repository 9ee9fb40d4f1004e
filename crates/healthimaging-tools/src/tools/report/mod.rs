//! Reports: structured ones, key object selections, presentation states and encapsulated documents.

mod document;
mod find;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use healthimaging::model::InstanceMetadataRequest;
use healthimaging::{DatastoreId, Error, ImageSetId, MemoryBudget, Result, Uid};
use healthimaging_pixels::{PdfError, READS_PDF};
use healthimaging_render::report::{LONGEST_REPORT, Report, ReportKind, Table};

use crate::answer::{Reply, to_object};
use crate::arguments::PageNumber;
use crate::context::Context;
use crate::size::{LONGEST_PART, fitting, size_of};
use crate::tool::{Effect, Tool};
use find::{Found, Wanted};

/// Bytes of memory for each byte of DICOM JSON, about.
const MEMORY_PER_BYTE: u64 = 16;

/// Read a structured or dose report, key object selection, presentation state or PDF; several are listed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetReport {
    /// ID or name
    datastore_id: Option<DatastoreId>,
    study_instance_uid: Option<Uid>,
    series_instance_uid: Option<Uid>,
    sop_instance_uid: Option<Uid>,
    /// One that is not primary
    image_set_id: Option<ImageSetId>,
    /// table: measurements, doses; json: codes
    format: Option<Format>,
    /// Of a PDF, as picture
    page: Option<PageNumber>,
    /// next_start
    start: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Format {
    Text,
    Table,
    Json,
}

/// A report, or a list of reports.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Shown {
    datastore_id: DatastoreId,
    #[serde(flatten)]
    members: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start: Option<usize>,
}

impl Tool for GetReport {
    const NAME: &'static str = "get_report";
    const TITLE: &'static str = "Get report";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "study_instance_uid": "1.2.826.0.1.3680043.8.498.1"}"#;
    const EFFECT: Effect = Effect::Reads;
    const HAS_PICTURES: bool = true;
    type Output = Shown;

    async fn call(self, context: &Context) -> Result<Reply<Self::Output>> {
        let (study, series) = (self.study_instance_uid, self.series_instance_uid);
        let instance = self.sop_instance_uid;
        let image_set = self.image_set_id;
        if study.is_none() && series.is_none() && instance.is_none() && image_set.is_none() {
            return Err(Error::validation(
                "name a report, or what holds it, in sop_instance_uid, series_instance_uid, study_instance_uid or \
                 image_set_id",
            ));
        }
        let is_named = instance.is_some();
        let datastore_id = context.datastore(self.datastore_id).await?;
        let is_of_set = image_set.is_some();
        let wanted = Wanted { datastore_id, study, series, instance, image_set };
        let found = wanted.find(context.service(), context.dicomweb()).await?;
        let datastore_id = wanted.datastore_id;
        let start = self.start.unwrap_or(0) as usize;
        match &found[..] {
            [] if is_of_set => Err(Error::not_found(
                "the image set has no such report, document, key object selection or presentation state",
            )),
            [] => Err(Error::not_found(if is_named {
                "the primary image sets of the data store have no such instance"
            } else {
                "the primary image sets of the data store have no report, document, key object \
                 selection or presentation state of that study or series"
            })),
            [only] => {
                let report = read(context, &datastore_id, only).await?;
                let is_pdf = report.header.kind == ReportKind::EncapsulatedPdf;
                if is_pdf && READS_PDF {
                    let pages = document::Pages { number: self.page, start };
                    return document::pdf(context, datastore_id, only, report, pages).await;
                }
                if self.page.is_some() {
                    return Err(if is_pdf {
                        PdfError::Unsupported.into()
                    } else {
                        Error::validation("page only works with PDF documents; omit it")
                    });
                }
                answer(datastore_id, only, &report, self.format.unwrap_or(Format::Text), start)
            }
            _ => list(datastore_id, &found, start),
        }
    }
}

/// Reads a report.
async fn read(context: &Context, datastore_id: &DatastoreId, found: &Found) -> Result<Report> {
    let request = InstanceMetadataRequest {
        datastore_id: datastore_id.clone(),
        study_instance_uid: Uid::try_from(found.study_instance_uid.as_str())?,
        series_instance_uid: Uid::try_from(found.series_instance_uid.as_str())?,
        sop_instance_uid: Uid::try_from(found.sop_instance_uid.as_str())?,
        image_set_id: found.image_set_id.clone(),
    };
    let json = context.dicomweb().instance_metadata(request).await?.collect(LONGEST_REPORT).await?;
    let memory = (json.len() as u64).saturating_mul(MEMORY_PER_BYTE);
    let lease = MemoryBudget::process().work(memory).await;
    tokio::task::spawn_blocking(move || {
        let _lease = lease;
        Report::from_dicom_json(&json)
    })
    .await
    .map_err(|error| Error::internal("reading the report failed", error))?
}

/// Lists several reports.
fn list(datastore_id: DatastoreId, found: &[Found], start: usize) -> Result<Reply<Shown>> {
    let rest = rest(found, start)?;
    let fits = fitting(rest, LONGEST_PART)?.max(1);
    let next_start = (fits < rest.len()).then_some(start + fits);
    let summary = format!(
        "There are {} reports and documents; name one in sop_instance_uid to read it.",
        found.len()
    );
    let reports = rest.get(..fits).unwrap_or(rest);
    let members = to_object(&json!({ "reports": reports }))?;
    Ok(Reply::new(Shown { datastore_id, members, next_start }, summary))
}

/// Shows a report from a line, row or item on.
fn answer(
    datastore_id: DatastoreId,
    found: &Found,
    report: &Report,
    format: Format,
    start: usize,
) -> Result<Reply<Shown>> {
    let kind = report.header.kind;
    let mut members = head(found, report)?;
    let (part, all) = match format {
        Format::Text => {
            let (lines, all) = part(&report.lines, start)?;
            members.insert("text".to_owned(), Value::from(lines.join("\n")));
            ((lines.len(), "lines"), all)
        }
        Format::Json if kind == ReportKind::PresentationState => {
            let (references, all) = part(&report.references, start)?;
            members.insert("references".to_owned(), json!(references));
            ((references.len(), "references"), all)
        }
        Format::Json => {
            let (items, all) = part(&report.items, start)?;
            members.insert("items".to_owned(), json!(items));
            ((items.len(), "items"), all)
        }
        Format::Table => {
            let (tables, count, all) = rows(&report.tables, start)?;
            members.insert("tables".to_owned(), json!(tables));
            ((count, "rows"), all)
        }
    };
    let (count, noun) = part;
    let end = start + count;
    let next_start = (end < all).then_some(end);
    let mut summary = match all {
        0 => format!("A {}.", kind.name()),
        _ => format!("A {}: {noun} {} to {end} of {all}.", kind.name(), start + 1),
    };
    if next_start.is_some() {
        summary += " Pass next_start as start to continue.";
    }
    if report.document.is_some() {
        if kind == ReportKind::EncapsulatedPdf {
            summary += " This build of the server does not read the pages of PDF documents.";
        }
        summary += " It is not shown; exports and DICOMweb return it.";
    }
    Ok(Reply::new(Shown { datastore_id, members, next_start }, summary))
}

/// Returns what all reports have: their UIDs, and what the root says.
fn head(found: &Found, report: &Report) -> Result<Map<String, Value>> {
    let mut members = Map::new();
    for (name, value) in [
        ("study_instance_uid", &found.study_instance_uid),
        ("series_instance_uid", &found.series_instance_uid),
        ("sop_instance_uid", &found.sop_instance_uid),
    ] {
        members.insert(name.to_owned(), Value::from(value.as_str()));
    }
    members.extend(to_object(&report.header)?);
    Ok(members)
}

/// Returns as many items from a place on as an answer holds, and the number of all.
fn part<T: Serialize>(items: &[T], start: usize) -> Result<(&[T], usize)> {
    let rest = rest(items, start)?;
    let fits = fitting(rest, LONGEST_PART)?.max(1);
    Ok((rest.get(..fits).unwrap_or(rest), items.len()))
}

fn rest<T>(items: &[T], start: usize) -> Result<&[T]> {
    if start > 0 && start >= items.len() {
        return Err(Error::validation("start is after the end; it is next_start of an answer"));
    }
    Ok(items.get(start..).unwrap_or_default())
}

/// As [`part`], with the rows of tables.
fn rows(tables: &[Table], start: usize) -> Result<(Vec<Table>, usize, usize)> {
    let all: usize = tables.iter().map(|table| table.rows.len()).sum();
    if start > 0 && start >= all {
        return Err(Error::validation("start is after the end; it is next_start of an answer"));
    }
    let (mut shown, mut count, mut skipped, mut room) = (Vec::new(), 0, start, LONGEST_PART);
    for table in tables {
        let rest = table.rows.get(skipped.min(table.rows.len())..).unwrap_or_default();
        skipped -= skipped.min(table.rows.len());
        let head = size_of(&(&table.name, &table.columns))?;
        let mut fits = fitting(rest, room.saturating_sub(head))?;
        if count == 0 {
            fits = fits.max(1).min(rest.len());
        }
        let rows = rest.get(..fits).unwrap_or_default().to_vec();
        if rest.is_empty() {
            continue;
        }
        if rows.is_empty() {
            break;
        }
        room = room.saturating_sub(head + size_of(&rows)?);
        count += rows.len();
        shown.push(Table { rows, name: table.name.clone(), columns: table.columns.clone() });
        if fits < rest.len() {
            break;
        }
    }
    Ok((shown, count, all))
}
