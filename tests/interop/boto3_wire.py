"""boto3 against `serve --http`: every operation, every paginator, every error that can be had.

Once on an open server by the `u@` endpoint, once with signatures checked and the prefix switched off.
"""

import datetime
import gzip
import json
import pathlib
import sys
import uuid

from botocore.exceptions import ClientError
from sdk import ROLE, active, awaited, medical_imaging, unlocked
from served import KEY, SECRET, served

NOBODY = "0" * 32
OPERATIONS = set()


def client(endpoint, **named):
    made = medical_imaging(endpoint, **named)
    made.meta.events.register("before-call.*.*", lambda model, **_: OPERATIONS.add(model.name))
    return made


def refused(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        told = error.response
        assert told["Error"]["Code"] == code, told
        assert told["ResponseMetadata"]["HTTPStatusCode"] == status, told
        assert told["Error"]["Message"], told
        assert uuid.UUID(told["ResponseMetadata"]["RequestId"]), told
        return told["Error"]["Message"]
    raise AssertionError(f"{code} expected")


def datastores(ahi):
    made = ahi.create_datastore(datastoreName="boto3", tags={"team": "c/d é"})
    assert made["datastoreStatus"] == "CREATING"
    datastore = made["datastoreId"]
    found = active(ahi, datastore)
    assert found["datastoreName"] == "boto3" and found["losslessStorageFormat"] == "HTJ2K", found
    now = datetime.datetime.now(datetime.timezone.utc)
    assert abs(now - found["createdAt"]) < datetime.timedelta(minutes=1), found
    token = "token-1"
    first = ahi.create_datastore(clientToken=token, losslessStorageFormat="JPEG_2000_LOSSLESS")
    again = ahi.create_datastore(clientToken=token, losslessStorageFormat="JPEG_2000_LOSSLESS")
    assert first["datastoreId"] == again["datastoreId"]
    refused("ConflictException", 409, ahi.create_datastore, clientToken=token, datastoreName="other")
    spare = active(ahi, first["datastoreId"])
    assert spare["losslessStorageFormat"] == "JPEG_2000_LOSSLESS" and spare["datastoreName"] == spare["datastoreId"]
    pages = list(ahi.get_paginator("list_datastores").paginate(PaginationConfig={"PageSize": 1}))
    listed = [row["datastoreId"] for page in pages for row in page["datastoreSummaries"]]
    assert listed == [spare["datastoreId"], datastore] and len(pages) >= 2, listed
    refused("ValidationException", 400, ahi.list_datastores, maxResults=51)
    refused("ValidationException", 400, ahi.list_datastores, nextToken="not-one-of-ours")
    refused("ResourceNotFoundException", 404, ahi.get_datastore, datastoreId=NOBODY)
    refused("ValidationException", 400, ahi.get_datastore, datastoreId="NOT-AN-ID")
    refused("ValidationException", 400, ahi.create_datastore, datastoreName="no spaces please")

    arn = found["datastoreArn"]
    assert ahi.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "c/d é"}
    ahi.tag_resource(resourceArn=arn, tags={"x:y/z": "1", "team": "2", "last": ""})
    assert ahi.list_tags_for_resource(resourceArn=arn)["tags"] == {"x:y/z": "1", "team": "2", "last": ""}
    ahi.untag_resource(resourceArn=arn, tagKeys=["x:y/z", "last", "absent"])
    assert ahi.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "2"}
    missing = arn.replace(datastore, NOBODY)
    refused("ResourceNotFoundException", 404, ahi.list_tags_for_resource, resourceArn=missing)
    refused("ValidationException", 400, ahi.tag_resource, resourceArn=arn, tags={"aws:x": "1"})

    deleted = ahi.delete_datastore(datastoreId=spare["datastoreId"])
    assert deleted["datastoreStatus"] == "DELETING", deleted
    gone = lambda: ahi.list_datastores(datastoreStatus="DELETED")["datastoreSummaries"]
    awaited(gone, lambda rows: any(row["datastoreId"] == spare["datastoreId"] for row in rows))
    refused("ConflictException", 409, ahi.search_image_sets, datastoreId=spare["datastoreId"])
    return datastore


