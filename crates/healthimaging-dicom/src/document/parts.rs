//! A document in parts: what stands around the instances of each series, and the instances, some at a time.
//! Joined in their order they are what [`Document::to_json`] writes.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use healthimaging::{
    ATTRIBUTES, AttributeLevel, DatastoreId, Error, ImageSetId, QueryLevel, Result,
};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::transport::{DocumentOut, InstanceOut, OneSeries, PatientOut, Sorted, StudyOut};
use super::{Document, Instance, Series, index};

/// Where an instance stands among those of its series: by `InstanceNumber`, those without one last, and of
/// the same number by `SOPInstanceUID`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InstanceOrder {
    /// `InstanceNumber`, where it is one.
    pub number: Option<i64>,
    /// `SOPInstanceUID`.
    pub sop_uid: String,
}

impl Ord for InstanceOrder {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |order: &Self| (order.number.is_none(), order.number);
        key(self).cmp(&key(other)).then_with(|| self.sop_uid.cmp(&other.sop_uid))
    }
}

impl PartialOrd for InstanceOrder {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Of each attribute of the instances that the summary of an image set shows, the first value in the order of
/// `SOPInstanceUID`: keyword → UID and value.
pub type FirstValues = BTreeMap<String, (String, String)>;

impl Series {
    /// The instances in the order of the document's JSON.
    #[must_use]
    pub fn in_order(&self) -> Vec<(InstanceOrder, &Instance)> {
        let mut all: Vec<_> =
            self.instances.iter().map(|(uid, one)| (order(uid, one), one)).collect();
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        all
    }

    /// Where an instance stands; `None` if it is not here.
    #[must_use]
    pub fn order_of(&self, sop_uid: &str) -> Option<InstanceOrder> {
        Some(order(sop_uid, self.instances.get(sop_uid)?))
    }
}

fn order(sop_uid: &str, instance: &Instance) -> InstanceOrder {
    let number = index::integer(&instance.attributes, "InstanceNumber");
    InstanceOrder { number, sop_uid: sop_uid.to_owned() }
}

impl Document {
    /// What stands before, between and behind the instances of each series: one more than there are series,
    /// in the order of their UIDs.
    ///
    /// # Errors
    /// `Internal` if the document cannot be written.
    pub fn around_instances(
        &self,
        datastore_id: &DatastoreId,
        image_set_id: &ImageSetId,
    ) -> Result<Vec<Vec<u8>>> {
        let written = Cell::new(0);
        let places = RefCell::new(Vec::new());
        let series = SeriesAround { series: &self.series, written: &written, places: &places };
        let document = DocumentOut {
            schema_version: "1.1",
            datastore_id,
            image_set_id,
            patient: PatientOut { dicom: Sorted(&self.patient) },
            study: StudyOut { dicom: Sorted(&self.study), series },
        };
        let mut json = Vec::new();
        serde_json::to_writer(Counted { to: &mut json, written: &written }, &document)
            .map_err(unwritable)?;
        let mut parts = Vec::new();
        // From the end: what is cut off is behind.
        for place in places.into_inner().into_iter().rev() {
            parts.push(json.split_off(place));
        }
        parts.push(json);
        parts.reverse();
        Ok(parts)
    }
}

impl Instance {
    /// What the summary of an image set shows of these instances.
    #[must_use]
    pub fn first_values<'a>(instances: impl Iterator<Item = (&'a str, &'a Self)>) -> FirstValues {
        let mut first = FirstValues::new();
        for (uid, instance) in instances {
            for attribute in ATTRIBUTES.iter().filter(|one| {
                one.level == AttributeLevel::Instance
                    && one.query_level != QueryLevel::Instance
                    && one.is_summarized()
            }) {
                let key = attribute.keyword;
                let Some(value) = index::text(&instance.attributes, key) else { continue };
                let known = first.get(key);
                if known.is_none_or(|(known, _)| uid < known.as_str()) {
                    first.insert(key.to_owned(), (uid.to_owned(), value.to_owned()));
                }
            }
        }
        first
    }

    /// Writes instances as members of the object that holds those of a series, without its braces.
    ///
    /// # Errors
    /// `Internal` if they cannot be written.
    pub fn write_members<'a>(
        instances: impl Iterator<Item = (&'a str, &'a Self)>,
    ) -> Result<Vec<u8>> {
        let mut json = Vec::new();
        let mut to = serde_json::Serializer::new(&mut json);
        let members = instances.map(|(uid, instance)| (uid, InstanceOut::from(instance)));
        to.collect_map(members).map_err(unwritable)?;
        json.pop();
        if !json.is_empty() {
            json.remove(0);
        }
        Ok(json)
    }

    /// Where each instance is in the object that holds those of a series, by `SOPInstanceUID`.
    ///
    /// # Errors
    /// `Internal` if the text is damaged.
    pub fn places(object: &[u8]) -> Result<BTreeMap<String, Range<usize>>> {
        let read: BTreeMap<String, &RawValue> = serde_json::from_slice(object).map_err(damaged)?;
        let base = object.as_ptr().addr();
        let place = |raw: &RawValue| {
            let start = raw.get().as_ptr().addr() - base;
            start..start + raw.get().len()
        };
        Ok(read.into_iter().map(|(uid, raw)| (uid, place(raw))).collect())
    }

    /// Reads an instance that [`Self::write_members`] wrote, without its details.
    ///
    /// # Errors
    /// `Internal` if the text is damaged.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        read(json)
    }

    /// Reads the object that holds the instances of a series, without their details.
    ///
    /// # Errors
    /// `Internal` if the text is damaged.
    pub fn all_from_json(object: &[u8]) -> Result<BTreeMap<String, Self>> {
        read(object)
    }
}

