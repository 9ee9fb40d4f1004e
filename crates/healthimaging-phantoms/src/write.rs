//! From a data set to the bytes of a Part 10 file.

use std::borrow::Cow;

use dicom_dictionary_std::{tags, uids};
use dicom_object::{FileMetaTableBuilder, InMemDicomObject};

/// How a phantom's data set is encoded (PS3.5 §A).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferSyntax {
    /// 1.2.840.10008.1.2
    ImplicitVrLittleEndian,
    /// 1.2.840.10008.1.2.1
    ExplicitVrLittleEndian,
    /// 1.2.840.10008.1.2.2, retired
    ExplicitVrBigEndian,
    /// 1.2.840.10008.1.2.1.99
    DeflatedExplicitVrLittleEndian,
}

impl TransferSyntax {
    /// Its UID.
    #[must_use]
    pub fn uid(self) -> &'static str {
        match self {
            Self::ImplicitVrLittleEndian => uids::IMPLICIT_VR_LITTLE_ENDIAN,
            Self::ExplicitVrLittleEndian => uids::EXPLICIT_VR_LITTLE_ENDIAN,
            Self::ExplicitVrBigEndian => "1.2.840.10008.1.2.2",
            Self::DeflatedExplicitVrLittleEndian => uids::DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
        }
    }
}

/// The Part 10 file of `object`: encoded as `encoding`, with `claimed` in its file meta information.
///
/// # Panics
/// Where the text does not fit the Specific Character Set that the object names.
#[expect(clippy::expect_used, reason = "a phantom's contents are its author's, never from outside")]
pub(crate) fn part10(
    object: &InMemDicomObject,
    encoding: TransferSyntax,
    claimed: Option<&str>,
) -> Vec<u8> {
    let text = |tag| match object.element(tag) {
        Ok(element) => element.to_str().map(Cow::into_owned).unwrap_or_default(),
        Err(_) => String::new(),
    };
    let meta = |syntax: &str| {
        FileMetaTableBuilder::new()
            .transfer_syntax(syntax)
            .media_storage_sop_class_uid(text(tags::SOP_CLASS_UID))
            .media_storage_sop_instance_uid(text(tags::SOP_INSTANCE_UID))
            .implementation_class_uid("2.25.80302813137786398554742050926734630921")
            .implementation_version_name("PHANTOMS")
            .build()
            .expect("the required meta elements are all given")
    };
    let mut file = vec![0; 128];
    file.extend_from_slice(b"DICM");
    meta(claimed.unwrap_or(encoding.uid())).write(&mut file).expect("a vector takes any bytes");
    object
        .clone()
        .with_exact_meta(meta(encoding.uid()))
        .write_dataset(&mut file)
        .expect("text fits the character set that the phantom names");
    file
}
