//! Between the instances of a document and its blocks.

use std::collections::BTreeMap;
use std::ops::Range;

use healthimaging_dicom::{Document, Instance, InstanceDetails, InstanceOrder, Series};
use rayon::prelude::*;

use super::blocks::{BlockContent, BlockFacts, BlockRow, Blocks, NewBlock};
use super::content::damaged;
use super::deflate;
use super::documents::{EFFORT, read_details, zipped_details};
use crate::error::Result;

/// Most instances of a document that is stored whole; a larger one is stored in blocks.
pub(crate) const MOST_WHOLE: usize = 32;
/// Instances of a block when it is cut.
pub(super) const CUT: usize = 100;
/// Instances of a block that one instance at the end of its series still joins: it is written anew for each of them.
pub(super) const SMALL: usize = 16;
/// Most instances of a block; one that grows beyond is cut.
const MOST: usize = 150;

/// Instances of a series in their order.
pub(super) type InOrder<'a> = [(InstanceOrder, &'a Instance)];

/// All instances of a document in new blocks.
pub(super) fn all(document: &Document) -> Result<Blocks> {
    let series: Vec<_> =
        document.series.iter().map(|(uid, series)| (uid, series.in_order())).collect();
    let parts = series.iter().flat_map(|(uid, all)| all.chunks(CUT).map(move |part| (*uid, part)));
    let parts: Vec<_> = (0..).zip(parts).collect();
    let new = parts.into_par_iter().map(|(number, (uid, part))| block(number, uid, part));
    let new: Vec<NewBlock> = new.collect::<Result<_>>()?;
    Ok(Blocks { replaced: None, count: counted(new.len()), new })
}

/// A block that has grown, or several in its place: the first keeps its number.
pub(super) fn grown(
    number: u32,
    next: &mut u32,
    uid: &str,
    all: &InOrder<'_>,
) -> Result<Vec<NewBlock>> {
    if all.len() <= MOST {
        return Ok(vec![block(number, uid, all)?]);
    }
    let (first, others) = all.split_at(CUT);
    let mut new = vec![block(number, uid, first)?];
    new.extend(behind(next, uid, others)?);
    Ok(new)
}

/// Blocks of instances behind all others of their series.
pub(super) fn behind(next: &mut u32, uid: &str, all: &InOrder<'_>) -> Result<Vec<NewBlock>> {
    let parts = all.chunks(CUT).map(|part| {
        let number = *next;
        *next += 1;
        block(number, uid, part)
    });
    parts.collect()
}

fn block(number: u32, series: &str, instances: &InOrder<'_>) -> Result<NewBlock> {
    let (first, _) = instances.first().ok_or_else(damaged)?;
    let members = || instances.iter().map(|(order, one)| (order.sop_uid.as_str(), *one));
    let text = Instance::write_members(members())?;
    let facts = BlockFacts {
        number,
        series_instance_uid: series.to_owned(),
        first: first.clone(),
        instance_count: counted(instances.len()),
        frame_count: counted(members().map(|(_, one)| one.frames.len()).sum()),
        length: text.len() as u64,
        crc32: crc32fast::hash(&text),
        first_values: Instance::first_values(members()),
    };
    let details = members().map(|(uid, one)| (uid, &one.details)).collect();
    let document = deflate::compress(&text, EFFORT);
    let content = BlockContent { document, details: zipped_details(details)? };
    let instances = members().map(|(uid, _)| uid.to_owned()).collect();
    Ok(NewBlock { facts, content, instances })
}

pub(super) fn counted(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// SOP Instance UIDs of a block; `None` if what is known of it is not what it holds.
pub(super) fn agreeing(facts: &BlockFacts, content: &BlockContent) -> Result<Option<Vec<String>>> {
    let series = Series { instances: instances(facts, content)?, ..Series::default() };
    let all = series.in_order();
    let again = block(facts.number, &facts.series_instance_uid, &all)?;
    Ok((again.facts == *facts).then_some(again.instances))
}

/// A block in memory, of which instances are parsed on demand.
#[derive(Debug)]
pub(crate) struct BlockText {
    /// A JSON object.
    object: Vec<u8>,
    places: BTreeMap<String, Range<usize>>,
    details: BTreeMap<String, InstanceDetails>,
}

/// The text of a block as a JSON object.
fn object(facts: &BlockFacts, content: &BlockContent) -> Result<Vec<u8>> {
    let mut object = vec![b'{'];
    let found = deflate::expand(&content.document, facts.length, facts.crc32, &mut object);
    found.ok_or_else(damaged)?;
    object.push(b'}');
    Ok(object)
}

/// The instances of a block.
pub(super) fn instances(
    facts: &BlockFacts,
    content: &BlockContent,
) -> Result<BTreeMap<String, Instance>> {
    let mut found = Instance::all_from_json(&object(facts, content)?)?;
    let mut details = read_details(&content.details)?;
    for (uid, instance) in &mut found {
        instance.details = details.remove(uid).unwrap_or_default();
    }
    Ok(found)
}

/// Puts the instances of blocks into a document that lacks them.
pub(super) fn join(document: &mut Document, blocks: &[(BlockRow, BlockContent)]) -> Result<()> {
    let read = blocks.par_iter().map(|(row, content)| {
        let facts = &row.facts;
        Ok((&facts.series_instance_uid, instances(facts, content)?))
    });
    for (series, instances) in read.collect::<Result<Vec<_>>>()? {
        let series: &mut Series = document.series.get_mut(series).ok_or_else(damaged)?;
        series.instances.extend(instances);
    }
    Ok(())
}

impl BlockText {
    /// Unpacks a block and finds its instances.
    pub(crate) fn read(facts: &BlockFacts, content: &BlockContent) -> Result<Self> {
        let object = object(facts, content)?;
        let places = Instance::places(&object)?;
        Ok(Self { places, details: read_details(&content.details)?, object })
    }

    /// Bytes of memory, about.
    pub(crate) fn size(&self) -> usize {
        /// Of a place and of details beside their texts.
        const EACH: usize = 400;
        self.object.len() + self.places.len() * EACH
    }

    /// Parses an instance; `None` if it is in another block.
    pub(crate) fn instance(&self, sop: &str) -> Result<Option<Instance>> {
        let Some(place) = self.places.get(sop) else { return Ok(None) };
        let text = self.object.get(place.clone()).ok_or_else(damaged)?;
        let details = self.details.get(sop).cloned().unwrap_or_default();
        Ok(Some(Instance { details, ..Instance::from_json(text)? }))
    }

    /// Parses the instances at some positions of the series' order.
    pub(crate) fn instances(&self, positions: Range<usize>) -> Result<BTreeMap<String, Instance>> {
        // They were written in that order.
        let mut places: Vec<_> = self.places.iter().collect();
        places.sort_unstable_by_key(|(_, place)| place.start);
        let places = places.into_iter().skip(positions.start).take(positions.len());
        let parsed =
            places.map(|(uid, _)| Ok((uid.clone(), self.instance(uid)?.ok_or_else(damaged)?)));
        parsed.collect()
    }
}
