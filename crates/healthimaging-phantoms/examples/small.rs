//! Writes small files of many kinds into a folder, for fuzz targets to begin with: `small DIR`.

use std::path::{Path, PathBuf};

use healthimaging_phantoms::{InMemDicomObject, Phantom, PrimitiveValue, TransferSyntax, VR, tags};

fn main() -> std::io::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| PathBuf::from("phantoms"));
    std::fs::create_dir_all(&folder)?;
    for (name, phantom) in kinds() {
        let phantom = phantom.study_uid("2.25.1").series_uid("2.25.2").sop_uid("2.25.3.1");
        std::fs::write(Path::new(&folder).join(name), phantom.build())?;
    }
    Ok(())
}

fn kinds() -> Vec<(&'static str, Phantom)> {
    let slice = || Phantom::ct().size(4, 4);
    let item = || {
        let mut item = InMemDicomObject::new_empty();
        item.put_str(tags::REFERENCED_SOP_INSTANCE_UID, VR::UI, "2.25.9");
        item
    };
    let bytes = |count: usize| PrimitiveValue::U8(vec![7; count].into());
    vec![
        ("explicit", slice()),
        ("implicit", slice().transfer_syntax(TransferSyntax::ImplicitVrLittleEndian)),
        ("big", slice().transfer_syntax(TransferSyntax::ExplicitVrBigEndian)),
        ("deflated", slice().transfer_syntax(TransferSyntax::DeflatedExplicitVrLittleEndian)),
        ("frames", Phantom::mr().size(2, 3).frames(3)),
        ("planes", Phantom::ultrasound().size(3, 2).rgb().planes()),
        ("bits", slice().bits(1, 1).frames(3)),
        (
            "fragments",
            slice().fragments("1.2.840.10008.1.2.5", vec![0], vec![vec![1; 4], vec![], vec![2; 6]]),
        ),
        ("report", Phantom::report()),
        ("sequence", slice().with_sequence(tags::REFERENCED_IMAGE_SEQUENCE, vec![item(), item()])),
        ("private", slice().private(0x0019, "ACME", 0x01, VR::UN, bytes(300))),
        (
            "japanese",
            slice()
                .character_set("ISO_IR 192")
                .patient("Yamada^Tarou=\u{5c71}\u{7530}^\u{592a}\u{90ce}", "1"),
        ),
    ]
}
