//! Searching image sets.

use aws_sdk_medicalimaging::operation::search_image_sets::SearchImageSetsOutput;
use aws_sdk_medicalimaging::types as sdk;
use healthimaging::Result;
use healthimaging::model::{
    DicomTags, ImageSetsMetadataSummary, Operator, SearchCriteria, SearchFilter,
    SearchImageSetsResponse, SearchValue, Sort, SortField, SortOrder,
};

use super::{date_time, known_value, optional_timestamp, parse, parse_optional, unbuilt};

pub(crate) fn criteria(asked: SearchCriteria) -> Result<sdk::SearchCriteria> {
    let filters = asked.filters.into_iter().map(filter).collect::<Result<Vec<_>>>()?;
    let sort = asked.sort.map(sort).transpose()?;
    Ok(sdk::SearchCriteria::builder()
        .set_filters(Some(filters).filter(|filters| !filters.is_empty()))
        .set_sort(sort)
        .build())
}

fn filter(asked: SearchFilter) -> Result<sdk::SearchFilter> {
    let values = asked.values.into_iter().map(value).collect::<Result<_>>()?;
    sdk::SearchFilter::builder()
        .set_values(Some(values))
        .operator(match asked.operator {
            Operator::Equal => sdk::Operator::Equal,
            Operator::Between => sdk::Operator::Between,
        })
        .build()
        .map_err(unbuilt)
}

fn value(asked: SearchValue) -> Result<sdk::SearchByAttributeValue> {
    use sdk::SearchByAttributeValue as Value;
    Ok(match asked {
        SearchValue::PatientId(text) => Value::DicomPatientId(text),
        SearchValue::AccessionNumber(text) => Value::DicomAccessionNumber(text),
        SearchValue::StudyId(text) => Value::DicomStudyId(text),
        SearchValue::StudyInstanceUid(text) => Value::DicomStudyInstanceUid(text),
        SearchValue::SeriesInstanceUid(text) => Value::DicomSeriesInstanceUid(text),
        SearchValue::CreatedAt(at) => Value::CreatedAt(date_time(&at)),
        SearchValue::UpdatedAt(at) => Value::UpdatedAt(date_time(&at)),
        SearchValue::StudyDateAndTime(at) => Value::DicomStudyDateAndTime(
            sdk::DicomStudyDateAndTime::builder()
                .dicom_study_date(at.study_date)
                .set_dicom_study_time(at.study_time)
                .build()
                .map_err(unbuilt)?,
        ),
        SearchValue::IsPrimary(primary) => Value::IsPrimary(primary),
    })
}

fn sort(asked: Sort) -> Result<sdk::Sort> {
    sdk::Sort::builder()
        .sort_order(match asked.sort_order {
            SortOrder::Asc => sdk::SortOrder::Asc,
            SortOrder::Desc => sdk::SortOrder::Desc,
        })
        .sort_field(match asked.sort_field {
            SortField::UpdatedAt => sdk::SortField::UpdatedAt,
            SortField::CreatedAt => sdk::SortField::CreatedAt,
            SortField::StudyDateAndTime => sdk::SortField::DicomStudyDateAndTime,
        })
        .build()
        .map_err(unbuilt)
}

pub(crate) fn found(output: SearchImageSetsOutput) -> Result<SearchImageSetsResponse> {
    let sort = output.sort.and_then(|sort| {
        Some(Sort {
            sort_order: known_value(Some(sort.sort_order))?,
            sort_field: known_value(Some(sort.sort_field))?,
        })
    });
    let summaries = output.image_sets_metadata_summaries;
    Ok(SearchImageSetsResponse {
        image_sets_metadata_summaries: summaries.into_iter().map(summary).collect::<Result<_>>()?,
        sort,
        next_token: parse_optional(output.next_token)?,
    })
}

fn summary(found: sdk::ImageSetsMetadataSummary) -> Result<ImageSetsMetadataSummary> {
    Ok(ImageSetsMetadataSummary {
        image_set_id: parse(found.image_set_id)?,
        version: found.version.and_then(|number| u32::try_from(number).ok()),
        created_at: optional_timestamp(found.created_at)?,
        updated_at: optional_timestamp(found.updated_at)?,
        last_accessed_at: optional_timestamp(found.last_accessed_at)?,
        storage_tier: known_value(found.storage_tier),
        is_primary: found.is_primary,
        dicom_tags: found.dicom_tags.map(tags),
    })
}

fn tags(found: sdk::DicomTags) -> DicomTags {
    // The SDK returns a missing count as 0, which no study has.
    let count = |number: i32| u32::try_from(number).ok().filter(|number| *number > 0);
    DicomTags {
        patient_id: found.dicom_patient_id,
        patient_name: found.dicom_patient_name,
        patient_birth_date: found.dicom_patient_birth_date,
        patient_sex: found.dicom_patient_sex,
        study_instance_uid: found.dicom_study_instance_uid,
        study_id: found.dicom_study_id,
        study_description: found.dicom_study_description,
        number_of_study_related_series: count(found.dicom_number_of_study_related_series),
        number_of_study_related_instances: count(found.dicom_number_of_study_related_instances),
        accession_number: found.dicom_accession_number,
        series_instance_uid: found.dicom_series_instance_uid,
        series_modality: found.dicom_series_modality,
        series_body_part: found.dicom_series_body_part,
        series_number: found.dicom_series_number,
        study_date: found.dicom_study_date,
        study_time: found.dicom_study_time,
    }
}
