//! Every tool, called as an assistant calls it, on real data, on every back end.
//!
//! A case is a plain function over a [`rig::Rig`]; [`cases!`] lists each once. A back end joins by a
//! function that opens it and one more line at the end of this file.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says that something is wrong by panicking"
)]

mod bad;
mod compare;
mod conversations;
mod correct;
mod damage;
mod deidentified;
mod erase;
mod export;
mod hidden;
mod hierarchy;
mod imports;
mod jobs;
mod pictures;
mod planted;
mod redaction;
mod report;
mod rig;
mod search;
mod series;
mod store;
mod table;
mod transfer;
mod update;
mod view;

use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use healthimaging::{HealthImaging as _, Pace, Paced};
use healthimaging_local::{LocalConfig, LocalStore, Quotas};
use healthimaging_testing::wire;
use healthimaging_workflows::BackEnd;

use rig::Opening;

/// One test a case, on a back end: its name, and how it is opened.
macro_rules! cases {
    ($back_end:ident, $open:path) => {
        cases! { @list $back_end, $open;
            export {
                a_whole_data_store_is_exported,
                a_study_a_series_an_instance_are_exported_alone,
                image_sets_are_chosen_by_when_they_were_made,
                image_sets_that_are_not_primary_are_exported_when_asked_for,
                an_edit_is_in_the_files,
                files_have_the_transfer_syntax_that_is_asked_for,
                a_transfer_syntax_that_no_file_can_have_is_refused_at_once,
                what_cannot_be_exported_is_refused_with_the_reason,
                a_job_is_started_once_a_token,
                what_is_exported_and_imported_again_is_the_same,
            }
            deidentified {
                nothing_planted_is_in_a_deidentified_export,
                new_uids_are_the_same_in_every_export_and_pixels_stay,
                ultrasound_is_black_outside_of_its_regions,
                what_may_show_text_is_held_back_and_listed,
                options_that_cannot_be_in_force_are_refused,
            }
            damage {
                a_damaged_frame_is_neither_shown_nor_exported,
            }
            bad {
                one_wrong_argument_is_refused_by_every_tool,
                ids_that_nothing_has_are_not_found,
                tokens_of_another_listing_are_refused,
                a_confirmation_is_good_for_one_plan,
                a_plan_that_no_longer_holds_is_refused,
                criteria_are_read_to_the_last_key,
            }
            compare {
                two_versions_differ_in_what_was_changed,
                what_keeps_an_image_set_from_being_primary_is_named_and_resolved,
                another_patient_is_reassigned_and_no_value_of_that_patient_stays,
                what_the_primary_image_set_has_is_kept_and_the_rest_joins_it,
                a_study_whose_primary_image_sets_disagree_has_no_call_that_resolves_it,
                two_data_stores_are_compared_series_by_series,
            }
            conversations {
                questions_take_four_calls_at_most,
            }
            redaction {
                conversations_by_tokens_show_nothing_and_do_their_work,
                no_tool_shows_what_identifies_a_patient,
                guesses_find_nothing,
                tokens_open_as_their_attribute_only,
                dates_keep_their_intervals,
            }
            planted {
                every_tool_keeps_planted_values_from_the_model,
            }
            transfer {
                studies_are_transferred_once_and_compared,
                what_cannot_be_transferred_is_refused_with_the_reason,
                an_instance_that_cannot_be_read_keeps_no_other_back,
                another_instance_of_the_same_uid_stays,
                a_color_transform_is_no_difference_of_content,
                a_transfer_is_deidentified,
                blanked_pixels_are_compared_decoded,
            }
            pictures {
                a_frame_is_seen_through_the_window_of_the_file_or_of_the_caller,
                padding_of_another_instance_of_the_series_masks_nothing,
                a_frame_is_named_by_its_instance_and_number,
                a_frame_of_an_older_version_is_seen,
                a_frame_of_jpeg_xl_is_seen,
                a_large_picture_is_made_smaller,
                bad_questions_about_frames_are_refused,
                a_frame_without_a_picture_names_the_alternative,
                a_window_that_is_not_usable_never_refuses_the_picture,
                a_window_narrower_than_1_is_exact,
            }
            view {
                a_contact_sheet_shows_evenly_spaced_slices_alike,
                a_slice_is_named_by_its_position,
                frames_of_one_instance_are_slices_too,
                a_series_without_slices_is_refused_with_the_reason,
                faults_of_a_series_are_counted,
            }
            report {
                a_report_is_text_a_table_and_items,
                a_dose_report_is_a_table_of_events,
                selections_and_presentation_states_name_what_they_refer_to,
                a_large_report_comes_in_parts_and_a_deep_one_whole,
                a_report_of_an_image_set_that_is_not_primary_is_read,
                a_pdf_is_text_and_pictures_of_its_pages,
                documents_that_are_not_shown_say_why,
                what_is_no_report_is_refused_with_the_reason,
            }
            correct {
                a_study_is_corrected_in_one_piece,
                a_patient_is_corrected_in_all_studies,
                a_study_moves_to_another_patient_with_all_its_attributes,
                a_plan_that_cannot_succeed_says_so,
                what_cannot_be_set_is_refused_before_anything_changes,
            }
            series {
                a_series_gets_values_in_an_update_or_in_a_copy,
                what_a_series_cannot_get_is_refused,
                instances_with_values_of_their_own_get_the_value_of_the_series,
                a_series_whose_copy_could_not_be_primary_stays,
                more_frames_than_a_copy_takes_are_replaced_in_parts,
                more_frames_than_a_copy_takes_stay_when_an_instance_is_erased,
                an_instance_of_more_frames_than_a_copy_takes_stays,
                a_series_of_several_primary_image_sets_is_updated_when_they_are_joined,
            }
            erase {
                a_patient_goes_and_the_others_stay,
                an_erased_patient_is_not_named_in_the_job,
                older_versions_that_name_a_patient_go_with_a_consent_of_their_own,
                files_that_name_an_erased_patient_are_named,
                a_study_goes_and_the_others_stay,
                a_series_goes_and_the_others_stay,
                an_instance_is_removed_and_the_last_one_takes_the_image_set,
                erasing_an_instance_leaves_no_version_that_holds_it,
                imports_whose_outcomes_name_an_erased_patient_are_named,
                the_plan_of_a_removal_names_what_is_removed,
                removing_the_only_series_deletes_the_image_set,
                a_bulk_deletion_takes_what_matches_and_keeps_its_ceiling,
                more_than_a_page_is_deleted,
            }
            store {
                files_and_folders_are_stored_and_each_has_its_outcome,
                what_may_not_be_read_is_not_stored,
                an_image_set_is_copied_into_another_data_store,
                a_part_of_an_image_set_is_copied_into_another_data_store,
            }
            update {
                what_an_update_takes_away_is_planned_first,
                another_patient_is_asked_about_where_nothing_may_be_deleted_too,
                a_write_that_fails_is_an_error_with_the_reason,
                a_copy_that_cannot_be_primary_is_an_error,
                values_longer_than_their_representation_are_refused_at_once,
                values_without_the_form_of_their_representation_are_refused_at_once,
                several_modalities_are_any_of_them,
            }
            hidden {
                what_is_hidden_is_shown_and_finds_what_it_came_from,
            }
            hierarchy {
                a_patient_has_studies_and_series,
                two_people_of_one_patient_id_are_noticed,
                primary_is_the_flag_of_the_service_and_not_a_version,
                dicomweb_studies_are_of_this_patient_alone,
            }
            imports {
                an_import_says_what_failed_and_why,
            }
            jobs {
                a_job_is_found_listed_and_cannot_be_cancelled_after_its_end,
            }
            table {
                attributes_are_tabulated_and_totalled,
                doses_of_reports_are_summed, private_dates_have_no_sum,
                totals_are_of_all_instances,
            }
            search {
                everything_is_found_without_criteria,
                ct_scans_of_a_patient_are_one_call,
                more_than_a_hundred_are_paged_exactly,
                studies_are_found_by_what_they_have_and_lack,
                texts_are_found_in_descriptions_and_absent_body_parts_are_counted,
                a_data_store_is_summarized,
            }
        }
    };
    (@list $back_end:ident, $open:path; $($subject:ident { $($case:ident),* $(,)? })*) => {
        mod $back_end {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let rig = crate::rig::Rig::new($open).await;
                    crate::$subject::$case(rig).await;
                })*
            })*
        }
    };
}

async fn store(opening: Opening) -> Arc<LocalStore> {
    let mut config = LocalConfig::new(opening.data_dir);
    config.allowed_paths = vec![opening.allowed];
    // As the service has it.
    config.quotas.copy_frames = Quotas::AWS.copy_frames;
    LocalStore::open(config).await.unwrap()
}

/// The embedded store.
fn open_local(opening: Opening) -> BoxFuture<'static, BackEnd> {
    async move {
        let store = store(opening).await;
        BackEnd { service: Arc::clone(&store) as _, dicomweb: store }
    }
    .boxed()
}

/// The AWS back end, whose service is the embedded store behind the HTTP face.
fn open_aws(opening: Opening) -> BoxFuture<'static, BackEnd> {
    async move {
        let aws = wire::over_the_wire(store(opening).await).await;
        // The rates of AWS would make these tests minutes long.
        let pace = Arc::new(Pace::new(&aws.limits(), 10_000.0));
        BackEnd {
            service: Arc::new(Paced::new(Arc::clone(&aws), Arc::clone(&pace))),
            dicomweb: Arc::new(Paced::new(aws, pace)),
        }
    }
    .boxed()
}

cases!(local, crate::open_local);
cases!(aws, crate::open_aws);
