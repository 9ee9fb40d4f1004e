//! Inputs that a process was working on when it crashed.
//!
//! A record is one line of fixed length: the SHA-256 of the input's key in hexadecimal digits, a blank, and
//! a mark: `*` while the input is being processed, a digit for the number of crashes that it may have caused, `-` when
//! the record is free. It is written before the input is processed, and not synced: it has to outlive the process,
//! not the machine. The holder of the lease of the job owns the file.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

/// Number of consecutive crashes on an input after which it is refused.
pub const MAX_CRASHES: u8 = 2;

/// Length of a record in bytes: 64 digits, a blank, a mark and a line end.
const RECORD: usize = 67;
const ACTIVE: u8 = b'*';
const FREE: u8 = b'-';

type Digits = [u8; 64];

/// The inputs that a job is processing, and those that an earlier process crashed on.
#[derive(Debug)]
pub struct CrashLog<F> {
    records: Mutex<Records<F>>,
}

#[derive(Debug)]
struct Records<F> {
    file: F,
    used: u64,
    free: Vec<u64>,
    held: HashMap<u64, Digits>,
    /// Crashes on an input, and the index of its record.
    suspects: HashMap<Digits, (u8, u64)>,
}

/// An input that is being processed, until [`CrashLog::release`].
#[derive(Debug)]
#[must_use]
pub struct Mark {
    index: u64,
}

impl<F: Read + Write + Seek> CrashLog<F> {
    /// Takes over the records of an earlier process: its crash counts against the inputs that it was processing.
    ///
    /// Only an error of the file is an error; records that cannot be read are ignored.
    pub fn take_over(mut file: F) -> io::Result<Self> {
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(0))?;
        file.read_to_end(&mut text)?;
        let mut suspects: HashMap<Digits, u8> = HashMap::new();
        let mut active = Vec::new();
        for (digits, mark) in text.chunks(RECORD).filter_map(parse) {
            match mark {
                ACTIVE => active.push(digits),
                b'0'..=b'9' => {
                    suspects.insert(digits, mark - b'0');
                }
                _ => {}
            }
        }
        for digits in active {
            let crashes = suspects.entry(digits).or_default();
            *crashes = crashes.saturating_add(1).min(9);
        }
        // One write, so that a crash here does not count twice.
        let known = suspects.iter().map(|(digits, crashes)| line(digits, b'0' + crashes));
        let mut lines: Vec<[u8; RECORD]> = known.collect();
        let suspects: HashMap<Digits, (u8, u64)> = suspects
            .iter()
            .zip(0..)
            .map(|((digits, crashes), index)| (*digits, (*crashes, index)))
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

    /// Records that an input is about to be processed.
    pub fn take(&self, key: &str) -> io::Result<Mark> {
        let digits = digits(key);
        let mut records = self.records();
        let index = records.free_index();
        records.write(index, &digits, ACTIVE)?;
        records.held.insert(index, digits);
        Ok(Mark { index })
    }

    /// Records that an input was processed: earlier crashes had another cause, and are forgotten.
    pub fn release(&self, Mark { index }: Mark) -> io::Result<()> {
        let mut records = self.records();
        if let Some(digits) = records.held.get(&index).copied()
            && let Some((_, index)) = records.suspects.remove(&digits)
        {
            records.write(index, &digits, FREE)?;
            records.free.push(index);
        }
        records.release(index)
    }

    /// Records that the process stops normally, without having processed its inputs to their end.
    pub fn release_all(&self) -> io::Result<()> {
        let mut records = self.records();
        let held: Vec<u64> = records.held.keys().copied().collect();
        held.into_iter().try_for_each(|index| records.release(index))
    }

    /// Number of processes that crashed while they processed the input.
    pub fn crashes(&self, key: &str) -> u8 {
        self.records().suspects.get(&digits(key)).map_or(0, |(crashes, _)| *crashes)
    }

    /// Whether a process crashed on any input.
    pub fn has_suspects(&self) -> bool {
        !self.records().suspects.is_empty()
    }

    fn records(&self) -> MutexGuard<'_, Records<F>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Write + Seek> Records<F> {
    fn free_index(&mut self) -> u64 {
        self.free.pop().unwrap_or_else(|| {
            self.used += 1;
            self.used - 1
        })
    }

    fn release(&mut self, index: u64) -> io::Result<()> {
        if let Some(digits) = self.held.remove(&index) {
            self.write(index, &digits, FREE)?;
            self.free.push(index);
        }
        Ok(())
    }

    fn write(&mut self, index: u64, digits: &Digits, mark: u8) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(index * RECORD as u64))?;
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
    let mut digits = [b'0'; 64];
    let hash = Sha256::digest(key);
    let hexadecimal = hash.iter().flat_map(|byte| format!("{byte:02x}").into_bytes());
    for (to, digit) in digits.iter_mut().zip(hexadecimal) {
        *to = digit;
    }
    digits
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// One life of a process; what is left of its file.
    fn life(file: Vec<u8>, work: impl FnOnce(&CrashLog<Cursor<Vec<u8>>>)) -> Vec<u8> {
        let log = CrashLog::take_over(Cursor::new(file)).unwrap();
        work(&log);
        log.records.into_inner().unwrap().file.into_inner()
    }

    #[test]
    fn a_crash_counts_against_inputs_that_were_not_released() {
        let file = life(Vec::new(), |log| {
            let _poison = log.take("poison").unwrap();
            let processed = log.take("processed").unwrap();
            log.release(processed).unwrap();
        });
        let file = life(file, |log| {
            assert_eq!((log.crashes("poison"), log.crashes("processed")), (1, 0));
            assert!(log.has_suspects());
            let _poison = log.take("poison").unwrap();
        });
        let file = life(file, |log| assert_eq!(log.crashes("poison"), 2));
        // A process that processes nothing changes nothing.
        life(file, |log| assert_eq!(log.crashes("poison"), 2));
    }

    #[test]
    fn an_input_that_was_processed_is_suspected_no_more() {
        let file = life(Vec::new(), |log| drop(log.take("a").unwrap()));
        let file = life(file, |log| {
            assert_eq!(log.crashes("a"), 1);
            let mark = log.take("a").unwrap();
            log.release(mark).unwrap();
            assert_eq!(log.crashes("a"), 0);
            let _another = log.take("b").unwrap();
        });
        life(file, |log| assert_eq!((log.crashes("a"), log.crashes("b")), (0, 1)));
    }

    #[test]
    fn a_damaged_file_counts_against_no_input() {
        let file = life(Vec::new(), |log| drop(log.take("a").unwrap()));
        life(file[..40].to_vec(), |log| assert!(!log.has_suspects()));
        life(b"\xff garbage".to_vec(), |log| assert!(!log.has_suspects()));
    }

    #[test]
    fn a_normal_stop_counts_against_no_input() {
        let file = life(Vec::new(), |log| {
            let _mark = log.take("a").unwrap();
            log.release_all().unwrap();
        });
        life(file, |log| assert!(!log.has_suspects()));
    }

    #[test]
    fn records_are_reused() {
        let file = life(Vec::new(), |log| {
            for number in 0..100 {
                let mark = log.take(&number.to_string()).unwrap();
                log.release(mark).unwrap();
            }
        });
        assert_eq!(file.len(), RECORD);
    }

    #[test]
    fn the_key_itself_is_not_written() {
        let file = life(Vec::new(), |log| drop(log.take("/scans/DOE^JOHN").unwrap()));
        assert!(!String::from_utf8(file).unwrap().contains("DOE"));
    }
}
