"""The AWS CLI against `serve --http`: each of its `medical-imaging` commands, its answers, its exit codes.

Both ways of the README: with AWS_DISABLE_HOST_PREFIX_INJECTION where signatures are checked, and with an
endpoint `http://u@…` on an open server.
"""

import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import botocore.session
from botocore import xform_name
from sdk import REGION, ROLE, awaited
from served import KEY, SECRET, served

AWS = pathlib.Path(sys.executable).parent / "aws"
NOBODY = "0" * 32
MODEL = botocore.session.get_session().get_service_model("medical-imaging")
COMMANDS = {xform_name(name).replace("_", "-") for name in MODEL.operation_names}
# Version 1 of the CLI answers so to whatever a service refuses.
REFUSED = 255


class Cli:
    """The `aws` command with an environment of its own: no settings and no credentials but these."""

    def __init__(self, home, endpoint, **environment):
        self.home, self.seen = pathlib.Path(home), set()
        # Settings, a proxy, a profile of this machine must not speak here.
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("AWS_")}
        self.environment = kept | {
            "HOME": home, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_MEDICAL_IMAGING": endpoint, "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1", "PAGER": "cat"} | environment

    def run(self, command, *words, **options):
        line = [str(AWS), "medical-imaging", command, *map(str, words), "--output", "json"]
        for name, value in options.items():
            given = value if isinstance(value, str) else json.dumps(value)
            line += [f"--{name.replace('_', '-')}", given]
        done = subprocess.run(line, capture_output=True, text=True, env=self.environment, timeout=120, check=False)
        return done.returncode, done.stdout, done.stderr

    def __call__(self, command, *words, **options):
        """What the command printed, as JSON."""
        status, printed, told = self.run(command, *words, **options)
        assert status == 0, (command, status, told)
        self.seen.add(command)
        return json.loads(printed) if printed.strip() else {}

    def refused(self, code, operation, command, *words, **options):
        status, printed, told = self.run(command, *words, **options)
        assert status == REFUSED and not printed, (command, status, printed, told)
        assert f"An error occurred ({code}) when calling the {operation} operation:" in told, told

    def file(self, command, name, *words, **options):
        """The bytes that the command wrote into a file, and what it printed."""
        place = self.home / name
        answer = self(command, str(place), *words, **options)
        return place.read_bytes(), answer


def datastores(aws):
    made = aws("create-datastore", datastore_name="cli", tags="team=imaging,site=a/b é", lossless_storage_format="HTJ2K")
    assert made["datastoreStatus"] == "CREATING", made
    store = {"datastore_id": made["datastoreId"]}
    found = awaited(lambda: aws("get-datastore", **store)["datastoreProperties"], lambda it: it["datastoreStatus"] != "CREATING")
    assert found["datastoreStatus"] == "ACTIVE" and found["datastoreName"] == "cli", found
    # Version 1 prints a time as it came: seconds since 1970.
    assert found["createdAt"] > 1.7e9 and found["losslessStorageFormat"] == "HTJ2K", found
    spare = aws("create-datastore")["datastoreId"]
    awaited(lambda: aws("get-datastore", datastore_id=spare)["datastoreProperties"], lambda it: it["datastoreStatus"] == "ACTIVE")
    listed = aws("list-datastores", page_size=1, datastore_status="ACTIVE")["datastoreSummaries"]
    assert {row["datastoreId"] for row in listed} == {spare, store["datastore_id"]}, listed
    assert aws("delete-datastore", datastore_id=spare) == {"datastoreId": spare, "datastoreStatus": "DELETING"}

    arn = {"resource_arn": found["datastoreArn"]}
    assert aws("list-tags-for-resource", **arn)["tags"] == {"team": "imaging", "site": "a/b é"}
    assert aws("tag-resource", **arn, tags={"a:b": "c=d"}) == {}
    assert aws("untag-resource", "--tag-keys", "team", "site", **arn) == {}
    assert aws("list-tags-for-resource", **arn)["tags"] == {"a:b": "c=d"}
    aws.refused("ResourceNotFoundException", "GetDatastore", "get-datastore", datastore_id=NOBODY)
    aws.refused("ValidationException", "GetDatastore", "get-datastore", datastore_id="short")
    aws.refused("ValidationException", "ListDatastores", "list-datastores", "--no-paginate", "--max-results", "51")
    return store


def imports(aws, store, folder, output):
    # Given as an option of its own, `file://…` means the content of that file.
    started = aws("start-dicom-import-job", cli_input_json={
        "datastoreId": store["datastore_id"], "jobName": "job-1", "dataAccessRoleArn": ROLE,
        "inputS3Uri": f"file://{folder}", "outputS3Uri": f"file://{output}/"})
    assert started["jobStatus"] == "SUBMITTED" and started["datastoreId"] == store["datastore_id"], started
    look = lambda: aws("get-dicom-import-job", **store, job_id=started["jobId"])["jobProperties"]
    ended = awaited(look, lambda it: it["jobStatus"] in ("COMPLETED", "FAILED"))
    assert ended["jobStatus"] == "COMPLETED" and ended["jobName"] == "job-1" and ended["endedAt"] >= ended["submittedAt"], ended
    jobs = aws("list-dicom-import-jobs", **store, job_status="COMPLETED")["jobSummaries"]
    assert [row["jobId"] for row in jobs] == [started["jobId"]], jobs
    aws.refused("ConflictException", "DeleteDatastore", "delete-datastore", **store)
    return json.loads((pathlib.Path(ended["outputS3Uri"][7:]) / "job-output-manifest.json").read_text())["jobSummary"]


def reads(aws, store, summary):
    found = aws("search-image-sets", **store, page_size=1)["imageSetsMetadataSummaries"]
    expected = {row["imageSetId"] for row in summary["imageSetsSummary"]}
    assert len(expected) > 1 and {row["imageSetId"] for row in found} == expected, found
    one = found[0]
    criteria = {"filters": [{"values": [{"DICOMSeriesInstanceUID": one["DICOMTags"]["DICOMSeriesInstanceUID"]}], "operator": "EQUAL"}]}
    same = aws("search-image-sets", **store, search_criteria=criteria)["imageSetsMetadataSummaries"]
    assert [row["imageSetId"] for row in same] == [one["imageSetId"]], same
    first = aws("search-image-sets", **store, page_size=1, max_items=1)
    rest = aws("search-image-sets", **store, starting_token=first["NextToken"])
    assert len(first["imageSetsMetadataSummaries"]) + len(rest["imageSetsMetadataSummaries"]) == len(expected)

    ids = {**store, "image_set_id": one["imageSetId"]}
    state = aws("get-image-set", **ids)
    assert state["versionId"] == "1" and state["imageSetState"] == "ACTIVE" and state["isPrimary"] is True, state
    body, answer = aws.file("get-image-set-metadata", "metadata.json.gz", **ids)
    assert answer == {"contentType": "application/json", "contentEncoding": "gzip"}, answer
    document = json.loads(gzip.decompress(body))
    assert document["ImageSetID"] == one["imageSetId"] and document["DatastoreID"] == store["datastore_id"]
    instances = next(iter(document["Study"]["Series"].values()))["Instances"]
    frame = next(iter(instances.values()))["ImageFrames"][0]
    body, answer = aws.file("get-image-frame", "frame", **ids, image_frame_information=f"imageFrameId={frame['ID']}")
    assert len(body) == frame["FrameSizeInBytes"] and answer["contentType"].startswith("image/"), answer
    place = str(aws.home / "nothing")
    aws.refused("ResourceNotFoundException", "GetImageFrame", "get-image-frame", place, **ids,
                image_frame_information=f"imageFrameId={NOBODY}")
    assert not pathlib.Path(place).exists()
    aws.refused("ResourceNotFoundException", "GetImageSet", "get-image-set", **{**ids, "image_set_id": NOBODY})
    return ids


def changes(aws, ids):
    unlocked = lambda which: awaited(lambda: aws("get-image-set", **which), lambda it: it["imageSetState"] != "LOCKED")
    document = json.dumps({"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyDescription": "by the CLI"}}})
    update = {"latest_version_id": "1", "update_image_set_metadata_updates": {"DICOMUpdates": {"updatableAttributes": document}}}
    begun = aws("update-image-set-metadata", "--no-force", **ids, **update)
    assert begun["imageSetWorkflowStatus"] == "UPDATING" and begun["latestVersionId"] == "2", begun
    assert unlocked(ids)["imageSetWorkflowStatus"] == "UPDATED"
    aws.refused("ConflictException", "UpdateImageSetMetadata", "update-image-set-metadata", **ids, **update)
    versions = aws("list-image-set-versions", **ids, page_size=1)["imageSetPropertiesList"]
    assert [row["versionId"] for row in versions] == ["2", "1"] and versions[0]["ImageSetWorkflowStatus"] == "UPDATED", versions

    store = {"datastore_id": ids["datastore_id"]}
    begun = aws("copy-image-set", **store, source_image_set_id=ids["image_set_id"],
                copy_image_set_information={"sourceImageSet": {"latestVersionId": "2"}})
    assert begun["sourceImageSetProperties"]["latestVersionId"] == "2", begun
    copy = {**store, "image_set_id": begun["destinationImageSetProperties"]["imageSetId"]}
    assert unlocked(copy)["imageSetWorkflowStatus"] == "COPIED"
    deleting = aws("delete-image-set", **copy)
    assert deleting["imageSetWorkflowStatus"] == "DELETING", deleting
    awaited(lambda: aws("get-image-set", **copy), lambda it: it["imageSetState"] == "DELETED")