def imports(ahi, datastore, folder, output):
    request = {
        "datastoreId": datastore, "jobName": "job-1", "dataAccessRoleArn": ROLE, "clientToken": "import-1",
        "inputS3Uri": f"file://{folder}", "outputS3Uri": f"file://{output}/"}
    started = ahi.start_dicom_import_job(**request)
    assert started["jobStatus"] == "SUBMITTED" and started["submittedAt"].tzinfo, started
    assert ahi.start_dicom_import_job(**request)["jobId"] == started["jobId"]
    refused("ConflictException", 409, ahi.start_dicom_import_job, **{**request, "jobName": "job-2"})
    look = lambda: ahi.get_dicom_import_job(datastoreId=datastore, jobId=started["jobId"])["jobProperties"]
    job = awaited(look, lambda found: found["jobStatus"] in ("COMPLETED", "FAILED"))
    assert job["jobStatus"] == "COMPLETED" and job["dataAccessRoleArn"] == ROLE, job
    assert job["outputS3Uri"].endswith(f"{datastore}-DicomImport-{job['jobId']}/"), job
    assert job["endedAt"] >= job["submittedAt"], job
    config = {"dicomJsonMetadataImportConfiguration": {
        "dicomMetadataMappings": [{"studyInstanceUID": "1.2.3", "metadataFilePath": "a.json"}]}}
    second = ahi.start_dicom_import_job(
        **{**request, "clientToken": "import-2", "jobName": "job-2", "importConfiguration": config})
    look = lambda: ahi.get_dicom_import_job(datastoreId=datastore, jobId=second["jobId"])["jobProperties"]
    ended = awaited(look, lambda found: found["jobStatus"] in ("COMPLETED", "FAILED"))
    assert ended["importConfiguration"] == config, ended
    pages = ahi.get_paginator("list_dicom_import_jobs").paginate(
        datastoreId=datastore, PaginationConfig={"PageSize": 1})
    assert [row["jobName"] for page in pages for row in page["jobSummaries"]] == ["job-2", "job-1"]
    only = ahi.list_dicom_import_jobs(datastoreId=datastore, jobStatus="COMPLETED")["jobSummaries"]
    assert "job-1" in [row["jobName"] for row in only]
    refused("ResourceNotFoundException", 404, ahi.get_dicom_import_job, datastoreId=datastore, jobId="abc")
    refused("ResourceNotFoundException", 404, ahi.list_dicom_import_jobs, datastoreId=NOBODY)
    refused("ValidationException", 400, ahi.start_dicom_import_job, **{**request, "dataAccessRoleArn": "arn:aws:iam::1:x/yyy"})
    refused("ConflictException", 409, ahi.delete_datastore, datastoreId=datastore)
    return json.loads((pathlib.Path(job["outputS3Uri"][7:]) / "job-output-manifest.json").read_text())["jobSummary"]


