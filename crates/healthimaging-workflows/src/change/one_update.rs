//! The plan of one metadata update: what it removes, sets or takes back.

use std::collections::BTreeSet;
use std::sync::Arc;

use healthimaging::model::{
    GetImageSetMetadataRequest, GetImageSetRequest, ImageSetState, MetadataUpdates,
    UpdateImageSetMetadataRequest,
};
use healthimaging::{Error, ErrorKind, HealthImaging, MemoryBudget, Result, Uid, VersionId};
use healthimaging_dicom::{Document, UpdateDocuments, UpdateRules};
use serde_json::Value;

use super::Object;
use super::attributes::shown;
use super::forms;
use super::planning::{Planner, Seen};
use crate::document::{self, Contents, DocumentText};
use crate::find::Criteria;
use crate::plan::{Plan, PlannedChange, PlannedImageSet, PlannedStudy, counted};

/// Says what an update of one image set, or of the primary ones of its study, would change, by reading only.
///
/// Errors: `Conflict` if the image set is locked or has another version, `Validation` if the documents cannot
/// be read or name what is not there.
pub async fn plan(
    service: &dyn HealthImaging,
    request: &UpdateImageSetMetadataRequest,
) -> Result<Plan> {
    let seen = Latest::look(service, request).await?;
    let mut plan = match &request.updates {
        MetadataUpdates::RevertToVersion(version) => {
            reverting(service, request, &seen, version).await?
        }
        MetadataUpdates::DicomUpdates { removable_attributes, updatable_attributes } => {
            let removable = object("removableAttributes", removable_attributes.as_deref())?;
            let updatable = object("updatableAttributes", updatable_attributes.as_deref())?;
            let plan = updating(request, &seen, &removable, &updatable)?;
            let documents = [updatable_attributes, removable_attributes];
            check_applies(service, request, &seen, documents.map(Option::as_deref)).await?;
            plan
        }
    };
    plan.cannot_be_undone = false;
    plan.add_studies([PlannedStudy::of(&seen.contents)]);
    plan.image_sets.push(PlannedImageSet {
        image_set_id: request.image_set_id.clone(),
        version_id: seen.version_id,
        instances: Some(seen.contents.instances().count()),
        action: None,
    });
    if request.include_study_image_sets {
        add_rest_of_study(&mut plan, service, request, &seen.contents).await?;
    }
    let many =
        if plan.image_sets.len() == 1 { "this image set keep" } else { "these image sets keep" };
    let latest = &request.latest_version_id;
    plan.notes.push(format!(
        "The older versions of {many} what there was; update_image_set_metadata with \
         revertToVersionId {latest} brings version {latest} back."
    ));
    Ok(plan)
}

/// Refuses an update that cannot succeed, by reading only: the service would make a failed version of it.
///
/// Errors: as those of [`plan`].
pub async fn check(
    service: &dyn HealthImaging,
    request: &UpdateImageSetMetadataRequest,
) -> Result<()> {
    let MetadataUpdates::DicomUpdates { removable_attributes, updatable_attributes } =
        &request.updates
    else {
        return Ok(());
    };
    let documents = [updatable_attributes, removable_attributes].map(Option::as_deref);
    if documents.into_iter().flatten().any(forms::has_token) {
        return Ok(());
    }
    let seen = Latest::look(service, request).await?;
    check_applies(service, request, &seen, documents).await
}

/// Refuses an update that the service would refuse by its documented rules
/// (AWS: "Updating image set metadata"), after it made a failed version.
async fn check_applies(
    service: &dyn HealthImaging,
    request: &UpdateImageSetMetadataRequest,
    seen: &Latest,
    [updatable, removable]: [Option<&[u8]>; 2],
) -> Result<()> {
    let updates = UpdateDocuments::parse(updatable, removable)?;
    let rules = UpdateRules {
        primary: seen.is_primary,
        force: request.force,
        study_wide: request.include_study_image_sets,
    };
    let metadata = GetImageSetMetadataRequest {
        datastore_id: request.datastore_id.clone(),
        image_set_id: request.image_set_id.clone(),
        version_id: Some(seen.version_id.clone()),
    };
    let document = document::fetch(service, metadata).await?;
    check_updates(document, updates, rules).await
}

