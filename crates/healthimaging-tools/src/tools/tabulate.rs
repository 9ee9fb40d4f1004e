//! Attributes of many image sets as a compact table.

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use healthimaging::{DatastoreId, Error, HealthImaging, Listing, NextToken, Result, Uid};
use healthimaging_workflows::counted;
use healthimaging_workflows::document::Attribute;
use healthimaging_workflows::find::{Criteria, Selection, StudyDate, Text};
use healthimaging_workflows::table::{self, Columns, Grouped, Table};

use super::hierarchy::uncancelled;
use crate::answer::{Link, Reply};
use crate::arguments::{self, Within};
use crate::context::Context;
use crate::listing;
use crate::resources;
use crate::tool::{Effect, Tool};

/// Most columns.
const COLUMNS: usize = 20;

/// Rows of an answer, unless the call asks for more.
const ROWS: usize = 200;

/// Name of the column of image set IDs.
const IMAGE_SET_ID: &str = "image_set_id";

/// Media type of the resource.
pub(crate) const CSV: &str = "text/csv";

/// Tabulate attributes of the image sets that match (latest versions, primary ones), or content of their structured reports such as
/// dose; a row each, or grouped with sums. The linked resource is the whole table as CSV.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TabulateAttributes {
    /// ID or name
    #[serde(skip_serializing_if = "Option::is_none")]
    datastore_id: Option<DatastoreId>,
    /// Keywords or tags
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    attributes: Vec<Attribute>,
    /// Concept names in reports, code or meaning, such as 113813 (CT Dose Length Product Total)
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    content: Vec<Text>,
    /// Some of the attributes: a row a group, with count, sum, min, max, mean of the others over all instances (dates,
    /// times: count, min, max); [] for one row
    #[serde(skip_serializing_if = "Option::is_none")]
    group_by: Option<Vec<Attribute>>,
    /// A row an instance
    #[serde(skip_serializing_if = "Option::is_none")]
    per_instance: Option<bool>,
    /// Patient ID (0010,0020), exact
    #[serde(skip_serializing_if = "Option::is_none")]
    patient_id: Option<Text>,
    /// (0020,000D)
    #[serde(skip_serializing_if = "Option::is_none")]
    study_instance_uid: Option<Uid>,
    /// Such as CT, or CT,MR
    #[serde(skip_serializing_if = "Option::is_none")]
    modality: Option<Text>,
    /// Study has it
    #[serde(skip_serializing_if = "Option::is_none")]
    has_modality: Option<Text>,
    /// First day, YYYYMMDD
    #[serde(skip_serializing_if = "Option::is_none")]
    study_date_from: Option<StudyDate>,
    /// Last day, YYYYMMDD
    #[serde(skip_serializing_if = "Option::is_none")]
    study_date_to: Option<StudyDate>,
    /// Also those that are not primary
    #[serde(skip_serializing_if = "Option::is_none")]
    include_non_primary: Option<bool>,
    /// Default 200
    #[serde(skip_serializing_if = "Option::is_none")]
    max_rows: Option<Within<1, 1000>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

/// The table.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Tabulated {
    columns: Vec<String>,
    rows: Vec<Vec<Value>>,
    /// Rows of the whole table.
    rows_total: usize,
    /// Rows after these.
    rows_left_out: usize,
    image_sets_examined: usize,
    image_sets_matching: usize,
    /// Those whose metadata was read, the newest.
    image_sets_read: usize,
    /// Content items that no instance has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    content_not_found: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<NextToken>,
}

impl TabulateAttributes {
    /// Reads the whole table.
    async fn read(
        &self,
        service: &dyn HealthImaging,
        datastore_id: &DatastoreId,
    ) -> Result<(Table, Grouped)> {
        let wanted = self.attributes.len() + self.content.len();
        if !(1..=COLUMNS).contains(&wanted) {
            return Err(Error::validation(format!(
                "attributes and content: name 1 to {COLUMNS} of them together"
            )));
        }
        let place = |wanted: &Attribute| {
            let at = self.attributes.iter().position(|one| one == wanted);
            at.ok_or_else(|| Error::validation("group_by: name attributes that are in attributes"))
        };
        let by = self.group_by.as_ref();
        let by = by.map(|by| by.iter().map(place).collect::<Result<Vec<_>>>()).transpose()?;
        let criteria = Criteria {
            patient_id: self.patient_id.clone(),
            study_instance_uid: self.study_instance_uid.clone(),
            modality: self.modality.clone(),
            study_date_from: self.study_date_from.clone(),
            study_date_to: self.study_date_to.clone(),
            is_primary: (self.include_non_primary != Some(true)).then_some(true),
            ..Criteria::default()
        };
        let selection =
            Selection { has_modality: self.has_modality.clone(), ..Selection::default() };
        let columns = Columns {
            attributes: self.attributes.clone(),
            content: self.content.clone(),
            per_instance: self.per_instance == Some(true),
        };
        let mut table =
            table::table(service, datastore_id, &criteria, &selection, &columns).await?;
        let shown = if let Some(by) = by {
            table.grouped(&by)?
        } else {
            let mut columns = vec![IMAGE_SET_ID.to_owned()];
            columns.append(&mut table.columns);
            let rows = std::mem::take(&mut table.rows).into_iter().map(|row| {
                let cells = row.cells.into_iter().map(|values| match &values[..] {
                    [] => Value::Null,
                    values => Value::from(values.join("; ")),
                });
                std::iter::once(Value::from(row.image_set_id.as_str())).chain(cells).collect()
            });
            Grouped { columns, rows: rows.collect() }
        };
        Ok((table, shown))
    }
}