def reads(ahi, datastore, summary):
    pages = list(ahi.get_paginator("search_image_sets").paginate(
        datastoreId=datastore, PaginationConfig={"PageSize": 2}))
    found = [row for page in pages for row in page["imageSetsMetadataSummaries"]]
    assert {row["imageSetId"] for row in found} == {row["imageSetId"] for row in summary["imageSetsSummary"]}
    assert pages[0]["sort"] == {"sortField": "updatedAt", "sortOrder": "DESC"}, pages[0]
    one = found[0]
    assert isinstance(one["version"], int) and one["storageTier"] == "FREQUENT_ACCESS", one
    tags = one["DICOMTags"]
    criteria = {"filters": [{"values": [{"DICOMSeriesInstanceUID": tags["DICOMSeriesInstanceUID"]}], "operator": "EQUAL"}]}
    same = ahi.search_image_sets(datastoreId=datastore, searchCriteria=criteria)["imageSetsMetadataSummaries"]
    assert one["imageSetId"] in [row["imageSetId"] for row in same]
    for moments in ([datetime.datetime(2020, 1, 1), datetime.datetime(2099, 1, 1)], [one["createdAt"], one["createdAt"]]):
        values = [{"createdAt": moment} for moment in moments]
        criteria = {"filters": [{"values": values, "operator": "BETWEEN"}, {"values": [{"isPrimary": True}], "operator": "EQUAL"}],
                    "sort": {"sortField": "createdAt", "sortOrder": "ASC"}}
        between = ahi.search_image_sets(datastoreId=datastore, searchCriteria=criteria)
        rows = between["imageSetsMetadataSummaries"]
        assert one["imageSetId"] in [row["imageSetId"] for row in rows] and between["sort"]["sortOrder"] == "ASC"
    wrong = {"filters": [{"values": [{"isPrimary": True}, {"isPrimary": False}], "operator": "BETWEEN"}]}
    refused("ValidationException", 400, ahi.search_image_sets, datastoreId=datastore, searchCriteria=wrong)

    ids = {"datastoreId": datastore, "imageSetId": one["imageSetId"]}
    state = ahi.get_image_set(**ids)
    assert state["versionId"] == "1" and state["imageSetState"] == "ACTIVE" and state["isPrimary"], state
    assert state["imageSetArn"].endswith(f"{datastore}/imageset/{one['imageSetId']}"), state
    assert ahi.list_tags_for_resource(resourceArn=state["imageSetArn"])["tags"] == {}
    answer = ahi.get_image_set_metadata(**ids)
    assert answer["contentType"] == "application/json" and answer["contentEncoding"] == "gzip", answer
    document = json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))
    assert document["ImageSetID"] == one["imageSetId"]
    assert ahi.get_image_set_metadata(**ids, versionId="1")["ResponseMetadata"]["HTTPStatusCode"] == 200
    instances = next(iter(document["Study"]["Series"].values()))["Instances"]
    frames = [frame for instance in instances.values() for frame in instance["ImageFrames"]]
    for frame in frames:
        answer = ahi.get_image_frame(**ids, imageFrameInformation={"imageFrameId": frame["ID"]})
        assert len(answer["imageFrameBlob"].read()) == frame["FrameSizeInBytes"], frame
    assert frames and answer["contentType"].startswith("image/"), answer
    missing = {"datastoreId": datastore, "imageSetId": NOBODY}
    for call in (ahi.get_image_set, ahi.get_image_set_metadata, ahi.list_image_set_versions, ahi.delete_image_set):
        refused("ResourceNotFoundException", 404, call, **missing)
    refused("ResourceNotFoundException", 404, ahi.get_image_set, **ids, versionId="99")
    refused("ResourceNotFoundException", 404, ahi.get_image_frame, **ids, imageFrameInformation={"imageFrameId": NOBODY})
    refused("ValidationException", 400, ahi.get_image_frame, **ids, imageFrameInformation={"imageFrameId": "x"})
    return ids


