// The AWS SDK for JavaScript against `serve --http` with signatures checked: `node wire.mjs ENDPOINT FOLDER OUTPUT`.
// Every command, every paginator, errors by their class.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import * as ahi from "@aws-sdk/client-medical-imaging";

const [endpoint, folder, output] = process.argv.slice(2);
const NOBODY = "0".repeat(32);
const seen = new Set();

function client(changed = {}) {
  const made = new ahi.MedicalImagingClient({
    endpoint,
    disableHostPrefix: true,
    region: "us-east-1",
    maxAttempts: 1,
    ...changed,
  });
  const note = (next, context) => (args) => (seen.add(context.commandName), next(args));
  made.middlewareStack.add(note, { step: "initialize" });
  return made;
}

const sdk = client();
const call = (name, input) => sdk.send(new ahi[`${name}Command`](input));

async function refused(kind, status, asked) {
  const error = await asked.then(() => assert.fail(`${kind} expected`), (error) => error);
  const known = ahi[kind] ?? ahi.MedicalImagingServiceException;
  assert(error instanceof known && error.name === kind, `${kind} expected: ${error.stack}`);
  assert.equal(error.$metadata.httpStatusCode, status);
  assert(error.message && error.$metadata.requestId, error);
}

async function awaited(look, done) {
  for (const until = Date.now() + 120_000; ; ) {
    const found = await look();
    if (done(found)) return found;
    assert(Date.now() < until, JSON.stringify(found));
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

async function all(pages, member) {
  const found = [];
  let count = 0;
  for await (const page of pages) {
    found.push(...page[member]);
    count += 1;
  }
  assert(count > 1, `${member}: one page only`);
  return found;
}

async function datastores() {
  const made = await call("CreateDatastore", { datastoreName: "js", tags: { team: "a/b é" } });
  assert.equal(made.datastoreStatus, "CREATING");
  const { datastoreId } = made;
  const look = (id) => async () => (await call("GetDatastore", { datastoreId: id })).datastoreProperties;
  const found = await awaited(look(datastoreId), (it) => it.datastoreStatus !== "CREATING");
  assert.equal(found.datastoreStatus, "ACTIVE");
  assert(Math.abs(found.createdAt - Date.now()) < 60_000, found.createdAt);
  const spare = await call("CreateDatastore", { losslessStorageFormat: "JPEG_2000_LOSSLESS" });
  await awaited(look(spare.datastoreId), (it) => it.datastoreStatus === "ACTIVE");
  const listed = await all(ahi.paginateListDatastores({ client: sdk, pageSize: 1 }, {}), "datastoreSummaries");
  assert.deepEqual(listed.map((it) => it.datastoreId), [spare.datastoreId, datastoreId]);
  assert.equal((await call("DeleteDatastore", { datastoreId: spare.datastoreId })).datastoreStatus, "DELETING");

  const resourceArn = found.datastoreArn;
  await call("TagResource", { resourceArn, tags: { "x:y/z": "1", last: "" } });
  await call("UntagResource", { resourceArn, tagKeys: ["team", "absent"] });
  const { tags } = await call("ListTagsForResource", { resourceArn });
  assert.deepEqual(tags, { "x:y/z": "1", last: "" });

  await refused("ResourceNotFoundException", 404, call("GetDatastore", { datastoreId: NOBODY }));
  await refused("ValidationException", 400, call("GetDatastore", { datastoreId: "short" }));
  await refused("ValidationException", 400, call("ListDatastores", { maxResults: 51 }));
  const token = { clientToken: "js-1" };
  await call("CreateDatastore", token);
  await refused("ConflictException", 409, call("CreateDatastore", { ...token, datastoreName: "other" }));
  return datastoreId;
}

async function imports(datastoreId) {
  const request = {
    datastoreId,
    dataAccessRoleArn: "arn:aws:iam::123456789012:role/import",
    inputS3Uri: `file://${folder}`,
    outputS3Uri: `file://${output}/`,
  };
  const ended = async () => {
    const { jobId, jobStatus, submittedAt } = await call("StartDICOMImportJob", request);
    assert(jobStatus === "SUBMITTED" && submittedAt instanceof Date);
    const look = async () => (await call("GetDICOMImportJob", { datastoreId, jobId })).jobProperties;
    return awaited(look, (it) => ["COMPLETED", "FAILED"].includes(it.jobStatus));
  };
  const first = await ended();
  assert.equal(first.jobStatus, "COMPLETED");
  const again = await call("StartDICOMImportJob", { ...request, inputS3Uri: `file://${output}` });
  const pages = ahi.paginateListDICOMImportJobs({ client: sdk, pageSize: 1 }, { datastoreId });
  assert.deepEqual((await all(pages, "jobSummaries")).map((it) => it.jobId), [again.jobId, first.jobId]);
  await refused("ResourceNotFoundException", 404, call("GetDICOMImportJob", { datastoreId, jobId: "0" }));
  const place = new URL(`${first.outputS3Uri}job-output-manifest.json`);
  return JSON.parse(readFileSync(fileURLToPath(place), "utf8")).jobSummary;
}

async function reads(datastoreId, summary) {
  const pages = ahi.paginateSearchImageSets({ client: sdk, pageSize: 1 }, { datastoreId });
  const found = await all(pages, "imageSetsMetadataSummaries");
  const ids = (list) => list.map((it) => it.imageSetId).sort();
  assert.deepEqual(ids(found), ids(summary.imageSetsSummary));
  const [one] = found;
  const values = [{ createdAt: new Date("2020-01-01") }, { createdAt: one.createdAt }];
  const searchCriteria = {
    filters: [
      { values, operator: "BETWEEN" },
      { values: [{ DICOMStudyInstanceUID: one.DICOMTags.DICOMStudyInstanceUID }], operator: "EQUAL" },
    ],
    sort: { sortField: "createdAt", sortOrder: "ASC" },
  };
  const same = await call("SearchImageSets", { datastoreId, searchCriteria });
  assert(ids(same.imageSetsMetadataSummaries).includes(one.imageSetId) && same.sort.sortOrder === "ASC");

  const set = { datastoreId, imageSetId: one.imageSetId };
  const state = await call("GetImageSet", set);
  assert(state.versionId === "1" && state.isPrimary === true && state.imageSetState === "ACTIVE", state);
  const metadata = await call("GetImageSetMetadata", set);
  assert.equal(metadata.contentEncoding, "gzip");
  const document = JSON.parse(gunzipSync(await metadata.imageSetMetadataBlob.transformToByteArray()));
  assert.equal(document.ImageSetID, one.imageSetId);
  for (const series of Object.values(document.Study.Series)) {
    for (const { ID: imageFrameId, FrameSizeInBytes: size } of Object.values(series.Instances)[0].ImageFrames) {
      const frame = await call("GetImageFrame", { ...set, imageFrameInformation: { imageFrameId } });
      let length = 0;
      for await (const chunk of frame.imageFrameBlob) length += chunk.length;
      assert.equal(length, size);
      assert.match(frame.contentType, /^image\//);
    }
  }
  const nothing = { ...set, imageFrameInformation: { imageFrameId: NOBODY } };
  await refused("ResourceNotFoundException", 404, call("GetImageFrame", nothing));
  await refused("ResourceNotFoundException", 404, call("GetImageSetMetadata", { ...set, imageSetId: NOBODY }));
  return set;
}

async function changes(set) {
  const unlocked = (which) => awaited(() => call("GetImageSet", which), (it) => it.imageSetState !== "LOCKED");
  const document = { SchemaVersion: "1.1", Study: { DICOM: { StudyDescription: "by JavaScript" } } };
  const update = {
    ...set,
    latestVersionId: "1",
    updateImageSetMetadataUpdates: { DICOMUpdates: { updatableAttributes: Buffer.from(JSON.stringify(document)) } },
  };
  assert.equal((await call("UpdateImageSetMetadata", update)).imageSetWorkflowStatus, "UPDATING");
  assert.equal((await unlocked(set)).imageSetWorkflowStatus, "UPDATED");
  await refused("ConflictException", 409, call("UpdateImageSetMetadata", update));
  const versions = await all(ahi.paginateListImageSetVersions({ client: sdk, pageSize: 1 }, set), "imageSetPropertiesList");
  assert.deepEqual(versions.map((it) => [it.versionId, it.ImageSetWorkflowStatus]), [["2", "UPDATED"], ["1", "CREATED"]]);

  const { datastoreId, imageSetId: sourceImageSetId } = set;
  const copyImageSetInformation = { sourceImageSet: { latestVersionId: "2" } };
  const copied = await call("CopyImageSet", { datastoreId, sourceImageSetId, copyImageSetInformation });
  const copy = { datastoreId, imageSetId: copied.destinationImageSetProperties.imageSetId };
  assert.equal((await unlocked(copy)).imageSetWorkflowStatus, "COPIED");
  assert.equal((await call("DeleteImageSet", copy)).imageSetState, "LOCKED");
  const gone = await awaited(() => call("GetImageSet", copy), (it) => it.imageSetState === "DELETED");
  assert(gone.deletedAt instanceof Date);
}

async function access() {
  const wrong = (accessKeyId, secretAccessKey) => client({ credentials: { accessKeyId, secretAccessKey } });
  const list = new ahi.ListDatastoresCommand({});
  await refused("InvalidSignatureException", 403, wrong(process.env.AWS_ACCESS_KEY_ID, "another-secret-of-20").send(list));
  await refused("UnrecognizedClientException", 403, wrong("AKIDNOBODY", "another-secret-of-20").send(list));
}

const datastoreId = await datastores();
await changes(await reads(datastoreId, await imports(datastoreId)));
const every = Object.keys(ahi).filter((name) => name.endsWith("Command") && name !== "$Command");
assert.deepEqual([...seen].sort(), every.sort());
await access();
console.log(`signatures checked, prefix switched off: ${every.length} commands, 4 paginators`);
