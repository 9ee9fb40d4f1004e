"""The AWS wire as other clients than boto3 may write it, and the errors that no ordinary call brings about.

Requests are signed by botocore where signatures are checked; the rest is `requests`, so that each header is ours to choose.
"""

import datetime
import gzip
import json
import pathlib
import socket
import sys
import tempfile
import urllib.parse
import uuid

import requests
from aws_requests_auth.aws_auth import AWSRequestsAuth
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from sdk import REGION, image_sets, imported, medical_imaging
from served import KEY, SECRET, served

KEYS = {"HEALTHIMAGING_HTTP_ACCESS_KEYS": f"{KEY}:{SECRET}", "HEALTHIMAGING_HTTP_TOKEN": "a-token-of-the-interop-tests"}


def asked(method, url, body=None, headers=(), signed=True, moment=None):
    headers = dict(headers)
    if signed:
        request = AWSRequest(method, url, headers=dict(headers), data=body or b"")
        signer = SigV4Auth(Credentials(KEY, SECRET), "medical-imaging", REGION)
        if moment:
            request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
            signer.add_auth = lambda request: signing_at(signer, request)
        signer.add_auth(request)
        headers = dict(request.headers.items())
    answer = requests.request(method, url, data=body, headers=headers, timeout=30)
    assert uuid.UUID(answer.headers["x-amzn-RequestId"]), answer.headers
    return answer


def signing_at(signer, request):
    """What the signer does, at the moment that the request is said to be of."""
    signer._modify_request_before_signing(request)
    canonical = signer.canonical_request(request)
    text = signer.string_to_sign(request, canonical)
    signer._inject_signature_to_request(request, signer.signature(text, request))


def refused(answer, status, code):
    told = answer.status_code, answer.headers["x-amzn-ErrorType"]
    assert told == (status, code) and answer.json()["message"], (told, answer.text)
    assert answer.headers["Content-Type"] == "application/json", answer.headers
    return answer.json()["message"]


