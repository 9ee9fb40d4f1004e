"""Clients of TLS, with certificates of openssl: boto3, urllib and curl, each with a credential of an access file."""

import json
import os
import re
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError, SSLError

BINARY = os.environ["HEALTHIMAGING_BIN"]
EXTENSIONS = "basicConstraints=CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n"
SECRET = "a-secret-key-of-the-test"
TOKEN = "a-bearer-token-of-the-test"


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True)


def certificates(folder, kind):
    """A CA, and a certificate with a key of this kind; the chain ends with the CA."""
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=CA of the test", "-days", "2",
            "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    openssl("req", "-newkey", *kind, "-nodes", "-subj", "/CN=localhost", "-keyout", folder / "key.pem",
            "-out", folder / "request.pem")
    (folder / "extensions").write_text(EXTENSIONS)
    openssl("x509", "-req", "-in", folder / "request.pem", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", folder / "extensions", "-out", folder / "leaf.pem")
    (folder / "chain.pem").write_text((folder / "leaf.pem").read_text() + (folder / "ca.pem").read_text())


def medical_imaging(endpoint, verify, key):
    return boto3.client(
        "medical-imaging", endpoint_url=endpoint, verify=verify, region_name="us-east-1", aws_access_key_id=key,
        aws_secret_access_key=SECRET, config=Config(inject_host_prefix=False, retries={"max_attempts": 0}))


def main():
    for kind in [("rsa:2048",), ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"), ("ed25519",)]:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder), kind)
            print(kind[0], "ok")


def check(folder, kind):
    certificates(folder, kind)
    access = folder / "access.json"
    access.write_text(json.dumps({"credentials": [
        {"name": "writer", "access_key_id": "WRITER", "secret_access_key": SECRET, "scope": "write"},
        {"name": "reader", "access_key_id": "READER", "secret_access_key": SECRET, "scope": "read",
         "datastores": ["first"]},
        {"name": "viewer", "token": TOKEN, "scope": "read", "datastores": ["second"]},
    ]}))
    access.chmod(0o600)
    server = subprocess.Popen(
        [BINARY, "--data-dir", folder / "store", "serve", "--http", "127.0.0.1:0", "--access-file", access,
         "--tls-cert", folder / "chain.pem", "--tls-key", folder / "key.pem"],
        stderr=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
    try:
        port = next(found[1] for line in server.stderr if (found := re.search(r"MCP at https://127\.0\.0\.1:(\d+)", line)))
        endpoint = f"https://localhost:{port}"
        writer = medical_imaging(endpoint, str(folder / "ca.pem"), "WRITER")
        made = [writer.create_datastore(datastoreName=name)["datastoreId"] for name in ["first", "second"]]
        reader = medical_imaging(endpoint, str(folder / "ca.pem"), "READER")
        seen = reader.list_datastores()["datastoreSummaries"]
        assert [one["datastoreId"] for one in seen] == made[:1], seen
        for call, code in [
            (lambda: reader.get_datastore(datastoreId=made[1]), "ResourceNotFoundException"),
            (lambda: reader.create_datastore(datastoreName="third"), "AccessDeniedException"),
            (lambda: writer.delete_datastore(datastoreId=made[0]), "AccessDeniedException"),
        ]:
            try:
                raise AssertionError(call())
            except ClientError as error:
                assert error.response["Error"]["Code"] == code, error
        try:
            raise AssertionError(medical_imaging(endpoint, True, "READER").list_datastores())
        except SSLError:
            pass
        trusted = ssl.create_default_context(cafile=folder / "ca.pem")
        for store, status in [("second", 200), ("first", 404)]:
            request = urllib.request.Request(
                f"{endpoint}/datastore/{store}/studies",
                headers={"Authorization": f"Bearer {TOKEN}", "Accept": "application/dicom+json"})
            try:
                found = urllib.request.urlopen(request, context=trusted).status
            except urllib.error.HTTPError as error:
                found = error.code
            # Without a match a search may answer 204.
            assert found in ({200, 204} if status == 200 else {status}), (store, found)
    finally:
        server.terminate()
        assert server.wait() == 0


main()
