"""boto3 on our HTTP face: a client, waiting for what is asynchronous, a data store with files in it."""

import time

import boto3
from botocore.config import Config
from served import KEY, SECRET

ROLE = "arn:aws:iam::123456789012:role/import"
REGION = "us-east-1"


def medical_imaging(endpoint, key=KEY, secret=SECRET, **config):
    """A client that asks once. The endpoint is `http://u@…` unless `inject_host_prefix` is switched off."""
    return boto3.client(
        "medical-imaging", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key,
        aws_secret_access_key=secret, config=Config(retries={"total_max_attempts": 1}, **config))


def awaited(look, done):
    until = time.monotonic() + 120
    while not done(found := look()):
        assert time.monotonic() < until, found
        time.sleep(0.05)
    return found


def active(ahi, datastore):
    look = lambda: ahi.get_datastore(datastoreId=datastore)["datastoreProperties"]
    return awaited(look, lambda found: found["datastoreStatus"] != "CREATING")


def unlocked(ahi, **ids):
    return awaited(lambda: ahi.get_image_set(**ids), lambda found: found["imageSetState"] != "LOCKED")


def imported(ahi, folder, output, name="interop"):
    """A new data store with the files of a folder in it. The server must allow both folders."""
    datastore = ahi.create_datastore(datastoreName=name)["datastoreId"]
    active(ahi, datastore)
    job = ahi.start_dicom_import_job(
        datastoreId=datastore, dataAccessRoleArn=ROLE, inputS3Uri=f"file://{folder}", outputS3Uri=f"file://{output}/")["jobId"]
    look = lambda: ahi.get_dicom_import_job(datastoreId=datastore, jobId=job)["jobProperties"]
    ended = awaited(look, lambda found: found["jobStatus"] in ("COMPLETED", "FAILED"))
    assert ended["jobStatus"] == "COMPLETED", ended
    return datastore


def image_sets(ahi, datastore):
    """The summaries of all image sets of a data store."""
    pages = ahi.get_paginator("search_image_sets").paginate(datastoreId=datastore)
    return [row for page in pages for row in page["imageSetsMetadataSummaries"]]
