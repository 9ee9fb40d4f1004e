//! Words of `docs/tools.md` that the schemas leave out, since every byte of those is paid for in every
//! conversation.

/// What stands before the tools.
pub(crate) const HEAD: &str = r#"# Tools

This page is written by `UPDATE=1 cargo test -p healthimaging-tools` from the table of tools. What a client is told
(`tools/list`) has the same in fewer words; [transcript.md](transcript.md) shows a call of each tool with its answer.

## What all tools have in common
* **Arguments** are checked before anything is done; what a tool does not know is refused, so that a misspelt filter never
  widens a search or a deletion. Shapes of the AWS API (`search_criteria`, `copy_image_set_information`,
  `image_frame_information`, metadata documents) keep its spelling; answers are in snake case.
* **Errors** are `{"error": true, "type", "message", "code"?, "request_id"?}`, with `isError`. The type is
  `validation_error` (mend the arguments), `not_found`, `auth_error` (rights, or a user who did not agree),
  `service_error` (conflicts, quotas, the service's own faults) or `server_error`. A message says what is wrong and what to
  do, and does not repeat what was sent.
* **Effects.** A tool *reads*, *writes* (adds or changes; older versions stay) or *destroys*. `--read-only` offers only
  those that read; `--no-delete` leaves out those that destroy. `update_image_set_metadata` writes, but a call that removes
  instances or series, or reverts, destroys: it needs consent, and `--no-delete` refuses it.
* **Consent.** A tool with `confirmation_token` makes a plan first, by reading only: whose images they are (patient, study
  dates, descriptions, modalities, counts), old and new values, and what older versions keep. Where the client can ask its
  user, the user is asked, in at most 20 lines. Where it cannot, the tool answers with `plan` and `confirmation_token`, and
  acts when it is called again with the same arguments and the token; the token lasts 10 minutes, and a plan that no longer
  holds is refused. A user who declines, or a client that does so by itself, cancels or cannot ask, gets an `auth_error`
  that says which, with `plan` and `confirmation_token` beside it. `dry_run` answers with the plan alone. The two tools that
  update an image set or a study act at once, but for what destroys and for another Patient ID or Study Instance UID.
* **Pages.** `max_results` is 1 to 100. `next_token` in an answer means that there is more: pass it with the same
  arguments.
* **Sizes.** The JSON of an answer has 60,000 bytes at most, since clients cut longer ones: a list ends earlier, with a
  `next_token`. `get_image_set_metadata` answers with an outline above that, and with the arguments that get all of it page by
  page in `next`; `max_bytes` asks for more. A frame that is asked for as it is stored comes whole, up to 1 MiB. Pictures are
  as large as `max_size` says.
* **Text out of DICOM files** is data, in fields of its own. Characters that nobody sees (controls but tab and line ends,
  marks that turn the direction of text, characters without a width) are shown as `\u{202E}`, in hexadecimal; a backslash
  that stands before `u{` in the data itself is shown as `\u{5C}`. Arguments are read the same way, so that what an answer
  shows can be passed on as it stands: `{"patient_id": "MRN-\\u{202E}42"}` in JSON finds what was shown as
  `MRN-\u{202E}42`. This holds for tools and resources; stored data, exported files, DICOMweb and the AWS API keep the
  characters themselves.
* **Long work.** Exports, deletions and updates of many image sets are jobs of this server, which outlive the call and the
  process: a call waits up to `wait_seconds` (30 when left out) and answers with how the job stands; `get_job` follows it,
  `cancel_job` stops it. A client that sends a progress token hears how far it is. A client that cancels the call cancels
  the job.
* **Resources.** `healthimaging://datastores` lists the data stores; `healthimaging://datastores/{datastore_id}` has the
  properties of one and `counts` of its image sets, exact on the embedded store. AWS HealthImaging cannot count, so at most
  500 image sets are looked at, and more are told as `image_sets_at_least`. Templates lead to image sets, their metadata,
  frames and pictures; their arguments are completed.
"#;

/// Argument, or tool and argument, and what it means.
pub(crate) const GLOSSARY: &[(&str, &str)] = &[
    ("annotation", "`false` leaves overlays (60xx) out of the picture."),
    ("auto_window", "Window from the darkest to the brightest pixel of the frame."),
    ("body_part", "Body Part Examined (0018,0015), in any case, such as `CHEST`."),
    (
        "client_token",
        "Makes repeating a request safe: the same token answers with the first result.",
    ),
    ("confirmation_token", "The token that came with the plan; the call then acts."),
    (
        "start_dicom_export_job.data_access_role_arn",
        "Accepted for old callers and not used: this server's own credentials write.",
    ),
    ("datastore_id", "Id of the data store."),
    ("datastore_name", "Letters, digits and `._/#-`, at most 256."),
    ("datastore_status", "Only data stores in this state; `status` is another name for it."),
    ("list_datastores.datastore_status", "Only data stores in this state; also known as `status`."),
    ("list_dicom_export_jobs.job_status", "Only jobs in this state; also known as `status`."),
    ("list_dicom_import_jobs.job_status", "Only jobs in this state; also known as `status`."),
    ("list_jobs.job_status", "Only jobs in this state."),
    ("dry_run", "Answer with the plan, and do nothing."),
    (
        "erase",
        "Leave no older version that holds it: what is to stay is copied to a new image set, and the \
         old one is deleted.",
    ),
    (
        "attributes",
        "Keywords or tags to keep; `ImageFrames` keeps the list of frames of each instance.",
    ),
    (
        "format",
        "`png` when left out, unless the server runs with `--frame-format stored`. `stored` has the \
         bytes in base64, up to 1 MiB; a longer frame is a resource.",
    ),
    ("frame_number", "Of the instance, from 1; 1 when left out."),
    ("image_frame_information", "`{\"imageFrameId\": …}`, as the metadata names it."),
    ("image_set_id", "Id of the image set."),
    ("include_non_primary", "Image sets outside of the primary hierarchy too."),
    ("input_owner_account_id", "Account that owns the bucket, when it is another one."),
    (
        "input_s3_uri",
        "`s3://bucket/prefix/`, or on the local store `file:///folder/` in an allowed folder.",
    ),
    ("job_id", "Id of the job."),
    ("job_name", "Letters, digits and `._/#-`, at most 64."),
    ("kms_key_arn", "Key that encrypts the data store."),
    ("lambda_authorizer_arn", "Function that checks the tokens of DICOMweb clients."),
    ("max_deletions", "1 to 100000; 100 when left out."),
    (
        "max_bytes",
        "How long the answer may be, 10000 to 10000000; 60000 when left out. Above it comes an outline.",
    ),
    ("max_results", "1 to 100; 50 when left out."),
    ("metadata_updates", "Keyword → value, of Patient or Study level."),
    ("modality", "Modality (0008,0060), in any case, such as `CT`."),
    ("next_token", "From the answer before, to go on where it ended."),
    ("get_image_set_metadata.next_token", "From `next` of the answer before: the next page."),
    (
        "start_dicom_export_job.output_s3_uri",
        "`s3://bucket/prefix/`, or `file:///folder/` in an allowed folder.",
    ),
    ("overwrite", "Replace files that are there with other content, which fail otherwise."),
    ("patient_id", "Patient ID (0010,0020), compared exactly."),
    ("patient_updates", "Keyword → value, of Patient level, such as `PatientName`."),
    ("primary_only", "Only image sets of the primary hierarchy."),
    ("promote_to_primary", "Make the copy part of the primary hierarchy, where it may be."),
    (
        "resource_arn",
        "ARN of a data store or an image set; `get_datastore` and `get_image_set` have it.",
    ),
    ("series_instance_uid", "Series Instance UID (0020,000E)."),
    ("sop_instance_uid", "SOP Instance UID (0008,0018)."),
    ("source_image_set_id", "The image set to copy."),
    ("study_date_from", "First Study Date (0008,0020), YYYYMMDD."),
    ("study_date_to", "Last Study Date (0008,0020), YYYYMMDD."),
    ("study_instance_uid", "Study Instance UID (0020,000D)."),
    ("study_updates", "Keyword → value, of Study level, such as `StudyDescription`."),
    ("submitted_after", "Only image sets made since then: `2026-01-31T12:00:00Z`."),
    ("submitted_before", "Only image sets made until then."),
    ("tag_keys", "Keys to remove; one that is not there is fine."),
    ("tags", "Key → value."),
    ("wait_seconds", "How long to wait for the end, 0 to 600."),
    (
        "window_center",
        "Together with `window_width`: the window of the picture, in the file's own units.",
    ),
    ("window_width", "See `window_center`; the file's window when both are left out."),
];