/// Refuses updates that cannot be applied to a document.
pub(super) async fn check_updates(
    document: Arc<DocumentText>,
    updates: UpdateDocuments,
    rules: UpdateRules,
) -> Result<()> {
    // Applying an update copies the document.
    let lease = MemoryBudget::process().work(2 * document::parsed_size(&document)).await;
    document::beside_others(document.text().len(), move || {
        let _lease = lease;
        let mut document: Document = Document::parse(document.text())?;
        updates.check_targets(&document)?;
        match updates.apply(&mut document, &rules) {
            // What the service does with a removal that leaves nothing is not documented.
            Err(failure) if !failure.leaves_nothing => {
                let why = failure.message.trim_start_matches("INVALID_REQUEST:").trim();
                Err(Error::validation(format!("this update cannot succeed: {why}")))
            }
            _ => Ok(()),
        }
    })
    .await
}

/// The latest version of the image set.
struct Latest {
    version_id: VersionId,
    is_primary: bool,
    contents: Contents,
}

impl Latest {
    async fn look(
        service: &dyn HealthImaging,
        request: &UpdateImageSetMetadataRequest,
    ) -> Result<Self> {
        let id = &request.image_set_id;
        let found = GetImageSetRequest {
            datastore_id: request.datastore_id.clone(),
            image_set_id: id.clone(),
            version_id: None,
        };
        let set = service.get_image_set(found).await?.properties;
        match set.image_set_state {
            ImageSetState::Active => {}
            ImageSetState::Locked => {
                return Err(Error::conflict(format!(
                    "image set {id} is locked by another write; try again when it is ACTIVE"
                )));
            }
            ImageSetState::Deleted => {
                return Err(Error::not_found(format!("image set {id} is deleted")));
            }
        }
        let (latest, given) = (&set.version_id, &request.latest_version_id);
        if latest != given {
            return Err(Error::conflict(format!(
                "the latest version of image set {id} is {latest}, not {given}: read it again"
            )));
        }
        let contents = contents(service, request, latest).await?;
        let is_primary = set.is_primary == Some(true);
        Ok(Self { version_id: set.version_id, is_primary, contents })
    }
}

async fn contents(
    service: &dyn HealthImaging,
    request: &UpdateImageSetMetadataRequest,
    version: &VersionId,
) -> Result<Contents> {
    let request = GetImageSetMetadataRequest {
        datastore_id: request.datastore_id.clone(),
        image_set_id: request.image_set_id.clone(),
        version_id: Some(version.clone()),
    };
    document::contents(service, request).await
}

/// A document of an update; empty where there is none.
fn object(name: &str, document: Option<&[u8]>) -> Result<Object> {
    let Some(document) = document else { return Ok(Object::new()) };
    // The reader's own words may quote the document.
    serde_json::from_slice(document)
        .map_err(|_| Error::validation(format!("{name} must be a JSON object")))
}

fn updating(
    request: &UpdateImageSetMetadataRequest,
    seen: &Latest,
    removable: &Object,
    updatable: &Object,
) -> Result<Plan> {
    let removed = Removed::of(removable, &seen.contents)?;
    let id = &request.image_set_id;
    let action = if removed.instances == 0 {
        format!("change the metadata of image set {id}")
    } else {
        let left = seen.contents.instances().count() - removed.instances;
        format!(
            "remove {} of {} series from image set {id}, which leaves {left}",
            counted(removed.instances, "instance"),
            removed.series
        )
    };
    let mut plan = Plan::new(action, request.datastore_id.clone());
    for (document, is_set) in [(updatable, true), (removable, false)] {
        for (level, held) in [("Patient", &seen.contents.patient), ("Study", &seen.contents.study)]
        {
            let attributes = document.get(level).and_then(|level| level.get("DICOM"));
            for (keyword, value) in attributes.and_then(Value::as_object).into_iter().flatten() {
                plan.changes.push(PlannedChange {
                    attribute: keyword.clone(),
                    from: BTreeSet::from([shown(held.get(keyword).unwrap_or(&Value::Null))]),
                    to: is_set.then(|| shown(value)),
                });
            }
        }
    }
    Ok(plan)
}