/// For texts of this program's own: nesting is not limited.
fn read<'de, T: serde::Deserialize<'de>>(json: &'de [u8]) -> Result<T> {
    let mut source = serde_json::Deserializer::from_slice(json);
    source.disable_recursion_limit();
    let read = T::deserialize(&mut source);
    read.and_then(|read| source.end().map(|()| read)).map_err(damaged)
}

fn damaged(error: serde_json::Error) -> Error {
    Error::internal("the stored metadata document is damaged", error)
}

fn unwritable(error: serde_json::Error) -> Error {
    Error::internal("the metadata document could not be written", error)
}

struct SeriesAround<'a> {
    series: &'a BTreeMap<String, Series>,
    written: &'a Cell<usize>,
    places: &'a RefCell<Vec<usize>>,
}

impl Serialize for SeriesAround<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.series.iter().map(|(uid, series)| {
            let instances = Place { written: self.written, places: self.places };
            (uid, OneSeries { dicom: Sorted(&series.attributes), instances })
        }))
    }
}

/// An empty object, whose inside is noted.
struct Place<'a> {
    written: &'a Cell<usize>,
    places: &'a RefCell<Vec<usize>>,
}

impl Serialize for Place<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.places.borrow_mut().push(self.written.get() + 1);
        to.serialize_map(Some(0))?.end()
    }
}

struct Counted<'a, W> {
    to: W,
    written: &'a Cell<usize>,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.written.set(self.written.get() + written);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn document(series: &BTreeMap<u8, BTreeMap<u16, Option<i64>>>) -> Document {
        let series = series.iter().map(|(uid, instances)| {
            let instances = instances.iter().map(|(uid, number)| {
                let mut attributes = json!({"Rows": 2, "ImageComments": "a \"ü\" {}\\"});
                if let Some(number) = number {
                    attributes["InstanceNumber"] = Value::from(number.to_string());
                }
                (format!("1.{uid}"), json!({"DICOM": attributes}))
            });
            let instances: serde_json::Map<_, _> = instances.collect();
            let attributes = json!({"SeriesDescription": "\"Instances\":{}"});
            (format!("2.{uid}"), json!({"DICOM": attributes, "Instances": instances}))
        });
        let series: serde_json::Map<_, _> = series.collect();
        let json = json!({"Patient": {"DICOM": {"PatientName": "{}"}},
            "Study": {"DICOM": {"StudyInstanceUID": "1.2"}, "Series": series}});
        Document::from_json(json.to_string().as_bytes(), BTreeMap::new()).unwrap()
    }

    proptest! {
        #[test]
        fn parts_joined_are_the_whole(
            series in btree_map(any::<u8>(), btree_map(any::<u16>(), any::<Option<i64>>(), 0..6), 0..4),
            cuts in vec(1..4_usize, 0..8),
        ) {
            let document = document(&series);
            let ids = ("0".repeat(32).parse().unwrap(), "1".repeat(32).parse().unwrap());
            let around = document.around_instances(&ids.0, &ids.1).unwrap();
            prop_assert_eq!(around.len(), document.series.len() + 1);
            let mut joined = around[0].clone();
            let mut cuts = cuts.into_iter();
            for (series, behind) in document.series.values().zip(&around[1..]) {
                let mut rest = &series.in_order()[..];
                while !rest.is_empty() {
                    let (some, others) = rest.split_at(cuts.next().unwrap_or(9).min(rest.len()));
                    let some = some.iter().map(|(order, one)| (order.sop_uid.as_str(), *one));
                    let members = Instance::write_members(some.clone()).unwrap();
                    let object = [b"{", &members[..], b"}"].concat();
                    let read = Instance::all_from_json(&object).unwrap();
                    for ((uid, place), (order, one)) in
                        Instance::places(&object).unwrap().iter().zip(read.iter())
                    {
                        prop_assert_eq!(uid, order);
                        prop_assert_eq!(&Instance::from_json(&object[place.clone()]).unwrap(), one);
                        prop_assert_eq!(&series.instances[uid], one);
                    }
                    prop_assert_eq!(read.len(), some.count());
                    joined.extend(members);
                    if !others.is_empty() {
                        joined.push(b',');
                    }
                    rest = others;
                }
                joined.extend(behind);
            }
            let whole = document.to_json(&ids.0, &ids.1).unwrap();
            prop_assert_eq!(String::from_utf8(joined).unwrap(), String::from_utf8(whole).unwrap());
        }
    }
}
