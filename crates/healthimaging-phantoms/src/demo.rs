//! The small archive of the demonstration.

use std::path::PathBuf;

use crate::archive::{Archive, CtStack, PhantomFile, fraction};
use crate::phantom::Phantom;
use crate::seed::uid;

const SEED: u64 = 2024;

/// The Study Description of the demonstration's CT, misspelt so that there is something to correct.
pub const DEMO_CT_STUDY_DESCRIPTION: &str = "CHEST W/O CONTARST";

/// Two patients and three studies: a CT of 40 slices; a radiograph and a color ultrasound loop of
/// 12 frames; an MR of 20 slices. 62 files, 33 MB, each made on demand.
pub fn demo_archive() -> impl Iterator<Item = PhantomFile> {
    ct_slices().chain(chest_work_up()).chain(mr_slices())
}

fn ct_slices() -> impl Iterator<Item = PhantomFile> {
    let archive = Archive {
        patients: 1,
        studies: 1,
        series: 1,
        instances: 40,
        seed: SEED,
        ..Archive::default()
    };
    let mut stack = CtStack::new(archive, 0, 0, 0)
        .with_template(|ct| alma(ct, "20240115").study_description(DEMO_CT_STUDY_DESCRIPTION));
    (0..archive.instances).map(move |instance| {
        let file = stack.slice(instance);
        placed(["alma", "ct"], instance, file.bytes)
    })
}

fn chest_work_up() -> impl Iterator<Item = PhantomFile> {
    let study = uid(SEED, &["chest work-up"]);
    [("dx", Phantom::radiograph()), ("us", Phantom::ultrasound().size(360, 480))].into_iter().map(
        move |(folder, phantom)| {
            let phantom = alma(phantom.seed(SEED), "20240116")
                .study_uid(&study)
                .study_description("CHEST PAIN WORK-UP");
            placed(["alma", folder], 0, phantom.build())
        },
    )
}

fn mr_slices() -> impl Iterator<Item = PhantomFile> {
    (0..20u32).map(|instance| {
        let number = instance.to_string();
        let slice = Phantom::mr()
            .seed(SEED)
            .depth(fraction(instance, 20))
            .patient("PHANTOM^BRUNO", "DEMO-0002")
            .born("19581103", "M")
            .study_date("20240203")
            .study_uid(&uid(SEED, &["mr"]))
            .series_uid(&uid(SEED, &["mr", "series"]))
            .sop_uid(&uid(SEED, &["mr", "series", &number]))
            .instance_number(instance + 1)
            .slice_position(f64::from(instance) * 5.0);
        placed(["bruno", "mr"], instance, slice.build())
    })
}

fn alma(phantom: Phantom, date: &str) -> Phantom {
    phantom.patient("PHANTOM^ALMA", "DEMO-0001").born("19660521", "F").study_date(date)
}

fn placed(folders: [&str; 2], instance: u32, bytes: Vec<u8>) -> PhantomFile {
    let relative_path: PathBuf = folders.iter().collect();
    PhantomFile { relative_path: relative_path.join(format!("IM{:05}.dcm", instance + 1)), bytes }
}
