//! A CT archive of any size.

use std::io;
use std::path::{Path, PathBuf};

use crate::anatomy::Anatomy;
use crate::noise::Noise;
use crate::phantom::Phantom;
use crate::plane::Plane;
use crate::seed::{Generator, uid};

/// One generated file and where it belongs below the archive's root.
#[derive(Debug, Clone)]
pub struct PhantomFile {
    /// The path below the root, with `.dcm` at its end.
    pub relative_path: PathBuf,
    /// A complete Part 10 file.
    pub bytes: Vec<u8>,
}

/// Writes files below `directory`, creating folders as needed; returns the number of bytes.
///
/// # Errors
/// The error of the file system.
pub fn write_to(directory: &Path, files: impl IntoIterator<Item = PhantomFile>) -> io::Result<u64> {
    let mut total = 0;
    for file in files {
        let path = directory.join(&file.relative_path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, &file.bytes)?;
        total += file.bytes.len() as u64;
    }
    Ok(total)
}

/// A CT archive: patients, each with studies of series of square slices.
///
/// ```
/// use healthimaging_phantoms::Archive;
///
/// let archive = Archive { patients: 1, studies: 1, series: 2, instances: 3, size: 32,
///     ..Archive::default() };
/// assert_eq!(archive.files().count(), 6);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Archive {
    /// Number of patients.
    pub patients: u32,
    /// Studies a patient.
    pub studies: u32,
    /// Series a study; every second one has a sharper kernel and 1.6 times the noise.
    pub series: u32,
    /// Instances a series.
    pub instances: u32,
    /// Rows and columns of a slice.
    pub size: u16,
    /// What everything is derived from.
    pub seed: u64,
    /// Standard deviation of the noise in Hounsfield units.
    pub noise: f32,
}

impl Default for Archive {
    /// 2,000 slices of 512×512.
    fn default() -> Self {
        Self { patients: 5, studies: 2, series: 2, instances: 100, size: 512, seed: 1, noise: 18.0 }
    }
}

impl Archive {
    /// Returns the files, series by series, each made on demand.
    pub fn files(&self) -> impl Iterator<Item = PhantomFile> + use<> {
        let archive = *self;
        (0..archive.patients).flat_map(move |patient| {
            (0..archive.studies).flat_map(move |study| {
                (0..archive.series).flat_map(move |series| archive.slices(patient, study, series))
            })
        })
    }

    fn slices(self, patient: u32, study: u32, series: u32) -> impl Iterator<Item = PhantomFile> {
        let mut stack = CtStack::new(self, patient, study, series);
        (0..self.instances).map(move |instance| stack.slice(instance))
    }
}

/// One CT series while it is made, slice by slice.
#[derive(Debug)]
pub(crate) struct CtStack {
    template: Phantom,
    folder: PathBuf,
    series_path: [String; 3],
    size: usize,
    instances: u32,
    seed: u64,
    vessels: u64,
    spacing: u32,
    noise: [Noise; 2],
    deviation: f32,
    moves: Generator,
    keys: Vec<(u32, Plane)>,
}

const GIVEN: [&str; 8] = ["ANNA", "BJORN", "CARLA", "DAVID", "ELENA", "FARID", "GRETA", "HIRO"];
const BODY_PARTS: [(&str, &str); 3] =
    [("CHEST W/O CONTRAST", "CHEST"), ("LUNG LOW DOSE", "CHEST"), ("CHEST W CONTRAST", "CHEST")];

