//! The files that go in, and the pixels that have to come out.

use std::path::Path;

use healthimaging_phantoms::Phantom;

use crate::chance::Chance;

/// Rows and columns of every frame.
pub(crate) const SIDE: u16 = 24;

/// One instance; patients are never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instance {
    pub(crate) patient: u32,
    pub(crate) series: u32,
    pub(crate) number: u32,
}

/// By this text a patient is found wherever it is left.
pub(crate) fn mark(patient: u32) -> String {
    format!("SECRET{patient:05}")
}

pub(crate) fn study_uid(patient: u32) -> String {
    format!("2.25.9{patient:05}")
}

impl Instance {
    pub(crate) fn series_uid(self) -> String {
        format!("{}.{}", study_uid(self.patient), self.series)
    }

    pub(crate) fn sop_uid(self) -> String {
        format!("{}.{}", self.series_uid(), self.number)
    }

    /// The instance that a SOP Instance UID names.
    pub(crate) fn of(sop_uid: &str) -> Self {
        let parts: Vec<u32> = sop_uid.split('.').map(|part| part.parse().unwrap()).collect();
        let [2, 25, study, series, number] = parts[..] else {
            panic!("{sop_uid}");
        };
        Self { patient: study - 900_000, series, number }
    }

    /// The pixels of each frame: 16 bits, little endian.
    pub(crate) fn frames(self) -> Vec<Vec<u8>> {
        let count = 1 + self.number % 2;
        let seed = u64::from(self.patient) << 16 | u64::from(self.series << 8 | self.number);
        let mut chance = Chance::new(seed);
        let samples = usize::from(SIDE) * usize::from(SIDE);
        let frame = |chance: &mut Chance| {
            let sample = |_| chance.next().to_le_bytes()[..2].to_vec();
            (0..samples).flat_map(sample).collect()
        };
        (0..count).map(|_| frame(&mut chance)).collect()
    }

    /// The Part 10 file.
    pub(crate) fn file(self) -> Vec<u8> {
        self.phantom().build()
    }

    /// The file in the making. Each study is described as `0` at first.
    pub(crate) fn phantom(self) -> Phantom {
        let frames = self.frames();
        let mark = mark(self.patient);
        Phantom::mr()
            .seed(u64::from(self.patient))
            .patient(&format!("{mark}^NAME"), &mark)
            .study_uid(&study_uid(self.patient))
            .series_uid(&self.series_uid())
            .series_number(self.series)
            .sop_uid(&self.sop_uid())
            .instance_number(self.number)
            .study_description("0")
            .size(SIDE, SIDE)
            .bits(16, 16)
            .unsigned()
            .frames(u32::try_from(frames.len()).unwrap())
            .pixels(frames.concat())
    }

    /// Writes the file into a folder.
    pub(crate) fn write(self, folder: &Path) {
        let name = format!("{}-{}.dcm", self.series, self.number);
        std::fs::write(folder.join(name), self.file()).unwrap();
    }
}