def whole(aws, folder, output):
    store = datastores(aws)
    changes(aws, reads(aws, store, imports(aws, store, folder, output)))
    assert aws.seen == COMMANDS, COMMANDS - aws.seen


def main(folder):
    folder = pathlib.Path(folder).resolve()
    output = folder.parent / "cli-output"
    output.mkdir(exist_ok=True)
    keys = {"HEALTHIMAGING_HTTP_ACCESS_KEYS": f"{KEY}:{SECRET}"}
    off = {"AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
    with tempfile.TemporaryDirectory() as home:
        with served(allow=[folder, output], **keys) as address:
            whole(Cli(home, f"http://{address}", **off), folder, output)
            forged = Cli(home, f"http://{address}", **off, AWS_SECRET_ACCESS_KEY="another-secret-of-20")
            forged.refused("InvalidSignatureException", "ListDatastores", "list-datastores")
            forged.refused("MissingAuthenticationTokenException", "ListDatastores", "list-datastores", "--no-sign-request")
            print(f"signatures checked, prefix switched off: {len(COMMANDS)} commands")
        with served(allow=[folder, output]) as address:
            whole(Cli(home, f"http://u@{address}"), folder, output)
            print(f"open server, endpoint http://u@…: {len(COMMANDS)} commands")


main(sys.argv[1])
