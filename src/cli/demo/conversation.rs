//! Calls of the demo, and checks of their answers.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use healthimaging_client::Client;
use healthimaging_phantoms::DEMO_CT_STUDY_DESCRIPTION;
use healthimaging_pixels::codestream_of;
use serde_json::{Map, Value, json};

use super::script::Script;
use crate::terminal::megabytes;

/// Name of the data store.
pub(super) const DATASTORE: &str = "demo";

/// The corrected Study Description.
const CORRECTED: &str = "CHEST W/O CONTRAST";

/// Patient ID of the images.
const PATIENT: &str = "DEMO-0001";

/// How often the state of a deleted image set is polled, every 50 ms.
const POLLS: u32 = 600;

/// HTJ2K Lossless RPCL (PS3.5 §A.4.9).
const HTJ2K: &str = "1.2.840.10008.1.2.4.202";

/// SOC and SIZ, with which every JPEG 2000 codestream begins (ISO/IEC 15444-1 §A.4).
const CODESTREAM: [u8; 4] = [0xff, 0x4f, 0xff, 0x51];

/// A client of the server.
pub(super) struct Conversation<'a> {
    script: &'a mut Script,
    client: Client,
    datastore: String,
}

/// The image sets of the patient.
struct Found {
    ct: String,
    radiograph: String,
    ultrasound: String,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(script: &'a mut Script, client: Client) -> Self {
        Self { script, client, datastore: String::new() }
    }

    /// Runs all steps in order.
    pub(super) async fn run(&mut self, scans: &Path) -> Result<()> {
        self.discover().await?;
        let found = self.search().await?;
        self.read(&found.ct).await?;
        self.frame(&found.radiograph, scans).await?;
        self.correct(&found.ct).await?;
        self.compare_versions(&found.ct).await?;
        self.mistake().await?;
        self.delete(&found.ultrasound).await
    }

    /// Stops the server.
    pub(super) async fn end(self) -> Result<()> {
        Ok(self.client.close().await?)
    }

    async fn discover(&mut self) -> Result<()> {
        self.script.step("Discover the data stores, which are resources")?;
        self.script.request("resources/list", &Value::Null)?;
        let resources = self.client.resources().await?;
        for (name, uri) in &resources {
            self.script.answer(&format!("{uri}  {name}"))?;
        }
        let one = resources.iter().find(|(name, _)| name.contains(DATASTORE));
        let (_, uri) = one.context("the data store is not among the resources")?;
        self.script.request("resources/read", &json!({ "uri": uri }))?;
        let text = self.client.read_resource(uri).await?;
        let store: Value = serde_json::from_str(&text).context("the resource is not JSON")?;
        let status = text_at(&store, &["datastore_status"])?;
        self.datastore = text_at(&store, &["datastore_id"])?;
        self.script.answer(&format!("{DATASTORE} is {status}"))?;
        ensure!(status == "ACTIVE", "the data store is {status}");
        Ok(())
    }

    async fn search(&mut self) -> Result<Found> {
        self.script.step("Find the images of a patient")?;
        let sets = self.image_sets().await?;
        let mut of = Map::new();
        for set in &sets {
            let tags = set.get("dicom_tags").context("a search result has no attributes")?;
            let modality = text_at(tags, &["DICOMSeriesModality"])?;
            let description = text_at(tags, &["DICOMStudyDescription"])?;
            let id = text_at(set, &["image_set_id"])?;
            Script::detail(&format!("{id}  {modality}  {description}"))?;
            of.insert(modality, Value::from(id));
        }
        ensure!(sets.len() == 3, "the patient has 3 image sets, not {}", sets.len());
        let of = Value::Object(of);
        Ok(Found {
            ct: text_at(&of, &["CT"])?,
            radiograph: text_at(&of, &["DX"])?,
            ultrasound: text_at(&of, &["US"])?,
        })
    }

    async fn image_sets(&mut self) -> Result<Vec<Value>> {
        let criteria = json!({ "filters": [
            { "operator": "EQUAL", "values": [{ "DICOMPatientId": PATIENT }] }
        ] });
        let found = self.call("search_image_sets", json!({ "search_criteria": criteria })).await?;
        let sets = found.get("image_sets_metadata_summaries").and_then(Value::as_array);
        let sets = sets.context("the search has no results")?.clone();
        self.script.answer(&format!("{} image sets", sets.len()))?;
        Ok(sets)
    }

