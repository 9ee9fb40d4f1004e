//! Text of `docs/tools.md` that the schemas leave out, because every byte of those is paid for in every
//! conversation.

/// Text before the tools.
pub(crate) const HEAD: &str = r#"# Tools

This page is written by `UPDATE=1 cargo test -p healthimaging-tools` from the table of tools. `tools/list` has the same in
fewer words; [transcript.md](transcript.md) shows a call of each tool with its answer.

## Common to all tools
* **Arguments** are checked before anything is done. Unknown ones are refused, so that a misspelled filter never widens a
  search or a deletion. Structures of the AWS API (`search_criteria`, `copy_image_set_information`,
  `image_frame_information`, metadata documents) keep its spelling; answers are in snake case.
* **Errors** are `{"error": true, "type", "message", "code"?, "request_id"?}`, with `isError`. The type is
  `validation_error` (correct the arguments), `not_found`, `auth_error` (permissions, or a user who did not agree),
  `service_error` (conflicts, quotas, faults of the service) or `server_error`. A message states what is wrong and what to
  do, and does not repeat what was sent.
* **Effects.** A tool *reads*, *writes* (adds or changes; older versions are kept) or *destroys*. `--read-only` offers only
  tools that read; `--no-delete` offers none that destroy. `update_image_set_metadata` writes, but a call that removes
  instances or series, or reverts, destroys: it needs consent, and `--no-delete` refuses it.
* **Consent.** A tool with `confirmation_token` plans first, by reading only: the patient, study dates, descriptions,
  modalities and counts of what is affected, old and new values, and what older versions keep. If the client can ask its
  user, the user is asked, in at most 20 lines. If it cannot, the answer has `plan` and `confirmation_token`, and a second
  call with the same arguments and the token carries the plan out. The token is valid for 10 minutes, in the process that
  made it, and a plan that no longer matches the data is refused. If the user declines, or the client declines by itself,
  cancels or cannot ask, the `auth_error` names which, and has `plan` and `confirmation_token`. `dry_run` returns only the
  plan. The two tools that update an image set or a study act at once, except for calls that destroy or that change Patient
  ID or Study Instance UID.
* **Pages.** `max_results` is 1 to 100. `next_token` in an answer means that there are more results: pass it with the same
  arguments.
* **Sizes.** The JSON of an answer has at most 60,000 bytes, because clients truncate longer ones: a list ends earlier, with
  `next_token`. `get_image_set_metadata` returns an outline above that, and in `next` the arguments that get the metadata
  page by page; `max_bytes` raises the limit. A stored frame is returned whole, up to 1 MiB. `max_size` limits pictures.
* **Text from DICOM files** is data, in its own fields. Invisible characters (controls except tab and line ends, marks that
  change the direction of text, zero-width characters) are shown as escapes such as `\u{202E}`, in hexadecimal; a backslash
  before `u{` in the data itself is shown as `\u{5C}`. Arguments accept the same escapes, so that a value of an answer can
  be passed on unchanged: `{"patient_id": "MRN-\\u{202E}42"}` in JSON finds what was shown as `MRN-\u{202E}42`. This
  applies to tools and resources; stored data, exported files, DICOMweb and the AWS API have the characters themselves.
* **Long operations.** Exports, and deletions and updates of many image sets, are jobs of this server, which continue after
  the call and the process: a call waits up to `wait_seconds` (default 30) and returns the status of the job; `get_job`
  returns it later, `cancel_job` stops the job. A client that sends a progress token receives progress. Cancelling the call
  cancels the job.
* **Resources.** `healthimaging://datastores` lists the data stores; `healthimaging://datastores/{datastore_id}` has the
  properties of one and `counts` of its image sets, exact with the embedded store. AWS HealthImaging cannot count, so at
  most 500 image sets are listed, and more are returned as `image_sets_at_least`. Templates lead to image sets, their
  metadata, frames and pictures; their arguments are completed.
