//! Whether anything changed since upkeep found nothing to do.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use healthimaging::Timestamp;

/// Pauses before the looks of upkeep: a process that just started answers first, or ends. The first look may change files itself,
/// which the second one finds.
pub fn pauses() -> impl Iterator<Item = Duration> + Send {
    let start = Duration::from_millis(100);
    [start, start].into_iter().chain(std::iter::repeat(Duration::from_secs(2)))
}

/// Upkeep looks at least this often, in seconds: expired rows and what dead processes left change no file.
const LONGEST: i64 = 600;

/// Notices changes of files and folders. A process without work then reads only their sizes and times, and not a
/// database, so that most pages of its program need not be in memory.
#[derive(Debug)]
pub struct Changes {
    places: Vec<PathBuf>,
    settled: Option<Moment>,
}

/// State of the files and folders at one time.
#[derive(Debug, PartialEq, Eq)]
pub struct Moment {
    /// Size in bytes and time of the last change; `None` if there is no such file.
    places: Vec<Option<(u64, Option<SystemTime>)>>,
    period: i64,
}

impl Changes {
    /// Watches these files and folders. Of a folder, only changes of its list of names are noticed.
    pub fn of(places: impl IntoIterator<Item = PathBuf>) -> Self {
        Self { places: places.into_iter().collect(), settled: None }
    }

    /// Returns the state now, to be taken before upkeep looks; `None` if nothing changed since [`Self::settle`].
    pub fn since_settled(&self, now: Timestamp) -> Option<Moment> {
        let of = |place| fs::metadata(place).ok().map(|data| (data.len(), data.modified().ok()));
        let places = self.places.iter().map(of).collect();
        let moment = Moment { places, period: now.timestamp().div_euclid(LONGEST) };
        (self.settled.as_ref() != Some(&moment)).then_some(moment)
    }

    /// Records that upkeep looked after `moment`; `is_done` if it has nothing to do until something changes.
    pub fn settle(&mut self, moment: Moment, is_done: bool) {
        // Other systems may show a change of a file only when its writer closes it.
        self.settled = (is_done && cfg!(unix)).then_some(moment);
    }
}

#[cfg(test)]
mod tests {
    use healthimaging::Timestamp;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(seconds, 0).unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn upkeep_rests_until_a_file_or_a_folder_changes_or_time_passes() {
        let folder = tempfile::tempdir().unwrap();
        let (file, names) = (folder.path().join("log"), folder.path().join("names"));
        fs::create_dir(&names).unwrap();
        let mut changes = Changes::of([file.clone(), names.clone()]);
        let mut looks = |is_done| {
            let moment = changes.since_settled(at(1_000));
            let looks = moment.is_some();
            if let Some(moment) = moment {
                changes.settle(moment, is_done);
            }
            looks
        };
        assert!(looks(false), "it has not looked yet");
        assert!(looks(true), "there was work");
        assert!(!looks(true));
        fs::write(&file, "1").unwrap();
        assert!(looks(true), "a file is new");
        assert!(!looks(true));
        fs::write(&file, "22").unwrap();
        assert!(looks(true), "a file grew");
        let later = fs::metadata(&file).unwrap().modified().unwrap() + Duration::from_secs(1);
        fs::File::options().write(true).open(&file).unwrap().set_modified(later).unwrap();
        assert!(looks(true), "a file of the same size was written");
        fs::remove_file(&file).unwrap();
        assert!(looks(true), "a file is gone");
        assert!(!looks(true));
        let before = fs::metadata(&names).unwrap().modified().unwrap();
        fs::write(names.join("lock"), "").unwrap();
        if fs::metadata(&names).unwrap().modified().unwrap() != before {
            assert!(looks(true), "a name is new");
        }
        assert!(!looks(true));
        assert!(changes.since_settled(at(1_199)).is_none());
        assert!(changes.since_settled(at(1_200)).is_some(), "the last look is long ago");
    }
}