    async fn read(&mut self, ct: &str) -> Result<()> {
        self.script.step("Read the metadata of the CT")?;
        let study = self.study_description(ct, None).await?;
        Script::detail("The study description has a typing error.")?;
        ensure!(study == DEMO_CT_STUDY_DESCRIPTION, "the study is described as {study}");
        Ok(())
    }

    async fn study_description(&mut self, set: &str, version: Option<&str>) -> Result<String> {
        let mut arguments = json!({ "image_set_id": set, "level": "STUDY" });
        if let (Some(version), Some(object)) = (version, arguments.as_object_mut()) {
            object.insert("version_id".to_owned(), Value::from(version));
        }
        let answer = self.call("get_image_set_metadata", arguments).await?;
        let document = document(&answer)?;
        let patient = text_at(document, &["Patient", "DICOM", "PatientName"])?;
        let study = text_at(document, &["Study", "DICOM", "StudyDescription"])?;
        self.script.answer(&format!("PatientName {patient}, StudyDescription {study}"))?;
        Ok(study)
    }

    /// Fetches a frame, and compares its recorded checksum with the pixels of the original file.
    async fn frame(&mut self, radiograph: &str, scans: &Path) -> Result<()> {
        self.script.step("Fetch a frame of the radiograph")?;
        let answer =
            self.call("get_image_set_metadata", json!({ "image_set_id": radiograph })).await?;
        let instance = first_instance(document(&answer)?)?;
        let frame = instance.pointer("/ImageFrames/0").context("the instance has no frame")?;
        let id = text_at(frame, &["ID"])?;
        self.script.answer(&format!("frame {id}"))?;

        let arguments = json!({
            "image_set_id": radiograph, "image_frame_information": { "imageFrameId": id },
            "format": "stored"
        });
        let stored = self.call("get_image_frame", arguments).await?;
        // The frame is longer than an answer may be.
        let uri = text_at(&stored, &["resource_uri"])?;
        self.script.request("resources/read", &json!({ "uri": uri }))?;
        let bytes = self.client.read_resource_bytes(&uri).await?;
        let is_codestream = codestream_of(&bytes)?.starts_with(&CODESTREAM);
        ensure!(is_codestream, "the frame is not a JPEG 2000 codestream");

        let file = std::fs::read(scans.join("alma/dx/IM00001.dcm"))?;
        let stored_as = text_at(instance, &["StoredTransferSyntaxUID"])?;
        ensure!(stored_as == HTJ2K, "the frame is stored as {stored_as}");
        let dimension = |name| instance.pointer(&format!("/DICOM/{name}")).and_then(Value::as_u64);
        let (rows, columns) = dimension("Rows").zip(dimension("Columns")).context("no size")?;
        // Pixel Data is the last element of the file, with 16 bits a pixel.
        let length = usize::try_from(rows * columns * 2)?;
        let pixels = file.len().checked_sub(length).and_then(|start| file.get(start..));
        let pixels = pixels.context("the file is shorter than its pixels")?;
        let recorded = frame
            .pointer("/PixelDataChecksumFromBaseToFullResolution")
            .and_then(|levels| levels.as_array()?.last()?.get("Checksum")?.as_u64());
        self.script.answer(&format!(
            "{} of HTJ2K for {columns}x{rows} pixels, {} in the file",
            megabytes(bytes.len() as u64),
            megabytes(length as u64),
        ))?;
        ensure!(
            recorded == Some(u64::from(crc32fast::hash(pixels))),
            "the checksum of the stored pixels is not that of the file's pixels"
        );
        Script::detail("Its checksum matches the pixels of the original file.")?;
        Ok(())
    }

    async fn correct(&mut self, ct: &str) -> Result<()> {
        self.script.step("Correct the study description")?;
        let document = json!({
            "SchemaVersion": "1.1", "Study": { "DICOM": { "StudyDescription": CORRECTED } }
        });
        let arguments = json!({
            "image_set_id": ct,
            "latest_version_id": "1",
            "update_image_set_metadata_updates":
                { "DICOMUpdates": { "updatableAttributes": document } },
            "wait_seconds": 60,
        });
        let answer = self.call("update_image_set_metadata", arguments).await?;
        let version = text_at(&answer, &["latest_version_id"])?;
        let state = text_at(&answer, &["image_set_state"])?;
        let status = text_at(&answer, &["image_set_workflow_status"])?;
        self.script.answer(&format!("version {version}, {state}, {status}"))?;
        ensure!(
            (version.as_str(), state.as_str(), status.as_str()) == ("2", "ACTIVE", "UPDATED"),
            "the update did not complete"
        );
        Ok(())
    }