impl CtStack {
    /// Starts a series.
    pub(crate) fn new(archive: Archive, patient: u32, study: u32, series: u32) -> Self {
        let path = [patient, study, series].map(|n| n.to_string());
        let words: [&str; 3] = [&path[0], &path[1], &path[2]];
        let mut generator = Generator::new(archive.seed, &words);
        let size = usize::from(archive.size);
        let sharp = series % 2 == 1;
        let given = GIVEN[patient as usize % GIVEN.len()];
        let (description, body_part) = BODY_PARTS[(patient + study) as usize % BODY_PARTS.len()];
        let id = format!("PID{:02}-{patient:06}", archive.seed);
        let template = Phantom::ct()
            .seed(archive.seed)
            .size(archive.size, archive.size)
            .patient(&format!("PHANTOM^{given}"), &id)
            .study_uid(&uid(archive.seed, &words[..2]))
            .series_uid(&uid(archive.seed, &words))
            .study_date(&format!(
                "20{:02}{:02}{:02}",
                18 + patient % 7,
                1 + study % 12,
                1 + patient % 28
            ))
            .study_description(description)
            .series_description(if sharp { "AX 1.0mm LUNG" } else { "AX 1.0mm STD" })
            .body_part(body_part)
            .accession_number(&format!("ACC{patient:05}{study:02}"))
            .series_number(series + 1);
        Self {
            template,
            folder: [&id, &format!("study{study}"), &format!("series{series}")].iter().collect(),
            noise: [0, 1].map(|_| Noise::new(size, size, &mut generator)),
            deviation: archive.noise * if sharp { 1.6 } else { 1.0 },
            vessels: archive.seed.wrapping_add(u64::from(patient) << 20 | u64::from(study) << 10),
            spacing: (archive.instances / 8).max(1),
            series_path: path,
            size,
            instances: archive.instances,
            seed: archive.seed,
            moves: generator,
            keys: Vec::new(),
        }
    }

    /// Changes what the slices have in common.
    pub(crate) fn with_template(mut self, change: impl FnOnce(Phantom) -> Phantom) -> Self {
        self.template = change(self.template);
        self
    }

    /// Makes slice `instance`; slices must be made in order.
    pub(crate) fn slice(&mut self, instance: u32) -> PhantomFile {
        let mut plane = self.between_keys(instance);
        for noise in &self.noise {
            let (down, right) = (self.moves.below(self.size), self.moves.below(self.size));
            noise.add_to(&mut plane, down, right, self.deviation * std::f32::consts::FRAC_1_SQRT_2);
        }
        let [patient, study, series] = &self.series_path;
        let number = instance.to_string();
        let bytes = self
            .template
            .clone()
            .sop_uid(&uid(self.seed, &[patient, study, series, &number]))
            .instance_number(instance + 1)
            .slice_position(f64::from(instance))
            .drawn(plane)
            .build();
        let relative_path = self.folder.join(format!("IM{:05}.dcm", instance + 1));
        PhantomFile { relative_path, bytes }
    }

    /// The body between the two drawn slices nearest to `instance`: drawing each would cost more
    /// than all the rest.
    fn between_keys(&mut self, instance: u32) -> Plane {
        let before = instance / self.spacing;
        self.keys.retain(|(key, _)| *key >= before);
        for key in [before, before + 1] {
            if !self.keys.iter().any(|(k, _)| *k == key) {
                let plane = self.draw(key);
                self.keys.push((key, plane));
            }
        }
        let weight = fraction(instance % self.spacing, self.spacing);
        match self.keys.as_slice() {
            [(_, low), (_, high), ..] => mixed(low, high, weight),
            _ => self.draw(before),
        }
    }

    fn draw(&self, key: u32) -> Plane {
        let z = fraction(key * self.spacing, self.instances);
        Anatomy::Thorax.draw(self.size, self.size, z, self.vessels)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a share needs no more than f32")]
pub(crate) fn fraction(part: u32, whole: u32) -> f32 {
    (f64::from(part) / f64::from(whole.max(1))) as f32
}

fn mixed(low: &Plane, high: &Plane, weight: f32) -> Plane {
    let mut plane = low.clone();
    for (value, high) in plane.values.iter_mut().zip(&high.values) {
        *value += (high - *value) * weight;
    }
    plane
}
