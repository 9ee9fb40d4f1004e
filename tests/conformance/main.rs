//! The conformance suite: how AWS HealthImaging behaves, checked through the traits alone.
//!
//! Every case is a plain function over a [`Rig`](healthimaging_testing::rig::Rig); [`cases!`] lists each once. A back end joins by
//! a function that opens it and one more line at the end of this file. Expected values come from the
//! documentation of AWS, from the DICOM standard, or are worked out here from the pixels given.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says that something is wrong by panicking"
)]
#![expect(
    clippy::needless_pass_by_value,
    clippy::cloned_ref_to_slice_refs,
    reason = "documents and lists are written where they are passed"
)]

mod bad_input;
mod codestream;
mod concurrency;
mod copy;
mod datastores;
mod delete;
mod dicomweb;
mod dicomweb_matching;
mod dicomweb_metadata;
mod dicomweb_retrieve;
mod dicomweb_search;
mod dicomweb_store;
mod differing;
mod frames;
mod grouping;
mod import_jobs;
mod levels;
mod live;
mod metadata;
mod metadata_values;
mod picture;
mod search;
mod tags;
mod update;
mod update_rules;
mod versions;

/// One test a case, on a back end: its name, and how it is opened.
macro_rules! cases {
    ($back_end:ident, $open:path) => {
        cases! { @list $back_end, $open;
            datastores {
                a_new_data_store_is_creating_and_becomes_active,
                a_data_store_has_an_arn_that_ends_in_its_id,
                frames_are_stored_as_htj2k_unless_asked_otherwise,
                what_a_data_store_was_made_with_is_shown,
                a_data_store_without_a_name_is_named_after_its_id,
                two_data_stores_may_have_one_name,
                a_client_token_gives_the_first_data_store_again,
                a_client_token_with_other_input_is_a_conflict,
                data_stores_are_listed_newest_first,
                a_listing_by_status_shows_that_status_alone,
                pages_of_data_stores_join_into_the_whole_listing,
                a_new_data_store_does_not_shift_the_next_page,
                a_page_of_data_stores_holds_1_to_50,
                a_page_token_that_was_not_given_out_is_refused,
                a_page_token_of_another_listing_is_refused,
                an_unknown_data_store_is_not_found,
                a_deleted_data_store_is_deleting_and_then_deleted,
                a_data_store_with_image_sets_cannot_be_deleted,
                a_deleted_data_store_takes_no_work,
                data_stores_do_not_see_each_other,
            }
            tags {
                tags_given_at_creation_are_listed,
                a_tag_set_again_is_overwritten,
                tags_are_removed_by_key_and_absent_keys_are_fine,
                an_image_set_has_tags_of_its_own,
                a_resource_has_at_most_50_tags,
                an_unknown_resource_has_no_tags,
                at_most_200_keys_are_removed_at_once,
                tags_go_with_their_image_set,
            }
            import_jobs {
                a_started_job_is_submitted_and_ends_completed,
                the_output_folder_is_named_after_data_store_and_job,
                the_manifest_counts_files_and_names_image_sets,
                the_manifest_holds_the_job_summary_alone,
                a_file_that_went_in_has_a_success_line,
                a_file_that_was_refused_has_a_failure_line,
                a_job_whose_files_were_all_refused_is_completed,
                content_decides_what_is_dicom_not_the_name,
                nested_folders_are_searched,
                a_prefix_without_objects_fails_the_job,
                an_output_that_cannot_be_written_fails_the_job,
                jobs_are_listed_newest_first,
                jobs_are_listed_by_status,
                pages_of_jobs_join_and_their_tokens_are_checked,
                an_unknown_job_is_not_found,
                a_client_token_gives_the_first_job_again,
                header_values_are_overridden_by_dicom_json,
                an_override_has_1_to_1000_mappings,
            }
            grouping {
                one_series_becomes_one_primary_image_set,
                each_series_of_a_study_is_an_image_set,
                a_later_job_extends_the_primary_image_set,
                an_instance_imported_again_is_replaced_in_a_new_version,
                the_same_files_again_cost_a_version_each_time,
                another_study_date_is_not_primary,
                another_accession_number_is_not_primary,
                another_patient_id_is_not_primary,
                another_study_id_is_not_primary,
                another_series_number_is_not_primary,
                another_study_uid_is_another_primary_image_set,
                two_patients_in_one_study_cannot_both_be_primary,
                the_first_in_key_order_is_primary_within_one_job,
                a_conflicting_copy_is_a_new_image_set_every_time,
                other_attributes_do_not_part_a_series_and_the_first_value_stays,
                pad_spaces_do_not_part_a_series,
                of_two_files_with_one_sop_uid_the_later_key_stays,
                an_instance_twice_in_one_job_is_stored_as_by_two_jobs,
                a_conflicting_instance_twice_in_one_job_is_two_image_sets,
                an_object_without_pixels_is_an_image_set_without_frames,
                after_deletion_the_series_starts_anew,
            }
            differing {
                instances_that_differ_come_back_as_they_were_sent,
                the_set_keeps_its_values_and_the_instance_its_own,
                an_instance_that_differs_is_warned_about_by_keyword,
                an_instance_is_found_with_its_own_values,
                an_image_set_is_found_at_the_own_study_time_of_an_instance,
                a_corrected_file_brings_its_values,
                every_file_of_an_instance_is_in_a_version,
                corrected_files_of_a_whole_set_bring_their_values,
                an_update_of_a_level_reaches_every_instance,
                removing_the_first_instance_changes_no_other,
                copies_and_promotions_keep_what_is_an_instance_s_own,
            }
            metadata {
                the_document_is_json_in_gzip,
                the_document_has_the_shape_of_the_service,
                every_listed_attribute_stands_at_its_level,
                what_is_listed_nowhere_stands_at_the_instance,
                every_element_stands_at_one_level_and_none_is_invented,
                file_meta_information_stands_at_the_instance,
                pixel_data_is_left_out,
                the_encoding_of_a_file_does_not_show_in_its_attributes,
                an_unknown_image_set_or_version_has_no_metadata,
            }
            metadata_values {
                integers_and_floats_are_numbers,
                decimal_and_integer_strings_keep_their_padding,
                text_is_a_string_and_a_uid_has_no_nul,
                a_name_is_text_with_its_groups,
                text_is_unicode_whatever_the_character_set,
                an_attribute_tag_is_eight_upper_case_digits,
                binary_values_are_base64,
                several_values_are_an_array_even_when_there_is_one,
                empty_values_are_null,
                sequences_are_arrays_of_objects,
                private_elements_have_hexadecimal_keys_and_their_vr_apart,
                private_elements_in_items_have_their_vr_with_the_instance,
                private_elements_of_implicit_files_are_unknown,
                a_private_value_over_1_megabyte_is_null_with_its_vr,
            }
            frames {
                every_shape_has_the_checksum_and_range_of_its_pixels,
                frames_are_htj2k_lossless_by_resolution,
                color_is_transformed_when_it_is_rgb,
                a_jpeg_2000_data_store_keeps_jpeg_2000,
                frames_stand_in_their_order_with_ids_of_their_own,
                planes_are_put_together,
                big_endian_pixels_are_turned,
                bytes_in_big_endian_words_are_put_back_in_order,
                implicit_and_deflated_pixels_are_the_same,
                run_length_frames_are_transcoded,
                a_frame_in_several_fragments_is_one_frame,
                an_offset_table_says_where_frames_begin,
                jpeg_2000_and_htj2k_frames_are_decoded_and_stored_again,
                lossy_jpeg_is_kept_as_received,
                binary_segmentation_is_kept_as_received,
                an_unknown_transfer_syntax_goes_in_with_a_warning,
                a_frame_that_cannot_be_decoded_goes_in_with_a_warning,
                a_wrong_number_of_frames_goes_in_with_a_warning,
                a_wrong_offset_table_goes_in_with_a_warning,
                an_unknown_frame_is_not_found,
                a_frame_stays_as_it_is_when_metadata_changes,
            }
            search {
                no_criteria_find_everything_newest_first,
                each_attribute_finds_its_image_set,
                a_search_tells_primary_from_not,
                comparison_is_exact,
                pad_spaces_do_not_count,
                moments_are_found_between_both_ends_included,
                study_moments_are_found_between_both_ends_included,
                a_study_moment_is_found_by_itself,
                two_filters_must_both_hold,
                filters_of_a_wrong_shape_are_refused,
                results_are_sorted_as_asked,
                the_order_that_was_asked_for_is_told,
                pages_join_into_the_whole_result,
                a_new_image_set_does_not_shift_the_next_page,
                a_page_token_is_bound_to_its_search,
                a_page_of_image_sets_holds_1_to_50,
                a_full_page_holds_50,
                a_result_tells_sixteen_attributes,
                a_result_tells_version_and_moments,
                an_update_is_found_under_its_new_value_alone,
            }
            versions {
                versions_are_listed_newest_first_failed_ones_too,
                each_version_can_be_asked_for,
                each_version_keeps_its_document,
                an_unknown_version_is_not_found,
                pages_of_versions_join_and_their_tokens_are_checked,
                a_new_version_does_not_shift_the_next_page,
            }
            update {
                an_update_answers_locked_and_ends_updated,
                a_study_attribute_is_changed_and_one_is_added,
                an_update_changes_nothing_else,
                the_schema_version_is_a_number_or_text,
                an_instance_attribute_is_changed,
                patient_and_series_are_changed_where_not_primary,
                an_attribute_is_removed_whatever_value_is_given,
                one_call_sets_and_removes,
                a_removed_instance_is_gone_and_comes_back_with_a_revert,
                the_last_instance_and_the_only_series_cannot_be_removed,
                a_failed_update_leaves_a_version_with_a_message,
                a_revert_makes_the_content_of_a_version_a_new_one,
                a_revert_to_an_unknown_version_is_refused,
                a_version_that_is_not_the_latest_is_a_conflict,
                an_unknown_image_set_cannot_be_updated,
                a_locked_image_set_can_be_read_but_not_written,
                a_forced_version_says_so_and_no_other_does,
                force_allows_what_is_refused_without_it,
                uids_are_changed_by_force_under_their_old_names,
                documents_hold_1_to_30000_bytes,
            }
            update_rules {
                what_is_not_a_document_is_refused_at_once,
                an_update_without_documents_is_refused,
                a_document_of_another_shape_is_refused_at_once,
                a_deep_document_is_refused_at_once,
                an_attribute_at_the_wrong_level_is_refused_at_once,
                pixels_and_frame_facts_are_never_changed,
                without_force_these_attributes_are_refused,
                values_that_do_not_fit_are_refused,
                what_is_not_in_the_image_set_cannot_be_changed,
                patient_and_series_of_a_primary_image_set_stay,
                force_changes_no_uid_of_a_primary_image_set,
                an_update_of_the_study_reaches_all_its_primary_image_sets,
                the_other_image_sets_of_a_study_show_that_they_are_updated,
                an_update_of_the_study_takes_no_revert_and_no_series,
                a_failed_update_of_the_study_changes_none_of_it,
            }
            copy {
                a_copy_answers_locked_on_both_sides,
                a_copy_ends_copied_and_is_not_primary,
                a_copy_holds_what_its_source_holds,
                a_copy_of_the_latest_version_is_asked_for,
                an_unknown_source_is_not_found,
                a_copy_outlives_its_source,
                a_change_of_the_copy_leaves_the_source_alone,
                a_locked_source_can_be_read_and_not_written,
                a_part_of_an_image_set_is_copied,
                a_part_that_is_not_there_is_refused,
                instances_are_copied_into_another_image_set,
                a_stale_destination_is_a_conflict,
                an_instance_that_is_there_already_fails_the_copy,
                metadata_that_disagree_fail_the_copy_unless_forced,
                a_set_without_rival_is_promoted_under_a_new_id,
            }
            delete {
                a_deletion_answers_deleting,
                a_deleted_image_set_says_that_it_was,
                a_deleted_image_set_is_not_found_by_search,
                a_deleted_image_set_has_no_metadata_and_no_frames,
                all_versions_are_deleted,
                a_deletion_again_answers_deleted,
                a_deleted_image_set_takes_no_writes,
                an_unknown_image_set_cannot_be_deleted,
                an_image_set_that_is_being_deleted_is_locked,
            }
            dicomweb_retrieve {
                pixels_come_back_as_they_were,
                the_stored_form_holds_the_stored_frames,
                a_syntax_that_cannot_be_made_is_not_acceptable,
                a_jpeg_2000_data_store_gives_jpeg_2000,
                what_was_kept_as_received_comes_back_so,
                a_blob_with_an_unknown_syntax_comes_back_whole,
                every_attribute_comes_back,
                a_value_over_1_megabyte_comes_back,
                what_was_changed_since_comes_back_changed,
                an_object_without_pixels_comes_back,
                an_unknown_instance_is_not_found,
                a_set_that_is_not_primary_is_seen_by_its_id_alone,
            }
            dicomweb_metadata {
                metadata_are_dicom_json,
                metadata_tell_the_stored_transfer_syntax,
                a_large_value_is_named_by_a_uri_in_the_metadata,
                metadata_of_a_series_come_by_instance_number,
            }
            dicomweb_store {
                stored_instances_are_there_at_once,
                each_stored_instance_has_its_own_outcome,
                a_refused_instance_is_named_by_the_uids_that_it_has,
            }
            dicomweb_search {
                studies_come_newest_change_first,
                each_match_key_finds_its_study,
                several_match_keys_must_all_hold,
                wildcards_match,
                date_ranges_include_both_ends,
                several_uids_match_any_of_them,
                fuzzy_matching_takes_beginnings_of_words,
                a_study_tells_what_the_standard_asks,
                series_come_by_their_number,
                instances_come_by_their_number,
                limit_and_offset_walk_through_the_results,
                an_unknown_match_key_is_refused,
                more_fields_are_included_on_request,
                sets_that_are_not_primary_are_not_found,
                what_was_changed_is_found_by_its_new_value,
                what_was_deleted_is_not_found,
                warnings_of_an_import_can_be_searched_for,
                an_instance_lists_the_transfer_syntaxes_that_it_can_be_retrieved_in,
                a_study_without_modalities_has_no_attribute_of_them,
            }
            dicomweb_matching {
                items_of_the_request_attributes_are_match_keys,
                numbers_are_compared_as_numbers,
                dates_and_times_of_acr_nema_are_dates_and_times,
                names_are_compared_without_case_and_empty_components,
                each_component_group_of_a_name_is_found,
                letters_beyond_ascii_have_no_case_in_names,
                identifiers_are_compared_as_written_but_for_their_pad,
                modalities_in_study_take_a_list,
                every_attribute_of_the_level_and_above_is_a_match_key,
                attributes_below_the_level_find_what_holds_them,
            }
            bad_input {
                what_is_not_dicom_is_refused,
                a_file_without_a_required_attribute_is_refused_by_its_name,
                a_file_without_transfer_syntax_is_refused_by_its_name,
                a_file_with_file_meta_information_alone_is_refused,
                an_empty_uid_is_as_bad_as_none,
                a_truncated_file_is_refused_unless_it_ends_in_its_pixels,
                a_file_truncated_in_its_fragments_goes_in_with_a_warning,
                lengths_that_lie_are_refused_but_for_that_of_the_pixels,
                sequences_without_bottom_are_refused,
                sequences_of_moderate_depth_go_in,
                short_pixel_data_is_kept_as_received_with_a_warning,
                a_huge_picture_in_a_small_file_is_kept_with_a_warning,
                pictures_that_contradict_themselves_have_an_outcome,
                streams_of_nonsense_have_an_outcome,
                claims_of_another_transfer_syntax_have_an_outcome,
                uids_that_are_none_have_an_outcome,
                values_too_long_for_their_vr_go_in_with_a_warning,
                bytes_after_the_end_do_not_keep_a_file_out,
                a_deflate_bomb_is_refused,
                links_in_a_circle_and_to_nowhere_do_not_stop_an_import,
                a_link_out_of_the_folder_is_not_followed,
                what_is_no_ordinary_file_does_not_hang_an_import,
                a_name_that_is_not_utf_8_can_be_imported,
                good_files_go_in_beside_bad_ones,
            }
            live {
                an_image_set_lives_from_storing_to_deleting,
            }
            concurrency {
                jobs_that_extend_one_series_at_once_all_arrive,
                of_many_updates_of_one_version_exactly_one_is_taken,
                of_many_creations_with_one_token_one_data_store_comes,
                readers_see_a_whole_version_while_it_changes,
                of_an_update_and_a_deletion_at_once_the_set_ends_whole,
            }
        }
    };
    (@list $back_end:ident, $open:path; $($subject:ident { $($case:ident,)+ })+) => {
        mod $back_end {
            $(mod $subject {
                $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    let rig = healthimaging_testing::rig::Rig::new($open).await;
                    crate::$subject::$case(&rig).await;
                })+
            })+
        }
    };
}