def changes(ahi, ids):
    update = {"DICOMUpdates": {"updatableAttributes": json.dumps(
        {"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyDescription": "by boto3"}}}).encode()}}
    call = {**ids, "latestVersionId": "1", "updateImageSetMetadataUpdates": update}
    answer = ahi.update_image_set_metadata(**call, force=False)
    assert answer["imageSetState"] == "LOCKED" and answer["latestVersionId"] == "2", answer
    assert unlocked(ahi, **ids)["imageSetWorkflowStatus"] == "UPDATED"
    refused("ConflictException", 409, ahi.update_image_set_metadata, **call)
    revert = {"revertToVersionId": "1"}
    ahi.update_image_set_metadata(**{**call, "latestVersionId": "2", "updateImageSetMetadataUpdates": revert})
    assert unlocked(ahi, **ids)["versionId"] == "3"
    everywhere = {**call, "latestVersionId": "3", "includeStudyImageSets": True}
    ahi.update_image_set_metadata(**everywhere)
    assert unlocked(ahi, **ids)["versionId"] == "4"
    broken = {"DICOMUpdates": {"updatableAttributes": b"{"}}
    refused("ValidationException", 400, ahi.update_image_set_metadata,
            **{**call, "latestVersionId": "4", "updateImageSetMetadataUpdates": broken})
    pages = ahi.get_paginator("list_image_set_versions").paginate(**ids, PaginationConfig={"PageSize": 1})
    versions = [row for page in pages for row in page["imageSetPropertiesList"]]
    assert [row["versionId"] for row in versions] == ["4", "3", "2", "1"], versions
    assert all(row["ImageSetWorkflowStatus"] for row in versions), versions

    source = {"latestVersionId": "4"}
    copy = {"datastoreId": ids["datastoreId"], "sourceImageSetId": ids["imageSetId"]}
    answer = ahi.copy_image_set(**copy, copyImageSetInformation={"sourceImageSet": source})
    assert answer["sourceImageSetProperties"]["imageSetWorkflowStatus"] == "COPYING_WITH_READ_ONLY_ACCESS", answer
    made = {"datastoreId": ids["datastoreId"], "imageSetId": answer["destinationImageSetProperties"]["imageSetId"]}
    copied = unlocked(ahi, **made)
    assert copied["imageSetWorkflowStatus"] == "COPIED" and copied["isPrimary"] is False, copied
    unlocked(ahi, **ids)
    stale = {"sourceImageSet": {"latestVersionId": "1"}}
    refused("ConflictException", 409, ahi.copy_image_set, **copy, copyImageSetInformation=stale)
    into = {"sourceImageSet": source, "destinationImageSet": {"imageSetId": made["imageSetId"], "latestVersionId": copied["versionId"]}}
    ahi.copy_image_set(**copy, copyImageSetInformation=into, force=True)
    assert unlocked(ahi, **made)["imageSetWorkflowStatus"] == "COPY_FAILED"
    unlocked(ahi, **ids)

    deleting = ahi.delete_image_set(**made)
    assert deleting["imageSetWorkflowStatus"] == "DELETING" and deleting["imageSetState"] == "LOCKED", deleting
    gone = awaited(lambda: ahi.get_image_set(**made), lambda found: found["imageSetState"] == "DELETED")
    assert gone["deletedAt"], gone
    refused("ResourceNotFoundException", 404, ahi.get_image_set_metadata, **made)


def errors_of_access(endpoint):
    """Only a server that checks signatures refuses these."""
    off = {"inject_host_prefix": False}
    refused("InvalidSignatureException", 403, client(endpoint, secret="another-secret-of-20", **off).list_datastores)
    refused("UnrecognizedClientException", 403, client(endpoint, key="AKIDNOBODY", **off).list_datastores)
    from botocore import UNSIGNED
    unsigned = client(endpoint, signature_version=UNSIGNED, **off)
    refused("MissingAuthenticationTokenException", 403, unsigned.list_datastores)


def quotas(ahi):
    """Of a server that keeps to those of AWS."""
    for _ in range(100):
        ahi.create_datastore()
    refused("ServiceQuotaExceededException", 402, ahi.create_datastore)


def whole(ahi, folder, output):
    OPERATIONS.clear()
    datastore = datastores(ahi)
    summary = imports(ahi, datastore, folder, output)
    changes(ahi, reads(ahi, datastore, summary))
    every = set(ahi.meta.service_model.operation_names)
    assert every == OPERATIONS, every - OPERATIONS
    return datastore


def main(folder):
    folder = pathlib.Path(folder).resolve()
    output = folder.parent / "boto3-output"
    output.mkdir(exist_ok=True)
    with served(allow=[folder, output]) as address:
        whole(client(f"http://u@{address}"), folder, output)
        print("open server, endpoint http://u@…: 18 operations, 4 paginators")
    keys = {"HEALTHIMAGING_HTTP_ACCESS_KEYS": f"{KEY}:{SECRET}"}
    with served(allow=[folder, output], **keys) as address:
        datastore = whole(client(f"http://{address}", inject_host_prefix=False), folder, output)
        errors_of_access(f"http://{address}")
        client(f"http://u@{address}").search_image_sets(datastoreId=datastore)
        print("signatures checked: 18 operations, 4 paginators, three refusals of access")
    with served("--aws-quotas") as address:
        quotas(client(f"http://u@{address}"))
        print("quotas of AWS: the data store beyond them is refused")


main(sys.argv[1])
