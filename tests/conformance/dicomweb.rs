//! What retrieving and storing over DICOMweb share: instances known by number, and asking for them.

use healthimaging::model::{
    DicomJson, InstanceMetadataRequest, RetrieveInstanceRequest, TransferSyntaxChoice,
};
use healthimaging::{Body, DatastoreId, Error, ImageSetId, Uid};
use healthimaging_phantoms::{Phantom, Tag, tags};

use healthimaging_testing::rig::{Rig, all_bytes};

pub(crate) const STUDY: &str = "2.25.21";
pub(crate) const SERIES: &str = "2.25.21.1";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const HTJ2K: &str = "1.2.840.10008.1.2.4.202";

/// Puts a phantom under the study and series of these cases, as the instance with this number.
pub(crate) fn known(phantom: Phantom, number: u32) -> Phantom {
    phantom
        .study_uid(STUDY)
        .series_uid(SERIES)
        .sop_uid(&format!("{SERIES}.{number}"))
        .instance_number(number)
}

pub(crate) fn uid(text: &str) -> Uid {
    text.parse().unwrap()
}

pub(crate) fn request(
    store: &DatastoreId,
    number: u32,
    syntax: Option<&str>,
) -> RetrieveInstanceRequest {
    RetrieveInstanceRequest {
        datastore_id: store.clone(),
        study_instance_uid: uid(STUDY),
        series_instance_uid: uid(SERIES),
        sop_instance_uid: uid(&format!("{SERIES}.{number}")),
        image_set_id: None,
        transfer_syntax: match syntax {
            Some(syntax) => TransferSyntaxChoice::Uid(uid(syntax)),
            None => TransferSyntaxChoice::Stored,
        },
    }
}

/// A retrieved file, read by dicom-rs.
pub(crate) struct Retrieved {
    pub(crate) bytes: Vec<u8>,
    pub(crate) object: dicom_object::DefaultDicomObject,
}

impl Retrieved {
    pub(crate) fn text(&self, tag: Tag) -> String {
        self.object.element(tag).unwrap().to_str().unwrap().into_owned()
    }

    pub(crate) fn pixels(&self) -> Vec<u8> {
        self.object.element(tags::PIXEL_DATA).unwrap().to_bytes().unwrap().into_owned()
    }

    pub(crate) fn fragments(&self) -> Vec<Vec<u8>> {
        let value = self.object.element(tags::PIXEL_DATA).unwrap().value().clone();
        value.fragments().unwrap().to_vec()
    }
}

pub(crate) async fn retrieve(
    rig: &Rig,
    request: RetrieveInstanceRequest,
) -> Result<Retrieved, Error> {
    let asked = request.transfer_syntax.clone();
    let answer = rig.web.retrieve_instance(request).await?;
    let bytes = all_bytes(answer.instance).await;
    assert_eq!(&bytes[128..132], b"DICM");
    let object = dicom_object::from_reader(&bytes[128..]).unwrap();
    let meta = object.meta();
    let written = meta.transfer_syntax.trim_end_matches('\0').to_owned();
    assert_eq!(written, answer.transfer_syntax_uid);
    if let TransferSyntaxChoice::Uid(asked) = asked {
        assert_eq!(written, asked.as_str());
    }
    let sop = object.element(tags::SOP_INSTANCE_UID).unwrap().to_str().unwrap();
    let meta_sop = meta.media_storage_sop_instance_uid.trim_end_matches('\0');
    assert_eq!(meta_sop, sop.trim_end_matches('\0'));
    Ok(Retrieved { bytes, object })
}

pub(crate) async fn metadata(
    rig: &Rig,
    store: &DatastoreId,
    number: u32,
    image_set_id: Option<ImageSetId>,
) -> Result<DicomJson, Error> {
    let request = InstanceMetadataRequest {
        datastore_id: store.clone(),
        study_instance_uid: uid(STUDY),
        series_instance_uid: uid(SERIES),
        sop_instance_uid: uid(&format!("{SERIES}.{number}")),
        image_set_id,
    };
    let found = rig.web.instance_metadata(request).await?;
    let [one] = data_sets(found).await.try_into().unwrap();
    Ok(one)
}

pub(crate) async fn data_sets(body: Body) -> Vec<DicomJson> {
    let text = body.collect(1 << 20).await.unwrap();
    serde_json::from_slice(&text).unwrap()
}