* **Prompts** are tasks that a user starts: `summarize_patient`, `find_priors`, `check_series_quality`,
  `explain_not_primary`, `report_import`, `erase_patient`, `export_cohort`, `check_deidentification` and `show_key_images`.
  Each is a text of a few steps that names only tools that are offered; a prompt whose tools are not offered is not listed.
  Data stores, patients, studies, series, image sets and import jobs are completed: from one page of a listing, or from up
  to four pages of a search, most recently changed first. Arguments are given to the model as one line of JSON.
"#;

/// Text about toolsets, which the names of the tools of `core` follow.
pub(crate) const TOOLSETS: &str = r"
## Toolsets
Every description of a tool is read by the model in every conversation, and some clients limit the number of tools (Cursor
offers a model at most 40, of all servers together). Each option has an environment variable, such as
`HEALTHIMAGING_TOOLSETS`, and takes a list separated by commas:

* `--toolsets search,view` offers the tools of these sets; the headings below are the names. `core` is a set of the tools
  that most conversations need; `all` is the default.
* `--tools get_image_set,get_job` offers these tools, and those of `--toolsets` if that is given.
* `--exclude-tools delete_datastore` does not offer these tools, whatever else names them.
* `--schemas lean` lists tools without the schemas of their answers. Clients then cannot validate answers; answers are the
  same.

`--read-only` and `--no-delete` apply to what is selected. An unknown name is an error at the start, which lists the known
ones. The options apply to `stdio`, to `/mcp` of `serve`, to `call` and to `tools`. Clients that load tools on demand and
read `anthropic/alwaysLoad` load six tools of `core` at the start.

The set `core`: ";