/// The embedded store.
mod local_store {
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use healthimaging_local::{LocalConfig, LocalStore};
    use std::sync::Arc;

    use healthimaging_testing::rig::{Backend, Opening};

    pub(crate) async fn store(opening: Opening) -> Arc<LocalStore> {
        let config = LocalConfig {
            allowed_paths: vec![opening.allowed],
            write_delay: opening.write_delay,
            ..LocalConfig::new(opening.data_dir)
        };
        LocalStore::open(config).await.unwrap()
    }

    pub(crate) fn open(opening: Opening) -> BoxFuture<'static, Backend> {
        async move {
            let store = store(opening).await;
            Backend { service: Arc::clone(&store) as _, web: store }
        }
        .boxed()
    }
}

/// The AWS back end, whose service is the embedded store behind the HTTP face.
mod aws_over_http {
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use std::sync::Arc;

    use crate::local_store;
    use healthimaging_testing::rig::{Backend, Opening};
    use healthimaging_testing::wire;

    pub(crate) fn open(opening: Opening) -> BoxFuture<'static, Backend> {
        async move {
            let aws = wire::over_the_wire(local_store::store(opening).await).await;
            Backend { service: Arc::clone(&aws) as _, web: aws }
        }
        .boxed()
    }
}

cases!(local, crate::local_store::open);
cases!(aws, crate::aws_over_http::open);

/// A live account, at the rates that AWS allows, where the environment names an ACTIVE data store of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_account() {
    use std::sync::Arc;

    let Ok(named) = std::env::var("HEALTHIMAGING_LIVE_DATASTORE") else {
        eprintln!("NOT RUN: HEALTHIMAGING_LIVE_DATASTORE names no data store of a live account");
        return;
    };
    let store = named.parse().unwrap();
    let aws = healthimaging_aws::Aws::open(healthimaging_aws::AwsConfig::default()).await;
    let aws = aws.unwrap();
    let pace =
        Arc::new(healthimaging::Pace::new(&healthimaging::HealthImaging::limits(&*aws), 1.0));
    let back_end = healthimaging_testing::rig::Backend {
        service: Arc::new(healthimaging::Paced::new(Arc::clone(&aws), Arc::clone(&pace))),
        web: Arc::new(healthimaging::Paced::new(aws, pace)),
    };
    live::life_of_an_image_set(&back_end, &store).await;
}