def raised(code, status, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        told = error.response
        assert (told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), told
        return told["Error"]["Message"]
    raise AssertionError(f"{code} expected")


def hosts(base):
    """Routing goes by the path alone: one listener stands for all hosts of the service."""
    seen = set()
    for host in ("medical-imaging.us-east-1.amazonaws.com", "runtime-medical-imaging.eu-west-2.amazonaws.com",
                 "dicom-medical-imaging.us-west-2.amazonaws.com", "127.0.0.1:1", "store.internal", "imaging.example.org"):
        answer = asked("GET", f"{base}/datastore", headers={"Host": host})
        assert answer.status_code == 200, (host, answer.text)
        seen.add(answer.headers["x-amzn-RequestId"])
    assert len(seen) == 6


def bodies(base, datastore, image_set):
    one = f"{base}/datastore/{datastore}/imageSet/{image_set}"
    found = []
    for body, headers in ((None, {}), (b"", {"Content-Type": "application/json"}), (b"{}", {}),
                          (b"{}", {"Content-Type": "application/x-amz-json-1.1"})):
        found.append(asked("POST", f"{base}/datastore/{datastore}/searchImageSets", body, headers).json())
        assert asked("POST", f"{one}/getImageSet", body, headers).json()["imageSetState"] == "ACTIVE"
    assert found[0]["imageSetsMetadataSummaries"] and all(one == found[0] for one in found)
    assert not any(value is None for row in found[0]["imageSetsMetadataSummaries"] for value in row.values())
    created = found[0]["imageSetsMetadataSummaries"][0]["createdAt"]
    assert isinstance(created, (int, float)) and round(created, 3) == created, created
    packed = asked("POST", f"{one}/getImageSetMetadata", headers={"Accept-Encoding": "identity"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.json()["ImageSetID"] == image_set
    for body in (b"{", b"[]", b'{"filters": 1}', b"\xff\xfe", gzip.compress(b"{}"), b"{} {}", b'{"filters": [], "filters": []}',
                 b'{"DOE^JOHN": 1}', b'{"filters": "DOE^JOHN"}'):
        assert "DOE" not in refused(asked("POST", f"{base}/datastore/{datastore}/searchImageSets", body), 400, "ValidationException")
    refused(asked("POST", f"{base}/datastore/{datastore}/searchImageSets", b" " * (3 << 20)), 400, "ValidationException")
    for method, path in (("PUT", "/datastore"), ("GET", "/datastores"), ("POST", f"/datastore/{datastore}")):
        refused(asked(method, base + path), 404, "UnknownOperationException")


def one_host(base):
    """RFC 9112 3.2: a request without a Host header, or with two, is refused."""
    address = base.removeprefix("http://")
    host, port = address.split(":")
    for lines in ("", f"Host: {address}\r\nHost: other\r\n"):
        with socket.create_connection((host, int(port)), timeout=30) as stream:
            stream.sendall(f"GET /datastore HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
            answer = stream.makefile("rb").read()
            assert answer.startswith(b"HTTP/1.1 400 "), answer


def tags(base, ahi, datastore):
    arn = ahi.get_datastore(datastoreId=datastore)["datastoreProperties"]["datastoreArn"]
    for written in (urllib.parse.quote(arn, safe=""), urllib.parse.quote(arn, safe=":/"), urllib.parse.quote(arn, safe=":")):
        place = f"{base}/tags/{written}"
        assert asked("POST", place, json.dumps({"tags": {"a": "1", "b/b": "é b"}}).encode()).status_code == 200, place
        assert asked("GET", place).json() == {"tags": {"a": "1", "b/b": "é b"}}, place
        assert asked("DELETE", f"{place}?tagKeys=a&tagKeys=b%2Fb").status_code == 200
        assert asked("GET", place).json() == {"tags": {}}, place
    refused(asked("GET", f"{base}/tags/no-arn"), 400, "ValidationException")
    raised("ValidationException", 400, ahi.tag_resource, resourceArn=arn, tags={f"k{number}": "" for number in range(51)})


def browsers(base, datastore):
    """CORS: a preflight is answered unsigned, and each answer may be read, an error too."""
    wanted = {"Origin": "https://viewer.example.org", "Access-Control-Request-Method": "POST",
              "Access-Control-Request-Headers": "authorization,x-amz-date,content-type"}
    for path in (f"/datastore/{datastore}/searchImageSets", f"/datastore/{datastore}/studies"):
        answer = asked("OPTIONS", base + path, headers=wanted, signed=False)
        allowed = answer.headers["Access-Control-Allow-Headers"]
        assert answer.ok and allowed == wanted["Access-Control-Request-Headers"], answer.headers
        assert "POST" in answer.headers["Access-Control-Allow-Methods"] and answer.headers["Access-Control-Allow-Origin"] == "*"
    for url in (f"{base}/datastore", f"{base}/datastore/{'0' * 32}", f"{base}/datastore/{datastore}/studies"):
        answer = asked("GET", url, headers={"Origin": "https://viewer.example.org"})
        assert answer.headers["Access-Control-Allow-Origin"] == "*" and answer.headers["Access-Control-Expose-Headers"] == "*"


def access(base):
    """Unauthorized requests, and their errors."""
    now = datetime.datetime.now(datetime.timezone.utc)
    refused(asked("GET", f"{base}/datastore", signed=False), 403, "MissingAuthenticationTokenException")
    for off in (datetime.timedelta(minutes=-16), datetime.timedelta(minutes=16)):
        refused(asked("GET", f"{base}/datastore", moment=now + off), 403, "InvalidSignatureException")
    assert asked("GET", f"{base}/datastore", moment=now - datetime.timedelta(minutes=4)).status_code == 200
    # Signs host and x-amz-date, and sends x-amz-content-sha256 beside them.
    of_request = AWSRequestsAuth(KEY, SECRET, base.removeprefix("http://"), REGION, "medical-imaging")
    listed = requests.get(f"{base}/datastore", auth=of_request, timeout=30).json()["datastoreSummaries"]
    search = f"{base}/datastore/{listed[0]['datastoreId']}/searchImageSets"
    found = requests.post(search, auth=of_request, data=b"{}", timeout=30)
    assert found.status_code == 200, found.text
    wrong = AWSRequestsAuth(KEY, "another-secret-of-20", base.removeprefix("http://"), REGION, "medical-imaging")
    refused(requests.get(f"{base}/datastore", auth=wrong, timeout=30), 403, "InvalidSignatureException")
    bearer = lambda token: asked("GET", f"{base}/datastore", headers={"Authorization": f"Bearer {token}"}, signed=False)
    assert bearer(KEYS["HEALTHIMAGING_HTTP_TOKEN"]).status_code == 200
    refused(bearer("wrong"), 403, "AccessDeniedException")
    garbled = asked("GET", f"{base}/datastore", headers={"Authorization": "AWS4-HMAC-SHA256 nonsense"}, signed=False)
    refused(garbled, 400, "IncompleteSignatureException")


def read_only(data):
    """A server that only reads denies every write."""
    with served("--read-only", data=data) as address:
        ahi = medical_imaging(f"http://{address}", inject_host_prefix=False)
        datastore = ahi.list_datastores()["datastoreSummaries"][0]["datastoreId"]
        ids = {"datastoreId": datastore, "imageSetId": image_sets(ahi, datastore)[0]["imageSetId"]}
        assert ahi.get_image_set(**ids)["imageSetState"] == "ACTIVE"
        raised("AccessDeniedException", 403, ahi.create_datastore, datastoreName="no")
        raised("AccessDeniedException", 403, ahi.delete_image_set, **ids)
        raised("AccessDeniedException", 403, ahi.untag_resource, tagKeys=["a"],
               resourceArn=ahi.get_image_set(**ids)["imageSetArn"])
        raised("AccessDeniedException", 403, ahi.copy_image_set, datastoreId=datastore, sourceImageSetId=ids["imageSetId"],
               copyImageSetInformation={"sourceImageSet": {"latestVersionId": "1"}})


def damaged(data):
    """A frame that is no longer what was stored is never returned: it is an error of the service."""
    for pack in pathlib.Path(data).rglob("*.pack"):
        content = bytearray(pack.read_bytes())
        content[len(content) // 4:len(content) // 4 * 3] = bytes(len(content) // 4 * 3 - len(content) // 4)
        pack.write_bytes(content)
    with served(data=data) as address:
        ahi = medical_imaging(f"http://{address}", inject_host_prefix=False)
        datastore = ahi.list_datastores()["datastoreSummaries"][0]["datastoreId"]
        codes = set()
        for row in image_sets(ahi, datastore):
            ids = {"datastoreId": datastore, "imageSetId": row["imageSetId"]}
            metadata = json.loads(gzip.decompress(ahi.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()))
            for instance in next(iter(metadata["Study"]["Series"].values()))["Instances"].values():
                for frame in instance["ImageFrames"]:
                    try:
                        ahi.get_image_frame(**ids, imageFrameInformation={"imageFrameId": frame["ID"]})["imageFrameBlob"].read()
                    except ClientError as error:
                        codes.add((error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]))
        assert codes == {("InternalServerException", 500)}, codes


def main(folder):
    folder = pathlib.Path(folder).resolve()
    output = folder.parent / "wire-output"
    output.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        with served(allow=[folder, output], data=data, **KEYS) as address:
            base = f"http://{address}"
            ahi = medical_imaging(base, inject_host_prefix=False)
            datastore = imported(ahi, folder, output)
            hosts(base)
            one_host(base)
            bodies(base, datastore, image_sets(ahi, datastore)[0]["imageSetId"])
            tags(base, ahi, datastore)
            browsers(base, datastore)
            access(base)
            print("any host, any form of body, ARNs encoded or not, CORS, request ids, five ways to be refused")
        read_only(data)
        damaged(data)
        print("AccessDeniedException where only reading is allowed, InternalServerException for a damaged frame")


main(sys.argv[1])