impl Tool for TabulateAttributes {
    const NAME: &'static str = "tabulate_attributes";
    const TITLE: &'static str = "Tabulate attributes";
    const EXAMPLE: &'static str = r#"{"datastore_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "modality": "SR", "has_modality": "CT", "study_date_from": "20260101", "attributes": ["StudyDate"], "content": ["113813"], "group_by": ["StudyDate"]}"#;
    const EFFECT: Effect = Effect::Reads;
    type Output = Tabulated;

    async fn call(mut self, context: &Context) -> Result<Reply<Self::Output>> {
        let datastore_id = context.datastore(self.datastore_id.take()).await?;
        self.datastore_id = Some(datastore_id.clone());
        let (wanted, token) = (self.max_rows.take(), self.next_token.take());
        let listing = Listing::of(&(Self::NAME, &self))?;
        let start = listing.after::<usize>(token.as_ref())?.unwrap_or(0);
        let read = self.read(context.service(), &datastore_id);
        let (table, Grouped { columns, rows }) = uncancelled(context, read).await?;
        let link = Link {
            uri: resources::table_uri(&self)?,
            name: "Whole table".to_owned(),
            media_type: CSV.to_owned(),
            size: 0,
            data: None,
        };
        let csv = csv(&columns, &rows);
        let link = Link { size: csv.len() as u64, data: Some(Bytes::from(csv)), ..link };
        let rows_total = rows.len();
        let most = wanted.map_or(ROWS, |most| most.get() as usize);
        let page = listing::page_of(&listing, rows, most, token.as_ref())?;
        let end = start + page.items.len();
        let more = match rows_total - end {
            0 => String::new(),
            left => format!(
                " Cut after row {end}: {left} more; pass next_token, or read the linked CSV."
            ),
        };
        let not_read = table.matching - table.read;
        let unread = match not_read + table.rows_left_out {
            0 => String::new(),
            _ => format!(
                " Not in the table: {} that match, the oldest, and {} of others; narrow the search.",
                counted(not_read, "image set"),
                counted(table.rows_left_out, "row"),
            ),
        };
        let absent = match &table.not_found[..] {
            [] => String::new(),
            names => format!(
                " No instance has a content item named {}; reports name theirs in \
                 ConceptNameCodeSequence, by code or meaning.",
                names.join(", ")
            ),
        };
        let text = format!(
            "{} of {}. Examined: {}.{absent}{more}{unread}",
            counted(rows_total, "row"),
            counted(table.read, "image set"),
            table.examined
        );
        let output = Tabulated {
            columns,
            rows: page.items,
            rows_total,
            rows_left_out: rows_total - end,
            image_sets_examined: table.examined,
            image_sets_matching: table.matching,
            image_sets_read: table.read,
            content_not_found: table.not_found,
            next_token: page.next_token,
        };
        Ok(Reply::new(output, text).with_link(link))
    }
}

/// Reads the table of a URI as CSV.
pub(crate) async fn read_csv(
    service: &dyn HealthImaging,
    arguments: Map<String, Value>,
) -> Result<String> {
    let table: TabulateAttributes = arguments::parse(arguments)?;
    let datastore_id = table
        .datastore_id
        .clone()
        .ok_or_else(|| Error::validation("the URI of a table names its data store"))?;
    let (_, shown) = table.read(service, &datastore_id).await?;
    Ok(csv(&shown.columns, &shown.rows))
}

/// Writes a table in the form of RFC 4180. A text that a spreadsheet would run as a formula begins with an apostrophe, as OWASP
/// recommends ("CSV Injection"); numbers stay as they are.
fn csv(columns: &[String], rows: &[Vec<Value>]) -> String {
    let header: Vec<Value> = columns.iter().map(|name| json!(name)).collect();
    let mut text = String::new();
    for row in std::iter::once(&header).chain(rows) {
        let fields = row.iter().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => field(text),
            other => other.to_string(),
        });
        text += &fields.collect::<Vec<_>>().join(",");
        text += "\r\n";
    }
    text
}

fn field(text: &str) -> String {
    let is_number = |one: &str| one.trim().parse::<f64>().is_ok();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r'])
        && !text.split(['\\', ';']).all(is_number);
    let text = if is_formula { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4180; https://owasp.org/www-community/attacks/CSV_Injection.
    #[test]
    fn no_field_is_a_formula() {
        for (text, expected) in [
            ("CT", "CT"),
            ("a,b", "\"a,b\""),
            ("=HYPERLINK(\"http://x\")", "\"'=HYPERLINK(\"\"http://x\"\")\""),
            ("+1+cmd", "'+1+cmd"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("-1024.5", "-1024.5"),
            ("-1\\0\\0", "-1\\0\\0"),
            ("-1; 2", "-1; 2"),
        ] {
            assert_eq!(field(text), expected);
        }
    }
}
