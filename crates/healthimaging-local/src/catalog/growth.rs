//! A document in blocks that instances join: only the blocks that they belong to are read and written.
//!
//! It is the same as if the whole document were read: an instance that joins others changes neither them nor
//! the levels, unless it replaces one (`Document::add`). What replaces, joins the whole document.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use healthimaging_dicom::{Document, IndexAttributes, InstanceIndex, InstanceOrder};

use super::blocks::{self, BlockContent, BlockRow, Blocks, NewBlock};
use super::content::{Content, StoredContent, damaged};
use super::cut::{self, counted};
use super::db::Reader;
use super::documents::{text_length, unpack};
use super::image_sets::VersionRow;
use crate::error::Result;
use crate::quotas::{Quotas, within};

/// An instance that joins: its series, and its place there.
pub(crate) type Joining = (String, InstanceOrder);

/// What is read of a document that instances join.
#[derive(Debug)]
pub(crate) struct Growth {
    /// The levels, and the blocks that change.
    stored: StoredContent,
    /// All blocks of the version, in their order.
    blocks: Vec<BlockRow>,
    joining: Vec<Joining>,
}

/// Finds what instances join; `None` if that takes the whole document.
pub(crate) fn find(
    reader: &Reader,
    set: i64,
    version: &VersionRow,
    joining: Vec<Joining>,
) -> Result<Option<Growth>> {
    let Some(holder) = version.content_version else { return Ok(None) };
    let Some(count) = blocks::count(reader, set, holder)? else { return Ok(None) };
    let known = "SELECT 1 FROM instance WHERE image_set = ?1 AND sop_instance_uid = ?2";
    let mut known = reader.prepare_cached(known)?;
    for (_, order) in &joining {
        if known.exists((set, &order.sop_uid))? {
            return Ok(None);
        }
    }
    if !blocks::are_latest(reader, set, holder)? {
        return Ok(None);
    }
    let all = blocks::of_version(reader, set, holder, count)?;
    let mut changed = BTreeSet::new();
    for (series, order) in &joining {
        let Some(index) = index_of(&all, series, order) else { return Ok(None) };
        changed.insert(index);
    }
    let changed = changed.iter().filter_map(|index| all.get(*index));
    let changed = changed.map(|row| Ok((row.clone(), blocks::content(reader, row.row)?)));
    let changed: Vec<(BlockRow, BlockContent)> = changed.collect::<Result<_>>()?;
    let head = super::content::without_blocks(reader, set, holder)?;
    let stored = StoredContent { blocks: Some(changed), ..head };
    Ok(Some(Growth { stored, blocks: all, joining }))
}

/// Which of all blocks an instance belongs to; `None` if there is none of its series.
fn index_of(all: &[BlockRow], series: &str, order: &InstanceOrder) -> Option<usize> {
    let of_series = |row: &BlockRow| row.facts.series_instance_uid == series;
    let start = all.iter().position(of_series)?;
    let of_series = all.get(start..)?.iter().take_while(|row| of_series(row));
    let before = of_series.take_while(|row| row.facts.first <= *order).count();
    Some(start + before.saturating_sub(1))
}

impl Growth {
    /// The levels of the document, and the instances of the blocks that change.
    pub(crate) fn open(&self) -> Result<Document> {
        unpack(&self.stored)
    }

    /// The content of the next version, of which `document` is what [`Self::open`] returned with the instances
    /// that joined.
    pub(crate) fn pack(&self, document: &Document, quotas: &Quotas) -> Result<Content> {
        let changed = self.stored.blocks.as_deref().unwrap_or_default();
        let replaced: Vec<i64> = changed.iter().map(|(row, _)| row.row).collect();
        let kept = || self.blocks.iter().filter(|block| !replaced.contains(&block.row));
        let new = self.new_blocks(document)?;
        let facts = kept().map(|row| &row.facts).chain(new.iter().map(|block| &block.facts));
        let facts: Vec<_> = facts.collect();
        let length = facts.iter().map(|facts| facts.length + 1).sum::<u64>();
        let length = length + text_length(&self.stored);
        within(quotas.metadata_bytes, length, "bytes of the metadata of an image set")?;
        let mut attributes = document.index_attributes();
        attributes.instance_count = facts.iter().map(|facts| facts.instance_count).sum();
        attributes.frame_count = facts.iter().map(|facts| facts.frame_count).sum();
        let firsts = facts.iter().flat_map(|facts| {
            let series = facts.series_instance_uid.as_str();
            facts.first_values.iter().map(move |(key, (uid, value))| (key, series, uid, value))
        });
        summarize(&mut attributes, firsts);
        let count = counted(kept().count() + new.len());
        Ok(Content {
            document: self.stored.document.clone(),
            details: self.stored.details.clone(),
            attributes,
            series_count: counted(document.series.len()),
            instances: self.changed_instances(document, &new),
            blocks: Some(Blocks { replaced: Some(replaced), new, count }),
        })
    }

    /// The blocks that take the places of those that change.
    fn new_blocks(&self, document: &Document) -> Result<Vec<NewBlock>> {
        let highest = self.blocks.iter().map(|row| row.facts.number).max();
        let mut next = highest.map_or(0, |number| number + 1);
        let mut new = Vec::new();
        for (uid, series) in &document.series {
            let all = series.in_order();
            let place = |order: &InstanceOrder| index_of(&self.blocks, uid, order);
            for part in all.chunk_by(|(one, _), (other, _)| place(one) == place(other)) {
                let index = part.first().and_then(|(order, _)| place(order));
                let row = index.and_then(|index| self.blocks.get(index)).ok_or_else(damaged)?;
                new.extend(cut::grown(row.facts.number, &mut next, uid, part)?);
            }
        }
        Ok(new)
    }

    /// Rows of the instances that joined, or came into another block.
    fn changed_instances(
        &self,
        document: &Document,
        new: &[NewBlock],
    ) -> Vec<(InstanceIndex, Option<u32>)> {
        let known: Vec<u32> = self.blocks.iter().map(|row| row.facts.number).collect();
        let joined: HashSet<&str> =
            self.joining.iter().map(|(_, order)| order.sop_uid.as_str()).collect();
        let mut numbers = HashMap::new();
        for block in new {
            let is_new = !known.contains(&block.facts.number);
            for uid in &block.instances {
                if is_new || joined.contains(uid.as_str()) {
                    numbers.insert(uid.as_str(), block.facts.number);
                }
            }
        }
        let changed = document.instance_index().filter_map(|instance| {
            let number = numbers.get(instance.sop_instance_uid.as_str())?;
            Some((instance, Some(*number)))
        });
        changed.collect()
    }
}

/// Puts the first value of each attribute of the instances into the summary.
fn summarize<'a>(
    attributes: &mut IndexAttributes,
    firsts: impl Iterator<Item = (&'a String, &'a str, &'a String, &'a String)>,
) {
    let mut first = BTreeMap::new();
    for (key, series, uid, value) in firsts {
        let found = (series, uid, value);
        let known = first.entry(key).or_insert(found);
        *known = found.min(*known);
    }
    let shown = first.into_iter().map(|(key, (_, _, value))| (key.clone(), value.clone()));
    attributes.summary.extend(shown);
}
