"""Imports from and writes to an S3-compatible server (moto), by the standard AWS variables alone."""

import json
import logging
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import boto3
from moto.server import ThreadedMotoServer

BINARY = os.environ["HEALTHIMAGING_BIN"]


logging.getLogger("werkzeug").setLevel(logging.ERROR)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main(folder):
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    os.environ.update(
        AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1",
        AWS_ENDPOINT_URL_S3=endpoint,
    )
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    try:
        s3 = boto3.client("s3", endpoint_url=endpoint)
        s3.create_bucket(Bucket="scans")
        s3.create_bucket(Bucket="outcome")
        files = sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file())[:25]
        for file in files:
            s3.upload_file(str(file), "scans", f"in/{file.relative_to(folder)}")
        s3.put_object(Bucket="scans", Key="in/notes.txt", Body=b"not DICOM")
        marker = files[0].relative_to(folder).parent
        s3.put_object(Bucket="scans", Key=f"in/{marker}/", Body=b"")
        with tempfile.TemporaryDirectory() as data:
            run(data, s3, len(files))
        with tempfile.TemporaryDirectory() as data:
            command_line(data, len(files))
    finally:
        server.stop()


def call(data, tool, exit_code=0, **arguments):
    done = subprocess.run(
        [BINARY, "--backend", "local", "--data-dir", data, "call", tool, json.dumps(arguments), "--yes"],
        stdout=subprocess.PIPE,
    )
    assert done.returncode == exit_code, (done.returncode, done.stdout)
    return json.loads(done.stdout)


def run(data, s3, count):
    datastore = call(data, "create_datastore", datastore_name="from-s3")["datastore_id"]
    job = call(
        data, "start_dicom_import_job", datastore_id=datastore, input_s3_uri="s3://scans/in/",
        output_s3_uri="s3://outcome/out/", wait_seconds=120, exit_code=3,
    )
    deadline = time.monotonic() + 120
    while True:
        properties = call(data, "get_dicom_import_job", datastore_id=datastore, job_id=job["job_id"])["job_properties"]
        if properties["job_status"] in ("COMPLETED", "FAILED"):
            break
        assert time.monotonic() < deadline, "the job does not end"
        time.sleep(0.2)
    assert properties["job_status"] == "COMPLETED", properties
    prefix = properties["output_s3_uri"].removeprefix("s3://outcome/")
    assert prefix == f"out/{datastore}-DicomImport-{job['job_id']}/", prefix

    def content(key):
        return s3.get_object(Bucket="outcome", Key=prefix + key)["Body"].read()

    def lines(key):
        return [json.loads(line) for line in content(key).splitlines()]

    summary = json.loads(content("job-output-manifest.json"))["jobSummary"]
    assert summary["numberOfImportedFiles"] == count, summary
    assert summary["numberOfFilesWithCustomerError"] == 1, summary
    success, failure = lines("SUCCESS/success.ndjson"), lines("FAILURE/failure.ndjson")
    assert len(success) == count
    assert all(line["inputFile"].startswith("in/") for line in success)
    assert [line["inputFile"] for line in failure] == ["in/notes.txt"], failure
    found = call(data, "search_image_sets", datastore_id=datastore, max_results=100)
    assert len(found["image_sets_metadata_summaries"]) == summary["numberOfGeneratedImageSets"]
    print(f"{count} objects imported from s3://, 1 refused, outcome written to s3://")

    failed = call(
        data, "start_dicom_import_job", datastore_id=datastore, input_s3_uri="s3://no-such-bucket/in/",
        output_s3_uri="s3://outcome/out/", wait_seconds=60, exit_code=1,
    )
    properties = call(data, "get_dicom_import_job", datastore_id=datastore, job_id=failed["job_id"])["job_properties"]
    assert properties["job_status"] == "FAILED" and properties["message"], properties
    print("a missing bucket:", properties["message"])


def command_line(data, count):
    def imported(prefix):
        command = [BINARY, "--backend", "local", "--data-dir", data, "import", prefix, "--datastore", "scans"]
        return subprocess.run(command, stderr=subprocess.PIPE, text=True)

    done = imported("s3://scans/in/")
    assert done.returncode == 0, done
    told = f"{count + 1} files seen, {count} imported, 0 failed, 1 skipped (1 text)"
    assert told in done.stderr and "in data store scans" in done.stderr, done.stderr
    print("import s3://scans/in/:", done.stderr.splitlines()[-3])
    for missing in ("s3://no-such-bucket/in/", "s3://scans/nothing/"):
        failed = imported(missing)
        assert failed.returncode == 1 and "the import is FAILED" in failed.stderr, failed
        print(f"import {missing}:", failed.stderr.splitlines()[-1])


main(sys.argv[1])
