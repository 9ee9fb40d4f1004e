//! What implicit VR cannot express (`PS3.5 §A.1`).

use dicom_core::VR;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;
use healthimaging::{Error, ErrorKind, Result};

use crate::data_set::Value;
use crate::document::dictionary;
use crate::document::rebuild::{LazyDataSet, LazyValue, Path};

/// Refuses a sequence where the dictionary has none, and a value where it has one: readers go by the
/// dictionary, and would lose their way in the file.
pub(super) fn check(data_set: &LazyDataSet<'_>, path: &Path<'_>) -> Result<()> {
    for (tag, element) in data_set.elements(path) {
        let known = !dictionary::is_private(tag);
        let entry = known.then(|| StandardDataDictionary.by_tag(tag)).flatten();
        let read_as = entry.map_or(VR::UN, |entry| entry.vr().relaxed());
        let fits = match &element.value {
            LazyValue::Items(items) => {
                let path = Path::Into(path, tag);
                for (number, item) in items.iter().enumerate() {
                    check(&item, &Path::Item(&path, number))?;
                }
                items.is_empty() || matches!(read_as, VR::SQ | VR::UN)
            }
            LazyValue::Plain(Value::Empty) => true,
            LazyValue::Plain(_) => read_as != VR::SQ,
        };
        if !fits {
            let message = format!(
                "{tag} has VR {} here and {read_as} in the standard, which implicit VR cannot say; \
                 ask for another transfer syntax",
                element.vr
            );
            return Err(Error::new(ErrorKind::NotAcceptable, message));
        }
    }
    Ok(())
}
