//! Pixel data that the store kept whole, fragments and all (PS3.5 §A.4).

use std::borrow::Cow;
use std::ops::Range;

const ITEM: [u8; 4] = [0xfe, 0xff, 0x00, 0xe0];

/// Whether the bytes are a sequence of fragments and not a frame.
pub(crate) fn is_sequence(bytes: &[u8]) -> bool {
    bytes.starts_with(&ITEM)
}

/// A frame, counted from 0, of so many; `None` when fragments cannot be assigned to frames.
pub(crate) fn frame(bytes: &[u8], index: usize, count: usize) -> Option<Cow<'_, [u8]>> {
    let mut items = items(bytes);
    let (_, table) = items.next()?;
    let fragments: Vec<(usize, Range<usize>)> = items.collect();
    let value = |fragment: &(usize, Range<usize>)| bytes.get(fragment.1.clone());
    if fragments.len() == count {
        return value(fragments.get(index)?).map(Cow::Borrowed);
    }
    let of_frame = if count == 1 {
        &fragments[..]
    } else {
        let offsets = offsets(bytes.get(table)?);
        let first = fragments.first()?.0;
        let place = |offset: usize| fragments.iter().position(|one| one.0 == first + offset);
        let start = place(*offsets.get(index).filter(|_| offsets.len() == count)?)?;
        let end = offsets.get(index + 1).map_or(Some(fragments.len()), |&next| place(next))?;
        fragments.get(start..end)?
    };
    let parts: Option<Vec<&[u8]>> = of_frame.iter().map(value).collect();
    parts.map(|parts| Cow::Owned(parts.concat()))
}

/// Start of each item's tag, and where its value lies, up to the delimiter or what is no item.
fn items(bytes: &[u8]) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
    let mut next = 0;
    std::iter::from_fn(move || {
        let start = next;
        let (header, rest) = bytes.get(start..)?.split_at_checked(8)?;
        let (tag, length) = header.split_at(4);
        if tag != ITEM {
            return None;
        }
        let length = u32::from_le_bytes(length.try_into().ok()?);
        // The last fragment may be cut short.
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        next = start + 8 + length;
        Some((start, start + 8..next))
    })
}

/// The basic offset table, counted from the first fragment's item tag.
fn offsets(table: &[u8]) -> Vec<usize> {
    let (words, _) = table.as_chunks();
    words.iter().map(|&word| u32::from_le_bytes(word) as usize).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap_or_default().to_le_bytes();
        [&ITEM[..], &length, value].concat()
    }

    #[test]
    fn fragments_are_assigned_by_their_number_or_by_the_offset_table() {
        let two = [item(&[]), item(b"ab"), item(b"cd")].concat();
        assert!(is_sequence(&two));
        assert_eq!(frame(&two, 1, 2).as_deref(), Some(&b"cd"[..]));
        assert_eq!(frame(&two, 0, 1).as_deref(), Some(&b"abcd"[..]));
        assert_eq!(frame(&two, 2, 2), None);
        assert_eq!(frame(&two, 0, 3), None);
        // Frame 1 begins at the second fragment, 10 bytes on.
        let table = [0_u32, 10].map(u32::to_le_bytes).concat();
        let three = [item(&table), item(b"ab"), item(b"cd"), item(b"ef")].concat();
        assert_eq!(frame(&three, 0, 2).as_deref(), Some(&b"ab"[..]));
        assert_eq!(frame(&three, 1, 2).as_deref(), Some(&b"cdef"[..]));
    }

    #[test]
    fn a_fragment_that_is_cut_short_gives_what_is_there() {
        let mut cut = [item(&[]), item(b"abcd")].concat();
        cut.truncate(cut.len() - 2);
        assert_eq!(frame(&cut, 0, 1).as_deref(), Some(&b"ab"[..]));
        assert_eq!(frame(&[], 0, 1), None);
    }
}