    async fn compare_versions(&mut self, ct: &str) -> Result<()> {
        self.script.step("Compare the new version with the old one, which stays")?;
        let answer = self.call("list_image_set_versions", json!({ "image_set_id": ct })).await?;
        let versions = answer.get("image_set_properties_list").and_then(Value::as_array);
        let count = versions.map_or(0, Vec::len);
        self.script.answer(&format!("{count} versions"))?;
        ensure!(count == 2, "2 versions are expected");
        let new = self.study_description(ct, None).await?;
        ensure!(new == CORRECTED, "the correction is not there");
        let old = self.study_description(ct, Some("1")).await?;
        ensure!(old == DEMO_CT_STUDY_DESCRIPTION, "version 1 has changed");
        Ok(())
    }

    async fn mistake(&mut self) -> Result<()> {
        self.script.step("Make a mistake: the error says what to correct")?;
        let arguments = json!({ "patient": PATIENT });
        self.script.request("search_image_sets", &arguments)?;
        let answer = self.client.call_tool("search_image_sets", object(arguments)?).await?;
        ensure!(answer.is_error, "an unknown argument was accepted");
        let error = answer.structured;
        let (kind, message) = (text_at(&error, &["type"])?, text_at(&error, &["message"])?);
        self.script.answer(&format!("{kind}: {message}"))?;
        ensure!(kind == "validation_error", "the error has the wrong type");
        Ok(())
    }

    async fn delete(&mut self, ultrasound: &str) -> Result<()> {
        self.script.step("Delete the ultrasound: first the plan, then the deletion")?;
        let mut arguments = json!({
            "datastore_id": self.datastore.clone(), "image_set_id": ultrasound
        });
        let planned = self.call("delete_image_set", arguments.clone()).await?;
        let token = text_at(&planned, &["confirmation_token"])?;
        self.script.answer(&format!("plan: {}", text_at(&planned, &["plan", "action"])?))?;
        Script::detail("Nothing was deleted yet. An assistant shows the plan to its user first.")?;
        let sets = self.image_sets().await?;
        ensure!(sets.len() == 3, "something was deleted before it was confirmed");

        let all = arguments.as_object_mut().context("no arguments")?;
        all.insert("confirmation_token".to_owned(), Value::from(token));
        let answer = self.call("delete_image_set", arguments).await?;
        let status = text_at(&answer, &["image_set_workflow_status"])?;
        self.script.answer(&status)?;
        self.gone(ultrasound).await?;
        let left = self.image_sets().await?;
        ensure!(left.len() == 2, "{} image sets are left, not 2", left.len());
        Ok(())
    }

    /// Polls until the deletion, which continues after the answer, has left only the tombstone.
    async fn gone(&mut self, image_set: &str) -> Result<()> {
        let arguments = json!({ "image_set_id": image_set });
        self.script.request("get_image_set", &arguments)?;
        for _ in 0..POLLS {
            let arguments = object(arguments.clone())?;
            let answer = self.client.call_tool("get_image_set", arguments).await?;
            ensure!(!answer.is_error, "get_image_set was refused: {}", answer.text);
            let state = text_at(&answer.structured, &["image_set_state"])?;
            if state == "DELETED" {
                return Ok(self.script.answer("DELETED: an empty tombstone remains for a day")?);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("the image set is still there")
    }

    /// Calls a tool that is expected to succeed.
    async fn call(&mut self, tool: &str, arguments: Value) -> Result<Value> {
        self.script.request(tool, &arguments)?;
        let answer = self.client.call_tool(tool, object(arguments)?).await?;
        if answer.is_error {
            bail!("{tool} was refused: {}", answer.text);
        }
        Ok(answer.structured)
    }
}

fn object(value: Value) -> Result<Map<String, Value>> {
    match value {
        Value::Object(object) => Ok(object),
        _ => bail!("arguments are an object"),
    }
}

/// The metadata document of an answer, whole or in outline.
fn document(answer: &Value) -> Result<&Value> {
    answer.get("metadata").context("the answer has no metadata document")
}

/// The first instance of the first series.
fn first_instance(document: &Value) -> Result<&Value> {
    let series = document.pointer("/Study/Series").and_then(|all| all.as_object()?.values().next());
    let instance = series.and_then(|one| one.get("Instances")?.as_object()?.values().next());
    instance.context("the document has no instance")
}

fn text_at(value: &Value, path: &[&str]) -> Result<String> {
    let found = path.iter().try_fold(value, |inner, name| inner.get(name));
    let found = found.and_then(Value::as_str);
    Ok(found.with_context(|| format!("the answer has no {}", path.join(".")))?.to_owned())
}
