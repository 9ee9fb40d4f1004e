//! The prompts, by name.

use super::{Argument, Choice, PromptEntry, Step};

const DATASTORE: Argument = optional("datastore_id", "Data store; needed if several are active");
const PATIENT: Argument = required("patient_id", "Patient ID (0010,0020), exact");
const STUDY: Argument = required("study_instance_uid", "Study Instance UID (0020,000D)");
const SERIES: Argument = required("series_instance_uid", "Series Instance UID (0020,000E)");

const fn required(name: &'static str, description: &'static str) -> Argument {
    Argument { name, description, is_required: true }
}

const fn optional(name: &'static str, description: &'static str) -> Argument {
    Argument { name, description, is_required: false }
}

/// A step that the prompt needs.
const fn need(choices: &'static [Choice]) -> Step {
    Step { is_required: true, choices }
}

/// A step that is left out if its tools are not offered.
const fn may(choices: &'static [Choice]) -> Step {
    Step { is_required: false, choices }
}

const fn by(tools: &'static [&'static str], text: &'static str) -> Choice {
    Choice { tools, text }
}

/// Lists the series of the study that is named.
const SERIES_OF_STUDY: Step = need(&[
    by(
        &["get_study_series"],
        "Call get_study_series with study_instance_uid: modality, description, number of instances and image_set_id \
         of each series.",
    ),
    by(
        &["search_image_sets"],
        "Call search_image_sets with a filter EQUAL on DICOMStudyInstanceUID: each image set is a series, as a rule.",
    ),
    by(&["search_by_study_uid"], "Call search_by_study_uid with study_instance_uid."),
]);

/// Lists the studies of the patient that is named.
const STUDIES_OF_PATIENT: Step = need(&[
    by(
        &["get_patient_studies"],
        "Call get_patient_studies with patient_id: the studies, newest first. Continue with next_token if there is one.",
    ),
    by(
        &["search_image_sets"],
        "Call search_image_sets with a filter EQUAL on DICOMPatientId and by_study true: the studies of the patient.",
    ),
    by(&["search_by_patient_id"], "Call search_by_patient_id with patient_id."),
]);

