//! A document in blocks that instances join: only the blocks that they belong to are read and written.
//!
//! It is the same as if the whole document were read: an instance that joins others changes neither them nor
//! the levels, unless it replaces one (`Document::add`). What replaces, joins the whole document.
//!
//! Instances mostly come behind those that are there. So that not all of a block is written anew for each of them, they get a
//! block of their own, which is put together with the one before it when it has grown a little.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use healthimaging_dicom::{Document, IndexAttributes, InstanceIndex, InstanceOrder};

use super::blocks::{self, BlockContent, BlockFacts, BlockRow, Blocks, NewBlock};
use super::content::{Content, StoredContent, damaged};
use super::cut::{self, InOrder, counted};
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
    /// Of which of them the instances become part of the one before.
    merged: BTreeSet<usize>,
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
    let mut joined: BTreeMap<usize, usize> = BTreeMap::new();
    for (series, order) in &joining {
        let Some(index) = index_of(&all, series, order) else { return Ok(None) };
        *joined.entry(index).or_default() += 1;
    }
    let merged = joined.iter().filter(|(index, count)| joins_previous(&all, **index, **count));
    let merged: BTreeSet<usize> = merged.map(|(index, _)| *index).collect();
    let previous = merged.iter().map(|index| index - 1);
    let changed: BTreeSet<usize> = joined.keys().copied().chain(previous).collect();
    let changed = changed.iter().filter_map(|index| all.get(*index));
    let changed = changed.map(|row| Ok((row.clone(), blocks::content(reader, row.row)?)));
    let changed: Vec<(BlockRow, BlockContent)> = changed.collect::<Result<_>>()?;
    let head = super::content::without_blocks(reader, set, holder)?;
    let stored = StoredContent { blocks: Some(changed), ..head };
    Ok(Some(Growth { stored, blocks: all, merged, joining }))
}

/// Which of all blocks an instance belongs to; `None` if there is none of its series.
fn index_of(all: &[BlockRow], series: &str, order: &InstanceOrder) -> Option<usize> {
    let of_series = |row: &BlockRow| row.facts.series_instance_uid == series;
    let start = all.iter().position(of_series)?;
    let of_series = all.get(start..)?.iter().take_while(|row| of_series(row));
    let before = of_series.take_while(|row| row.facts.first <= *order).count();
    Some(start + before.saturating_sub(1))
}

/// Whether a block is the last one of its series.
fn is_last(all: &[BlockRow], index: usize) -> bool {
    let series = |index: usize| all.get(index).map(|row| &row.facts.series_instance_uid);
    series(index) != series(index + 1)
}

/// Whether a block that so many instances join is no longer small, and has room in the one before it.
fn joins_previous(all: &[BlockRow], index: usize, joining: usize) -> bool {
    let previous = index.checked_sub(1).and_then(|previous| all.get(previous));
    let (Some(row), Some(previous)) = (all.get(index), previous) else { return false };
    let (before, after) = (held(row), held(row) + joining);
    is_last(all, index)
        && row.facts.series_instance_uid == previous.facts.series_instance_uid
        && before < cut::SMALL
        && after >= cut::SMALL
        && held(previous) + after <= cut::CUT
}

/// Number of instances of a block.
fn held(row: &BlockRow) -> usize {
    row.facts.instance_count as usize
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
        let (new, left) = self.new_blocks(document)?;
        let replaced = changed.iter().map(|(row, _)| row.row).filter(|row| !left.contains(row));
        let replaced: Vec<i64> = replaced.collect();
        let kept = || self.blocks.iter().filter(|block| !replaced.contains(&block.row));
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

    /// The blocks that take the places of those that change or stand behind them, and the rows of those that stay although
    /// instances joined.
    fn new_blocks(&self, document: &Document) -> Result<(Vec<NewBlock>, Vec<i64>)> {
        let highest = self.blocks.iter().map(|row| row.facts.number).max();
        let mut next = highest.map_or(0, |number| number + 1);
        let (mut new, mut left) = (Vec::new(), Vec::new());
        for (uid, series) in &document.series {
            let all = series.in_order();
            let place = |order: &InstanceOrder| {
                let index = index_of(&self.blocks, uid, order)?;
                Some(index - usize::from(self.merged.contains(&index)))
            };
            for part in all.chunk_by(|(one, _), (other, _)| place(one) == place(other)) {
                let index = part.first().and_then(|(order, _)| place(order)).ok_or_else(damaged)?;
                let row = self.blocks.get(index).ok_or_else(damaged)?;
                if let Some(behind) = self.behind(index, part) {
                    left.push(row.row);
                    new.extend(cut::behind(&mut next, uid, behind)?);
                } else {
                    new.extend(cut::grown(row.facts.number, &mut next, uid, part)?);
                }
            }
        }
        Ok((new, left))
    }

    /// The instances that get blocks of their own, if all that joined a block are behind those that it holds, and it is not worth
    /// being written anew for them.
    fn behind<'a, 'b>(&self, index: usize, part: &'a InOrder<'b>) -> Option<&'a InOrder<'b>> {
        let row = self.blocks.get(index)?;
        let is_merged = self.merged.contains(&(index + 1));
        if is_merged || !is_last(&self.blocks, index) || held(row) < cut::SMALL {
            return None;
        }
        let (before, joined) = part.split_at_checked(held(row))?;
        let is_worth_it = joined.len() >= cut::SMALL && part.len() <= cut::CUT;
        if is_worth_it || joined.is_empty() {
            return None;
        }
        let is_apart = !before.iter().any(|(order, _)| self.has_joined(&order.sop_uid));
        is_apart.then_some(joined)
    }

    fn has_joined(&self, sop: &str) -> bool {
        self.joining.iter().any(|(_, order)| order.sop_uid == sop)
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
        let mut changed = Vec::new();
        for block in new {
            let BlockFacts { number, series_instance_uid: series, .. } = &block.facts;
            let is_new = !known.contains(number);
            let was_merged = |uid: &str| {
                let order = document.series.get(series).and_then(|series| series.order_of(uid));
                let index = order.and_then(|order| index_of(&self.blocks, series, &order));
                index.is_some_and(|index| self.merged.contains(&index))
            };
            for uid in &block.instances {
                let is_moved = is_new || (!self.merged.is_empty() && was_merged(uid));
                if is_moved || joined.contains(uid.as_str()) {
                    let row = document.index_of_instance(series, uid);
                    changed.extend(row.map(|row| (row, Some(*number))));
                }
            }
        }
        changed
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
