"""Exports to a folder and to an S3-compatible server (moto), read by pydicom and dcmtk.

Every file is there, has the SHA-256 that its line tells, and is read by both; in Explicit VR Little Endian it
has the pixels of the original.
"""

import collections
import hashlib
import json
import logging
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import warnings

import boto3
import pydicom
from moto.server import ThreadedMotoServer

BINARY = os.environ["HEALTHIMAGING_BIN"]
EXPLICIT = "1.2.840.10008.1.2.1"

logging.getLogger("werkzeug").setLevel(logging.ERROR)


def run(data, *words, codes=(0,)):
    done = subprocess.run([BINARY, "--backend", "local", "--data-dir", data, *words], capture_output=True, text=True)
    assert done.returncode in codes, (words, done.returncode, done.stderr)
    return done


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def originals(folder):
    found = collections.defaultdict(list)
    for path in (p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
        try:
            data = pydicom.dcmread(path)
            found[str(data.SOPInstanceUID).strip()].append(data)
        except Exception:
            continue
    return found


def check_file(path, response, known):
    """What is wrong with an exported file; whether its pixels were compared."""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != response["sha256"] or len(content) != response["sizeInBytes"]:
        return "not the SHA-256 or the size that its line tells", False
    dcmtk = subprocess.run(["dcmdump", "-q", str(path)], capture_output=True)
    if dcmtk.returncode != 0:
        return "dcmtk: " + dcmtk.stderr.decode(errors="replace").strip(), False
    back = pydicom.dcmread(path)
    if back.file_meta.TransferSyntaxUID != response["transferSyntaxUid"]:
        return "another transfer syntax than its line tells", False
    names = (back.StudyInstanceUID, back.SeriesInstanceUID, back.SOPInstanceUID)
    if path.parts[-3:-1] != names[:2] or path.stem != names[2]:
        return "a path of other UIDs", False
    uncompressed = [
        data for data in known[back.SOPInstanceUID]
        if data.file_meta.TransferSyntaxUID == EXPLICIT and "PixelData" in data
    ]
    if back.file_meta.TransferSyntaxUID != EXPLICIT or not uncompressed or back.get("PlanarConfiguration") == 1:
        return None, False
    if not any(data.PixelData.rstrip(b"\0") == back.PixelData.rstrip(b"\0") for data in uncompressed):
        return None if any(data.get("PlanarConfiguration") == 1 for data in uncompressed) else "other pixels", True
    return None, True


def to_folder(data, out, known, *words):
    run(data, "export", "--out", str(out), *words, codes=(0, 3))
    (told,) = out.glob("*-DicomExport-*")
    summary = json.loads((told / "job-output-manifest.json").read_text())["jobSummary"]
    success = lines((told / "SUCCESS/success.ndjson").read_text())
    failure = lines((told / "FAILURE/failure.ndjson").read_text())
    wrong, pixels = [], 0
    for line in success:
        problem, compared = check_file(pathlib.Path(line["outputFile"]), line["exportResponse"], known)
        pixels += compared
        if problem:
            wrong.append((line["outputFile"], problem))
    files = sum(1 for _ in out.rglob("*.dcm"))
    assert files == len(success) == summary["numberOfExportedFiles"] > 0, (files, len(success), summary)
    reasons = collections.Counter(line["exception"]["message"].split(";")[0] for line in failure)
    print(f"{files} files in a folder {words}: {len(wrong)} wrong, pixels of {pixels} compared; not exported: {dict(reasons)}")
    for name, problem in wrong:
        print("  wrong:", name, problem)
    return len(wrong), summary["numberOfExportedFiles"]


def to_bucket(data, expected):
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
        s3.create_bucket(Bucket="archive")
        run(data, "export", "--out", "s3://archive/out", codes=(0, 3))
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="archive", Prefix="out/")
        keys = [item["Key"] for page in pages for item in page.get("Contents", [])]

        def content(key):
            return s3.get_object(Bucket="archive", Key=key)["Body"].read()

        (told,) = [key for key in keys if key.endswith("SUCCESS/success.ndjson")]
        success = lines(content(told).decode())
        assert len(success) == expected == sum(key.endswith(".dcm") for key in keys), (len(success), expected)
        for line in success:
            body = content(line["outputFile"])
            assert hashlib.sha256(body).hexdigest() == line["exportResponse"]["sha256"], line
        print(f"{len(success)} objects in s3://, each with its SHA-256")
        gone = run(data, "export", "--out", "s3://no-such-bucket/out", codes=(1,))
        print("a missing bucket:", gone.stderr.strip().splitlines()[-1])
    finally:
        server.stop()


def main(folder):
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    known = originals(folder)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        data = str(scratch / "data")
        run(data, "import", folder, codes=(0, 3))
        stored_wrong, count = to_folder(data, scratch / "stored", known)
        explicit_wrong, _ = to_folder(data, scratch / "explicit", known, "--transfer-syntax", EXPLICIT)
        to_bucket(data, count)
    return 1 if stored_wrong or explicit_wrong else 0


sys.exit(main(sys.argv[1]))
