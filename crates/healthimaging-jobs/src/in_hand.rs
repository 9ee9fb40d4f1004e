//! Inputs in hand: which ones a process was working on when it died.
//!
//! A record is one line of fixed length: the SHA-256 of the input's key in hexadecimal digits, a blank, and
//! a mark: `*` while the input is in hand, a digit for the deaths that it is suspected of, `-` when the
//! record is free. It is written before the input is touched, and not synced: it has to outlive the process,
//! not the machine. Whoever holds the lease of the job owns the file.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// After so many deaths of a process over an input, one after the other, the input is refused.
pub const MOST_DEATHS: u8 = 2;

/// Length of a record in bytes: 64 digits, a blank, a mark and a line end.
const RECORD: usize = 67;
const IN_HAND: u8 = b'*';
const FREE: u8 = b'-';

type Digits = [u8; 64];

/// The inputs that a job has in hand, and those that were in hand when an earlier process died.
#[derive(Debug)]
pub struct InHand<F> {
    records: Mutex<Records<F>>,
}

#[derive(Debug)]
struct Records<F> {
    file: F,
    used: u64,
    free: Vec<u64>,
    held: HashMap<u64, Digits>,
    /// Deaths over an input, and the place of its record.
    suspects: HashMap<Digits, (u8, u64)>,
}

/// An input in hand, until [`InHand::release`].
#[derive(Debug)]
#[must_use]
pub struct Mark {
    place: u64,
}

impl<F: Read + Write + Seek> InHand<F> {
    /// Takes over the records of an earlier process: what it had in hand is charged with its death.
    ///
    /// Only an error of the file is an error; records that cannot be read count for nothing.
    pub fn take_over(mut file: F) -> io::Result<Self> {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let mut suspects: HashMap<Digits, u8> = HashMap::new();
        let mut in_hand = Vec::new();
        for (digits, mark) in text.chunks(RECORD).filter_map(parse) {
            match mark {
                IN_HAND => in_hand.push(digits),
                b'0'..=b'9' => {
                    suspects.insert(digits, mark - b'0');
                }
                _ => {}
            }
        }
        for digits in in_hand {
            let deaths = suspects.entry(digits).or_default();
            *deaths = deaths.saturating_add(1).min(9);
        }
        // One write, so that a process that dies here does not charge a file twice.
        let known = suspects.iter().map(|(digits, deaths)| line(digits, b'0' + deaths));
        let mut lines: Vec<[u8; RECORD]> = known.collect();
        let suspects: HashMap<Digits, (u8, u64)> = suspects
            .iter()
            .zip(0..)
            .map(|((digits, deaths), place)| (*digits, (*deaths, place)))
            .collect();
        let used = lines.len().max(text.len().div_ceil(RECORD));
        let free = (lines.len() as u64..used as u64).collect();
        lines.resize(used, line(&[b'0'; 64], FREE));
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&lines.concat())?;
        let held = HashMap::new();
        let records = Records { file, used: used as u64, free, held, suspects };
        Ok(Self { records: Mutex::new(records) })
    }

    /// Notes that an input is about to be touched.
    pub fn take(&self, key: &str) -> io::Result<Mark> {
        let digits = digits(key);
        let mut records = self.records();
        let place = records.place();
        records.write(place, &digits, IN_HAND)?;
        records.held.insert(place, digits);
        Ok(Mark { place })
    }

    /// Notes that an input was survived: earlier deaths had another cause, and are forgotten.
    pub fn release(&self, Mark { place }: Mark) -> io::Result<()> {
        let mut records = self.records();
        if let Some(digits) = records.held.get(&place).copied()
            && let Some((_, place)) = records.suspects.remove(&digits)
        {
            records.write(place, &digits, FREE)?;
            records.free.push(place);
        }
        records.release(place)
    }

    /// Notes that all inputs in hand are given up by a process that ends well.
    pub fn release_all(&self) -> io::Result<()> {
        let mut records = self.records();
        let held: Vec<u64> = records.held.keys().copied().collect();
        held.into_iter().try_for_each(|place| records.release(place))
    }

    /// How many processes died while they had the input in hand.
    pub fn deaths(&self, key: &str) -> u8 {
        self.records().suspects.get(&digits(key)).map_or(0, |(deaths, _)| *deaths)
    }

    /// Whether there is any input that a process died over.
    pub fn has_suspects(&self) -> bool {
        !self.records().suspects.is_empty()
    }

    fn records(&self) -> MutexGuard<'_, Records<F>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Write + Seek> Records<F> {
    fn place(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        })
    }

    fn release(&mut self, place: u64) -> io::Result<()> {
        if let Some(digits) = self.held.remove(&place) {
            self.write(place, &digits, FREE)?;
            self.free.push(place);
        }
        Ok(())
    }

    fn write(&mut self, place: u64, digits: &Digits, mark: u8) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(place * RECORD as u64))?;
        self.file.write_all(&line(digits, mark))
    }
}

