//! Damage on the disk is found, and never served.

use std::path::{Path, PathBuf};

use healthimaging::ErrorKind;
use healthimaging_phantoms::Phantom;

use crate::fixture::Fixture;

fn packs(folder: &Path) -> Vec<PathBuf> {
    let shelves = std::fs::read_dir(folder.join("store/packs")).unwrap();
    shelves
        .flat_map(|shelf| std::fs::read_dir(shelf.unwrap().path()).unwrap())
        .map(|pack| pack.unwrap().path())
        .collect()
}

#[tokio::test]
async fn a_changed_byte_is_found_and_not_served() {
    let fixture = Fixture::new().await;
    let path = fixture.put("a", &Phantom::ct().size(32, 32).build());
    fixture.import(&path).await;
    let set = fixture.image_sets().await[0].image_set_id.clone();
    let metadata = fixture.metadata(&set).await.to_string();
    let id = metadata.split("\"ID\":\"").nth(1).unwrap()[..32].to_owned();
    assert_eq!(fixture.store.verify(|_| ()).await.unwrap().damaged, []);

    let packs = packs(fixture.folder.path());
    let [pack] = &packs[..] else { panic!("{packs:?}") };
    let whole = std::fs::read(pack).unwrap();
    for changed in [whole.len() - 1, whole.len() / 2, 60, 20] {
        let mut bytes = whole.clone();
        bytes[changed] ^= 1;
        std::fs::write(pack, bytes).unwrap();
        let error = fixture.frame(&set, &id).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains("run verify"), "{error}");
        let report = fixture.store.verify(|_| ()).await.unwrap();
        let damaged: Vec<_> =
            report.damaged.iter().map(|one| one.blob.as_ref().unwrap().as_str()).collect();
        assert_eq!(damaged, [id.as_str()], "byte {changed}");
    }
    for rest in [&whole[..whole.len() / 2], &[]] {
        std::fs::write(pack, rest).unwrap();
        assert!(fixture.frame(&set, &id).await.is_err());
    }
    std::fs::remove_file(pack).unwrap();
    let error = fixture.frame(&set, &id).await.unwrap_err();
    assert!(error.message().contains("missing"), "{error}");
    assert_eq!(fixture.store.verify(|_| ()).await.unwrap().damaged.len(), 1);
}