/// Every prompt, by name.
pub(super) const PROMPTS: &[PromptEntry] = &[
    PromptEntry {
        name: "check_deidentification",
        title: "Check de-identification",
        description: "Look for identifying attributes and burned-in text that a study still has.",
        arguments: &[STUDY, DATASTORE],
        task: "Check whether a study is de-identified.",
        steps: &[
            need(&[
                by(
                    &["tabulate_attributes"],
                    "Call tabulate_attributes with study_instance_uid, include_non_primary true and attributes \
                     PatientName, PatientID, PatientBirthDate, AccessionNumber, ReferringPhysicianName, \
                     OperatorsName, InstitutionName, StationName, DeviceSerialNumber, StudyDate, \
                     PatientIdentityRemoved, DeidentificationMethod, BurnedInAnnotation, \
                     LongitudinalTemporalInformationModified.",
                ),
                by(
                    &["search_by_study_uid", "get_image_set_metadata"],
                    "Call search_by_study_uid, then get_image_set_metadata of each image set with level SERIES: look \
                     at names, IDs, dates, institutions and devices.",
                ),
                by(
                    &["search_image_sets", "get_image_set_metadata"],
                    "Call search_image_sets with a filter EQUAL on DICOMStudyInstanceUID, then get_image_set_metadata \
                     of each image set with level SERIES: look at names, IDs, dates, institutions and devices.",
                ),
            ]),
            may(&[by(
                &["get_image_set_metadata"],
                "Call get_image_set_metadata of one image set for each modality: look at descriptions, comments and \
                 private attributes (odd group numbers).",
            )]),
            may(&[by(
                &["get_series_contact_sheet"],
                "Call get_series_contact_sheet of each series whose BurnedInAnnotation is not NO, and of ultrasound, \
                 secondary capture and screenshots: look for text in the pixels.",
            )]),
            may(&[by(
                &["start_dicom_export_job"],
                "If something is left, name start_dicom_export_job with deidentify: its files have what PS3.15 \
                 requires. Do not start it unasked.",
            )]),
        ],
        answer: "Answer with a table: attribute, found or not, in how many series; do not repeat the values. Say what \
                 was not looked at. The absence of findings proves nothing about pixels that were not shown.",
    },
    PromptEntry {
        name: "check_series_quality",
        title: "Check the quality of a series",
        description: "Find gaps, uneven spacing, mixed orientations and missing attributes of a series.",
        arguments: &[SERIES, DATASTORE],
        task: "Check the quality of a series.",
        steps: &[
            need(&[
                by(
                    &["get_series_contact_sheet"],
                    "Call get_series_contact_sheet with series_instance_uid: geometry of all slices has \
                     orientations, spacing in millimeters, gaps, uneven distances, slices at one position, missing \
                     Instance Numbers and attributes that slices lack. Look at the picture for artifacts, empty slices and a change of contrast.",
                ),
                by(
                    &["search_by_series_uid", "get_image_set_metadata"],
                    "Call search_by_series_uid, then get_image_set_metadata with attributes InstanceNumber, \
                     ImagePositionPatient, ImageOrientationPatient, SliceThickness and PixelSpacing. Order the \
                     positions along the normal, and look for gaps, duplicates and mixed orientations.",
                ),
            ]),
            may(&[by(
                &["get_image_frame"],
                "Call get_image_frame with slice for each slice that looks wrong.",
            )]),
        ],
        answer: "Answer with a list of findings, the worst first, each with slice numbers and millimeters; say `no \
                 finding` where there is none, and what could not be checked.",
    },
    PromptEntry {
        name: "erase_patient",
        title: "Erase a patient",
        description: "Plan and, with the user's consent, carry out the erasure of a patient.",
        arguments: &[PATIENT, required("datastore_id", "Data store")],
        task: "Erase everything of a patient from a data store.",
        steps: &[
            may(&[
                by(
                    &["get_patient_studies"],
                    "Call get_patient_studies and show the user what there is.",
                ),
                by(
                    &["search_image_sets"],
                    "Call search_image_sets with a filter EQUAL on DICOMPatientId and show the user what there is.",
                ),
            ]),
            need(&[by(
                &["delete_patient_studies"],
                "Call delete_patient_studies with dry_run true and erase_older_versions true. Show the plan: studies, \
                 image sets, and older versions that name the patient. Ask the user before you go on. Then call it \
                 without dry_run; if the answer has a confirmation_token, pass that only after the user agreed.",
            )]),
            may(&[by(
                &["get_job"],
                "If the answer names a job that has not ended, call get_job until it has.",
            )]),
            may(&[by(
                &["search_image_sets"],
                "Call search_image_sets with the same filter: nothing may be left.",
            )]),
        ],
        answer: "Answer with what was erased, what is left and why. Exports, backups and other data stores are not \
                 erased: say so.",
    },
    PromptEntry {
        name: "explain_not_primary",
        title: "Why not primary",
        description: "Explain why an image set is not primary, and what makes it so.",
        arguments: &[required("image_set_id", "Image set"), DATASTORE],
        task: "Explain why an image set is not primary.",
        steps: &[need(&[by(
            &["compare_image_sets"],
            "Call compare_image_sets with image_set_id alone: it names the attributes that conflict with the primary \
             image set, and the calls that resolve it.",
        )])],
        answer: "Answer with the attributes, old and new, in words; then the calls that make it primary, and what they \
                 change. Do not change anything unasked.",
    },
    PromptEntry {
        name: "export_cohort",
        title: "Prepare and export a cohort",
        description: "Find the studies of a cohort, count them, and export them.",
        arguments: &[
            required("cohort", "The cohort in words, such as chest CTs of 2025 with a report"),
            optional("output_s3_uri", "s3://bucket/prefix/ or file:///folder/"),
            DATASTORE,
        ],
        task: "Prepare a cohort and export it.",
        steps: &[
            need(&[
                by(
                    &["search_image_sets"],
                    "Call search_image_sets with by_study true and modality, body_part, text, study_date_from, \
                     study_date_to, has_modality or lacks_modality: these filter. Say how many image sets lack an \
                     attribute that was filtered by.",
                ),
                by(
                    &["tabulate_attributes"],
                    "Call tabulate_attributes with modality, study_date_from, study_date_to and has_modality, and \
                     attributes StudyInstanceUID, PatientID, StudyDate and StudyDescription.",
                ),
            ]),
            may(&[by(
                &["tabulate_attributes"],
                "Call tabulate_attributes with the same filters, grouped by what matters for the cohort (modality, \
                 manufacturer, slice thickness): counts show what is uneven.",
            )]),
            may(&[by(
                &["start_dicom_export_job"],
                "Show the user the counts, and ask for the destination and for de-identification. Then call \
                 start_dicom_export_job once a study, with output_s3_uri, study_instance_uid and, unless the user \
                 wants names, deidentify.",
            )]),
            may(&[by(
                &["get_dicom_export_job"],
                "Call get_dicom_export_job until each job has ended.",
            )]),
        ],
        answer: "Answer with the numbers of patients, studies and series, the filters that gave them, what was \
                 exported, and what failed or was held back.",
    },
    PromptEntry {
        name: "find_priors",
        title: "Find prior studies",
        description: "Find earlier studies of the same patient that compare with a study.",
        arguments: &[STUDY, DATASTORE],
        task: "Find the prior studies that compare with a study.",
        steps: &[
            may(&[by(
                &["get_study_series"],
                "Call get_study_series with study_instance_uid: modalities and descriptions.",
            )]),
            need(&[
                by(
                    &["search_image_sets"],
                    "Call search_image_sets with a filter EQUAL on DICOMStudyInstanceUID and max_results 1: Patient \
                     ID, date and description of the study.",
                ),
                by(
                    &["search_by_study_uid"],
                    "Call search_by_study_uid with max_results 1: Patient ID, date and description of the study.",
                ),
            ]),
            may(&[by(
                &["get_patient_studies"],
                "Call get_patient_studies with that Patient ID: its studies, newest first.",
            )]),
            may(&[by(
                &["search_image_sets"],
                "Call search_image_sets with a filter EQUAL on DICOMPatientId, study_date_to the day before and \
                 modality, body_part or text, to narrow them.",
            )]),
            may(&[by(
                &["get_series_contact_sheet"],
                "If the user wants to see them, call get_series_contact_sheet of the matching series.",
            )]),
        ],
        answer: "Answer with a table of earlier studies, the best match first: date, modality, description, why it \
                 compares, Study Instance UID. One Patient ID may be of two people: say if names, sex or birth dates \
                 differ.",
    },
    PromptEntry {
        name: "report_import",
        title: "Report an import",
        description: "Report what an import job stored, what failed, and why.",
        arguments: &[optional("job_id", "Import job; default: the latest"), DATASTORE],
        task: "Report an import job.",
        steps: &[
            may(&[by(
                &["list_dicom_import_jobs"],
                "Without job_id, call list_dicom_import_jobs and take the latest.",
            )]),
            need(&[by(
                &["get_dicom_import_job"],
                "Call get_dicom_import_job with job_id: status, counts, and the files that failed with their reasons. \
                 Continue with next_token; list WARNING has the files that were stored with a warning.",
            )]),
        ],
        answer: "Answer with the counts, then the failures grouped by reason with one file as an example and what to \
                 do, then the warnings that matter.",
    },
    PromptEntry {
        name: "show_key_images",
        title: "Show key images",
        description: "Show the images of a study that a key object selects, or else representative ones.",
        arguments: &[STUDY, DATASTORE],
        task: "Show the key images of a study.",
        steps: &[
            SERIES_OF_STUDY,
            may(&[
                by(
                    &["get_report"],
                    "If a series has modality KO or PR, call get_report with its series_instance_uid, or with its \
                     image_set_id if it is not primary: the instances and frames that were selected, and why.",
                ),
                by(
                    &["get_image_set_metadata"],
                    "If a series has modality KO or PR, call get_image_set_metadata of its image set with level \
                     INSTANCE: ContentSequence and ReferencedSeriesSequence name the instances that were selected.",
                ),
            ]),
            need(&[
                by(
                    &["get_image_frame"],
                    "Call get_image_frame with image_set_id, sop_instance_uid and frame_number of each selected image, \
                     at most eight. If nothing was selected, take slice middle of each image series.",
                ),
                by(
                    &["get_series_contact_sheet"],
                    "Call get_series_contact_sheet of each image series.",
                ),
            ]),
        ],
        answer: "Show each image with its series description, slice or instance, and why it was selected. Describe \
                 what is visible; do not diagnose.",
    },
    PromptEntry {
        name: "summarize_patient",
        title: "Summarize a patient",
        description: "Summarize the imaging history of a patient.",
        arguments: &[PATIENT, DATASTORE],
        task: "Summarize the imaging history of a patient.",
        steps: &[
            STUDIES_OF_PATIENT,
            may(&[
                by(
                    &["get_patient_series"],
                    "Call get_patient_series with patient_id: modalities, body parts and counts.",
                ),
                by(
                    &["get_study_series"],
                    "Call get_study_series of the newest studies: modalities, body parts and counts.",
                ),
            ]),
            may(&[by(
                &["get_report"],
                "Call get_report for the reports and documents among them.",
            )]),
        ],
        answer: "Answer with a timeline (date, modality, description, series and images), then what is notable: \
                 duplicates, image sets that are not primary, differing names, sex or birth dates.",
    },
];