fn line(digits: &Digits, mark: u8) -> [u8; RECORD] {
    let mut line = [b'\n'; RECORD];
    for (to, from) in line.iter_mut().zip(digits.iter().chain(&[b' ', mark])) {
        *to = *from;
    }
    line
}

fn parse(line: &[u8]) -> Option<(Digits, u8)> {
    let (digits, rest) = line.split_first_chunk::<64>()?;
    match rest {
        [b' ', mark, b'\n'] if digits.iter().all(u8::is_ascii_hexdigit) => Some((*digits, *mark)),
        _ => None,
    }
}

fn digits(key: &str) -> Digits {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [b'0'; 64];
    let hash = Sha256::digest(key);
    let nibbles = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for (to, nibble) in digits.iter_mut().zip(nibbles) {
        *to = HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// One life of a process; what is left of its file.
    fn life(file: Vec<u8>, work: impl FnOnce(&InHand<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let in_hand = InHand::take_over(Cursor::new(file)).unwrap();
        work(&in_hand);
        in_hand.records.into_inner().unwrap().file.into_inner()
    }

    #[test]
    fn what_was_in_hand_is_charged_and_what_was_released_is_not() {
        let file = life(Vec::new(), |hand| {
            let _poison = hand.take("poison").unwrap();
            let survived = hand.take("survived").unwrap();
            hand.release(survived).unwrap();
        });
        let file = life(file, |hand| {
            assert_eq!((hand.deaths("poison"), hand.deaths("survived")), (1, 0));
            assert!(hand.has_suspects());
            let _poison = hand.take("poison").unwrap();
        });
        let file = life(file, |hand| assert_eq!(hand.deaths("poison"), 2));
        // A life that touches nothing changes nothing.
        life(file, |hand| assert_eq!(hand.deaths("poison"), 2));
    }

    #[test]
    fn an_input_that_is_survived_is_suspected_no_more() {
        let file = life(Vec::new(), |hand| drop(hand.take("a").unwrap()));
        let file = life(file, |hand| {
            assert_eq!(hand.deaths("a"), 1);
            let mark = hand.take("a").unwrap();
            hand.release(mark).unwrap();
            assert_eq!(hand.deaths("a"), 0);
            let _another = hand.take("b").unwrap();
        });
        life(file, |hand| assert_eq!((hand.deaths("a"), hand.deaths("b")), (0, 1)));
    }

    #[test]
    fn a_file_that_a_crash_tore_charges_nobody() {
        let file = life(Vec::new(), |hand| drop(hand.take("a").unwrap()));
        life(file[..40].to_vec(), |hand| assert!(!hand.has_suspects()));
        life(b"\xff garbage".to_vec(), |hand| assert!(!hand.has_suspects()));
    }

    #[test]
    fn a_process_that_ends_well_charges_nobody() {
        let file = life(Vec::new(), |hand| {
            let _mark = hand.take("a").unwrap();
            hand.release_all().unwrap();
        });
        life(file, |hand| assert!(!hand.has_suspects()));
    }

    #[test]
    fn records_are_used_again() {
        let file = life(Vec::new(), |hand| {
            for number in 0..100 {
                let mark = hand.take(&number.to_string()).unwrap();
                hand.release(mark).unwrap();
            }
        });
        assert_eq!(file.len(), RECORD);
    }

    #[test]
    fn the_key_itself_is_not_written() {
        let file = life(Vec::new(), |hand| drop(hand.take("/scans/DOE^JOHN").unwrap()));
        assert!(!String::from_utf8(file).unwrap().contains("DOE"));
    }
}