/// Argument, or tool and argument, and what it means.
pub(crate) const GLOSSARY: &[(&str, &str)] = &[
    (
        "transfer_studies.from_datastore",
        "ID or name of a data store; `aws:` or `local:` before it names the other back end of this installation.",
    ),
    (
        "transfer_studies.to_datastore",
        "ID or name of another data store; `aws:` or `local:` before it names the other back end.",
    ),
    (
        "transfer_studies.criteria",
        "Which image sets, by the keys of `criteria` of `bulk_delete_by_criteria`; `{}` is the whole data store.",
    ),
    (
        "transfer_studies.dry_run",
        "Return counts, bytes and the time that the quotas need; transfer nothing.",
    ),
    ("annotation", "`false` leaves overlays (60xx) out of the picture."),
    ("auto_window", "Window from the darkest to the brightest pixel of the frame."),
    ("body_part", "Body Part Examined (0018,0015), in any case, such as `CHEST`."),
    (
        "client_token",
        "Idempotency token: a repeated request with the same token returns the first result.",
    ),
    ("confirmation_token", "The token from the plan; the call carries the plan out."),
    (
        "start_dicom_export_job.data_access_role_arn",
        "Accepted for compatibility and not used: this server writes with its own credentials.",
    ),
    ("datastore_id", "ID, name or ARN of the data store."),
    ("datastore_name", "Letters, digits and `._/#-`, at most 256."),
    ("datastore_status", "Only data stores with this status; `status` is an alias."),
    (
        "list_datastores.datastore_status",
        "Only data stores with this status; `status` is an alias.",
    ),
    ("compare_image_sets.image_set_id", "The old image set; alone, one that is not primary."),
    (
        "tabulate_attributes.content",
        "Code values or meanings of the concept names of content items in structured reports, at any depth.",
    ),
    (
        "tabulate_attributes.group_by",
        "Attributes of the table: equal values are one row, with statistics of each other column that has numbers, over all instances.",
    ),
    (
        "summarize_datastore.max_measured",
        "Number of image sets, the newest, whose metadata is read for bytes and transfer syntaxes; all are counted.",
    ),
    (
        "get_dicom_import_job.list",
        "Files that were not imported, that were imported with a warning, or that were imported.",
    ),
    ("list_dicom_export_jobs.job_status", "Only jobs with this status; `status` is an alias."),
    ("list_dicom_import_jobs.job_status", "Only jobs with this status; `status` is an alias."),
    ("list_jobs.job_status", "Only jobs with this status."),
    ("dry_run", "Return the plan, and change nothing."),
    (
        "erase",
        "Erase the older versions that hold it too: the rest is copied to a new image set, and the old one \
         is deleted.",
    ),
    (
        "attributes",
        "Keywords or tags to keep; `ImageFrames` keeps the list of frames of each instance.",
    ),
    (
        "format",
        "Default `png`, unless the server runs with `--frame-format stored`. `stored` returns the bytes in \
         base64, up to 1 MiB; a longer frame is a resource.",
    ),
    (
        "get_report.format",
        "`text` (default): the content tree, or what a presentation state refers to and changes. `table`: \
         measurements; of dose reports, a row an irradiation event. `json`: the items with their codes, or the \
         references.",
    ),
    (
        "get_report.page",
        "Page of a PDF document, from 1: its picture and its text. Without it, the text of all pages.",
    ),
    (
        "get_report.start",
        "`next_start` of the previous answer: the lines, rows, items, pages or reports from there on.",
    ),
    ("frame_number", "Number in the instance, from 1; default 1."),
    ("image_frame_information", "`{\"imageFrameId\": …}`, from the metadata."),
    ("image_set_id", "ID of the image set."),
    ("include_non_primary", "Also export image sets outside of the primary hierarchy."),
    ("input_owner_account_id", "Account of the bucket owner, if it is another one."),
    (
        "input_s3_uri",
        "`s3://bucket/prefix/`, or on the local store `file:///folder/` in an allowed folder.",
    ),
    ("job_id", "ID of the job."),
    ("job_name", "Letters, digits and `._/#-`, at most 64."),
    ("kms_key_arn", "Key that encrypts the data store."),
    ("lambda_authorizer_arn", "Function that checks the tokens of DICOMweb clients."),
    ("max_deletions", "1 to 100000; default 100."),
    (
        "max_bytes",
        "How long the answer may be, 10000 to 10000000; default 60000. A longer answer is an outline.",
    ),
    ("max_results", "1 to 100; default 50."),
    ("metadata_updates", "Keyword → value, of Patient or Study level."),
    ("update_series_metadata.metadata_updates", "Keyword → value, of Series or Instance level."),
    ("get_series_contact_sheet.format", "Default `jpeg`; `png` is without loss."),
    ("modality", "Modality (0008,0060), in any case, such as `CT`."),
    ("next_token", "From the previous answer, to continue where it ended."),
    ("get_image_set_metadata.next_token", "From `next` of the previous answer: the next page."),
    (
        "start_dicom_export_job.output_s3_uri",
        "`s3://bucket/prefix/`, or `file:///folder/` in an allowed folder.",
    ),
    ("overwrite", "Replace existing files that have other content; otherwise each is a failure."),
    ("patient_id", "Patient ID (0010,0020), compared exactly."),
    ("patient_updates", "Keyword → value, of Patient level, such as `PatientName`."),
    ("primary_only", "Only image sets of the primary hierarchy."),
    ("promote_to_primary", "Make the copy part of the primary hierarchy, if allowed."),
    (
        "resource_arn",
        "ARN of a data store or an image set; `get_datastore` and `get_image_set` return it.",
    ),
    ("series_instance_uid", "Series Instance UID (0020,000E)."),
    ("sop_instance_uid", "SOP Instance UID (0008,0018)."),
    ("source_image_set_id", "The image set to copy."),
    ("study_date_from", "First Study Date (0008,0020), YYYYMMDD."),
    ("study_date_to", "Last Study Date (0008,0020), YYYYMMDD."),
    ("study_instance_uid", "Study Instance UID (0020,000D)."),
    ("study_updates", "Keyword → value, of Study level, such as `StudyDescription`."),
    ("submitted_after", "Only image sets created since then: `2026-01-31T12:00:00Z`."),
    ("submitted_before", "Only image sets created until then."),
    ("tag_keys", "Keys to remove; unknown ones are ignored."),
    ("tags", "Key → value."),
    ("wait_seconds", "Seconds to wait for the end, 0 to 600."),
    ("window_center", "With `window_width`: the window of the picture, in the units of the file."),
    ("window_width", "See `window_center`; default: the window of the file."),
];