/// What a document of removals takes out of an image set.
struct Removed {
    series: usize,
    instances: usize,
}

impl Removed {
    fn of(removable: &Object, contents: &Contents) -> Result<Self> {
        let mut removed = Self { series: 0, instances: 0 };
        let series = removable.get("Study").and_then(|study| study.get("Series"));
        for (uid, node) in series.and_then(Value::as_object).into_iter().flatten() {
            let held = contents.series.get(uid).ok_or_else(|| missing("series"))?;
            let node = node.as_object().filter(|node| !node.is_empty());
            let named = node.map(|node| node.get("Instances").and_then(Value::as_object));
            let instances = match named {
                // `{}` is the whole series.
                None => held.instances.len(),
                Some(None) => 0,
                Some(Some(named)) => {
                    if named.keys().any(|uid| !held.instances.contains_key(uid)) {
                        return Err(missing("instance"));
                    }
                    let whole = |node: &&Value| node.as_object().is_none_or(Object::is_empty);
                    named.values().filter(whole).count()
                }
            };
            removed.series += usize::from(instances > 0);
            removed.instances += instances;
        }
        Ok(removed)
    }
}

fn missing(what: &str) -> Error {
    Error::validation(format!(
        "removableAttributes: the image set holds no such {what}; its metadata lists what it holds"
    ))
}

async fn reverting(
    service: &dyn HealthImaging,
    request: &UpdateImageSetMetadataRequest,
    seen: &Latest,
    version: &VersionId,
) -> Result<Plan> {
    let then = contents(service, request, version).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::validation(
            "revertToVersionId names a version that the image set does not have; \
             list_image_set_versions lists those it has",
        ),
        _ => error,
    })?;
    let (now, id) = (&seen.contents, &request.image_set_id);
    let action = format!("take image set {id} back to version {version}, as a new version");
    let mut plan = Plan::new(action, request.datastore_id.clone());
    for (level, old) in [(&now.patient, &then.patient), (&now.study, &then.study)] {
        let keywords: BTreeSet<&String> = level.keys().chain(old.keys()).collect();
        for keyword in
            keywords.into_iter().filter(|keyword| level.get(*keyword) != old.get(*keyword))
        {
            plan.changes.push(PlannedChange {
                attribute: keyword.clone(),
                from: BTreeSet::from([shown(level.get(keyword).unwrap_or(&Value::Null))]),
                to: old.get(keyword).map(shown),
            });
        }
    }
    let uids = |contents: &Contents| -> BTreeSet<String> {
        let series = contents.series.values();
        series.flat_map(|series| series.instances.keys().cloned()).collect()
    };
    let (now, then) = (uids(now), uids(&then));
    let (gone, come) = (now.difference(&then).count(), then.difference(&now).count());
    if gone + come > 0 {
        plan.notes.push(format!(
            "{} of the latest version will be removed, and {come} of version {version} restored.",
            counted(gone, "instance")
        ));
    }
    Ok(plan)
}

async fn add_rest_of_study(
    plan: &mut Plan,
    service: &dyn HealthImaging,
    request: &UpdateImageSetMetadataRequest,
    contents: &Contents,
) -> Result<()> {
    let Some(study) = contents.study_instance_uid() else { return Ok(()) };
    let criteria = Criteria { is_primary: Some(true), ..Criteria::study(Uid::try_from(study)?) };
    let planner = Planner { service, datastore_id: &request.datastore_id };
    let found = planner.matching(&criteria, "the study has no primary image set").await?;
    let others: Vec<Seen> = planner.versions_of(found).await?;
    let others = others.into_iter().filter(|other| other.image_set_id != request.image_set_id);
    let mut of_sets = Vec::new();
    for other in others {
        plan.image_sets.push(PlannedImageSet {
            image_set_id: other.image_set_id,
            version_id: other.version_id,
            instances: other.instances,
            action: None,
        });
        of_sets.push(other.of);
    }
    plan.add_studies(of_sets);
    Ok(())
}
