"""dicomweb-client and pydicom against `serve --http`: everything that AWS HealthImaging offers of DICOMweb, and whole studies and series.

On an open server, with every request signed by botocore, and with a bearer token; then a body in
signed chunks, as `curl --aws-sigv4` and the SDKs send large ones.
"""

import datetime
import hashlib
import hmac
import http.client
import io
import pathlib
import sys

import numpy
import pydicom
import requests
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLosslessRPCL, generate_uid
from requests.exceptions import HTTPError
from sdk import active, medical_imaging, unlocked
from served import KEY, SECRET, served

TOKEN = "a-token-of-the-interop-tests"
CREDENTIALS = Credentials(KEY, SECRET)
BULK = bytes(range(256)) * 5000


class Signed(requests.auth.AuthBase):
    """Signs each request as botocore does."""

    def __call__(self, request):
        if not isinstance(request.body, (bytes, str, type(None))):
            request.body = b"".join(request.body)
            request.headers.pop("Transfer-Encoding", None)
            request.headers["Content-Length"] = str(len(request.body))
        signing = ("content-type", "host")
        headers = {name: value for name, value in request.headers.items() if name.lower() in signing}
        signed = AWSRequest(request.method, request.url, headers=headers, data=request.body or b"")
        SigV4Auth(CREDENTIALS, "medical-imaging", "us-east-1").add_auth(signed)
        request.headers.update(signed.headers.items())
        return request


def datastore(address):
    ahi = medical_imaging(f"http://{address}", inject_host_prefix=False)
    made = ahi.create_datastore(datastoreName="web")["datastoreId"]
    active(ahi, made)
    return ahi, made


def refused(status, call, *arguments, **named):
    try:
        call(*arguments, **named)
    except HTTPError as error:
        assert error.response.status_code == status, (error.response.status_code, error.response.text)
        assert error.response.json()["message"] and error.response.headers["x-amzn-ErrorType"], error.response.text
        return error.response.json()["message"]
    raise AssertionError(f"{status} expected")


def data_sets(folder):
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    found = [pydicom.dcmread(path) for path in files]
    block = found[0].private_block(0x0099, "INTEROP", create=True)
    block.add_new(0x01, "OB", BULK)
    return found


def store(client, sets):
    # Bodies without a declared length; signed, they have one.
    client.set_chunk_size(64 << 10)
    for start in range(0, len(sets), 20):
        answer = client.store_instances(sets[start:start + 20])
        stored = {item.ReferencedSOPInstanceUID for item in answer.ReferencedSOPSequence}
        assert stored == {ds.SOPInstanceUID for ds in sets[start:start + 20]}, answer
        assert all(item.RetrieveURL.startswith("http://127.0.0.1") for item in answer.ReferencedSOPSequence)
    try:
        client.store_instances(sets[:1], study_instance_uid=generate_uid())
        raise AssertionError("an instance of another study was stored")
    except HTTPError as error:
        assert error.response.status_code == 409, error.response.text
        failed = Dataset.from_json(error.response.json()).FailedSOPSequence[0]
        assert failed.FailureReason == 0xA900 and failed.ReferencedSOPInstanceUID == sets[0].SOPInstanceUID


def value(found, keyword):
    attribute = found[f"{pydicom.datadict.tag_for_keyword(keyword):08X}"]
    return attribute["Value"][0]


def search(client, sets):
    studies = {ds.StudyInstanceUID for ds in sets}
    series = {(ds.StudyInstanceUID, ds.SeriesInstanceUID) for ds in sets}
    one = sets[0]
    found = client.search_for_studies(get_remaining=True)
    assert {value(row, "StudyInstanceUID") for row in found} == studies
    assert len(client.search_for_studies(limit=1)) == 1
    assert len(client.search_for_studies(offset=len(studies))) == 0
    assert {(value(row, "StudyInstanceUID"), value(row, "SeriesInstanceUID")) for row in client.search_for_series(get_remaining=True)} == series
    of_study = {s for study, s in series if study == one.StudyInstanceUID}
    assert {value(row, "SeriesInstanceUID") for row in client.search_for_series(one.StudyInstanceUID)} == of_study
    for arguments in ({}, {"study_instance_uid": one.StudyInstanceUID},
                      {"study_instance_uid": one.StudyInstanceUID, "series_instance_uid": one.SeriesInstanceUID}):
        expected = {ds.SOPInstanceUID for ds in sets
                    if arguments.get("study_instance_uid") in (None, ds.StudyInstanceUID)
                    and arguments.get("series_instance_uid") in (None, ds.SeriesInstanceUID)}
        rows = client.search_for_instances(**arguments, limit=7, get_remaining=True)
        assert {value(row, "SOPInstanceUID") for row in rows} == expected, arguments
    filters = {"PatientID": one.PatientID}
    rows = client.search_for_studies(search_filters=filters, fields=["StudyDescription", "00101040"])
    assert {value(row, "StudyInstanceUID") for row in rows} == {ds.StudyInstanceUID for ds in sets if ds.PatientID == one.PatientID}
    assert value(rows[0], "RetrieveURL").startswith("http://127.0.0.1"), rows[0]
    first = str(one.PatientName).split("^")[0]
    rows = client.search_for_studies(search_filters={"PatientName": first[:3] + "*"})
    assert one.StudyInstanceUID in {value(row, "StudyInstanceUID") for row in rows}
    rows = client.search_for_studies(fuzzymatching=True, search_filters={"PatientName": first.lower()[:3]})
    assert one.StudyInstanceUID in {value(row, "StudyInstanceUID") for row in rows}
    rows = client.search_for_studies(search_filters={"StudyDate": f"{one.StudyDate}-{one.StudyDate}"})
    assert one.StudyInstanceUID in {value(row, "StudyInstanceUID") for row in rows}
    assert client.search_for_studies(search_filters={"PatientID": "nobody"}) == []
    refused(400, client.search_for_studies, search_filters={"PixelSpacing": "1"})
    assert {value(row, "StudyInstanceUID") for row in client.search_for_studies(limit=2000)} == studies
    for filters in ({"SeriesDescription": str(one.SeriesDescription).replace(" ", "?")}, {"InstanceNumber": str(one.InstanceNumber)},
                    {"SOPInstanceUID": one.SOPInstanceUID}, {"ModalitiesInStudy": f"{one.Modality},XX"}):
        rows = client.search_for_studies(search_filters=filters, get_remaining=True)
        assert one.StudyInstanceUID in {value(row, "StudyInstanceUID") for row in rows}, filters
        assert one.StudyInstanceUID not in [value(row, "StudyInstanceUID") for row in client.search_for_studies(
            search_filters={**filters, "PatientID": "nobody"})]
    rows = client.search_for_instances(one.StudyInstanceUID, one.SeriesInstanceUID)
    assert all("00083002" in row for row in rows), rows[0]


def same_pixels(one, other):
    assert numpy.array_equal(one.pixel_array, other.pixel_array), one.SOPInstanceUID


def retrieve(client, sets):
    pick = {ds.SeriesInstanceUID: ds for ds in reversed(sets)}
    for ds in pick.values():
        uids = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
        plain = client.retrieve_instance(*uids)
        assert plain.SOPInstanceUID == ds.SOPInstanceUID
        if "PixelData" in ds:
            same_pixels(ds, plain)
            stored = client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))
            same_pixels(ds, stored)
            explicit = client.retrieve_instance(*uids, media_types=(("application/dicom", ExplicitVRLittleEndian),))
            assert explicit.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
            count = int(getattr(ds, "NumberOfFrames", 1))
            frames = client.retrieve_instance_frames(*uids, frame_numbers=list(range(count, 0, -1)))
            pixels = explicit.PixelData[:len(explicit.PixelData) // count * count]
            size = len(pixels) // count
            assert len(frames) == count
            for number, frame in zip(range(count, 0, -1), frames):
                assert frame == explicit.PixelData[(number - 1) * size:number * size], (uids, number)
            assert b"".join(client.iter_instance_frames(*uids, frame_numbers=[1])) == frames[-1]
            refused(404, client.retrieve_instance_frames, *uids, frame_numbers=[count + 1])
            refused(400, client.retrieve_instance_frames, *uids, frame_numbers=[1, 1])
            refused(406, client.retrieve_instance_frames, *uids, frame_numbers=[1], media_types=(("image/jls", "1.2.840.10008.1.2.4.80"),))
        metadata = client.retrieve_instance_metadata(*uids)
        read = Dataset.from_json(metadata, bulk_data_uri_handler=lambda _: b"")
        assert read.SOPInstanceUID == ds.SOPInstanceUID
        series = client.retrieve_series_metadata(*uids[:2])
        assert {value(row, "SOPInstanceUID") for row in series} == {
            other.SOPInstanceUID for other in sets if other.SeriesInstanceUID == ds.SeriesInstanceUID}
    one = sets[0]
    uids = (one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
    uri = client.retrieve_instance_metadata(*uids)["00991001"]["BulkDataURI"]
    assert uri.startswith("http://127.0.0.1"), uri
    assert client.retrieve_bulkdata(uri) == [BULK]
    assert b"".join(client.iter_bulkdata(uri)) == BULK
    refused(404, client.retrieve_bulkdata, uri[:-32] + "0" * 32)
    refused(404, client.retrieve_instance, *uids[:2], generate_uid())
    refused(404, client.retrieve_instance_metadata, generate_uid(), *uids[1:])
    of_study = {ds.SOPInstanceUID: ds for ds in sets if ds.StudyInstanceUID == one.StudyInstanceUID}
    of_series = {uid: ds for uid, ds in of_study.items() if ds.SeriesInstanceUID == one.SeriesInstanceUID}
    stored = {"media_types": (("application/dicom", "*"),)}
    for expected, whole in (
            (of_study, client.retrieve_study(*uids[:1])), (of_study, list(client.iter_study(*uids[:1], **stored))),
            (of_series, client.retrieve_series(*uids[:2], **stored)), (of_series, list(client.iter_series(*uids[:2])))):
        assert sorted(ds.SOPInstanceUID for ds in whole) == sorted(expected)
        for ds in whole:
            if "PixelData" in expected[ds.SOPInstanceUID]:
                same_pixels(expected[ds.SOPInstanceUID], ds)
    metadata = client.retrieve_study_metadata(*uids[:1])
    assert sorted(value(row, "SOPInstanceUID") for row in metadata) == sorted(of_study)
    for call, arguments in ((client.retrieve_study, 1), (client.retrieve_study_metadata, 1), (client.retrieve_series, 2)):
        refused(404, call, *[generate_uid() for _ in range(arguments)])
    for call, arguments in ((client.delete_study, uids[:1]), (client.delete_series, uids[:2]), (client.delete_instance, uids)):
        refused(405, call, *arguments)
    shown = next(ds for ds in sets if "PixelData" in ds)
    shown = shown.StudyInstanceUID, shown.SeriesInstanceUID, shown.SOPInstanceUID
    picture = client.retrieve_instance_frames_rendered(*shown, frame_numbers=[1], media_types=("image/png",))
    assert picture.startswith(b"\x89PNG"), picture[:8]


def not_primary(ahi, store_id, client, ds):
    """A copy is not primary: it is seen only by its image set."""
    uids = (ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID)
    criteria = {"filters": [{"values": [{"DICOMSeriesInstanceUID": ds.SeriesInstanceUID}], "operator": "EQUAL"}]}
    found = ahi.search_image_sets(datastoreId=store_id, searchCriteria=criteria)["imageSetsMetadataSummaries"][0]
    made = ahi.copy_image_set(
        datastoreId=store_id, sourceImageSetId=found["imageSetId"],
        copyImageSetInformation={"sourceImageSet": {"latestVersionId": str(found["version"])}})
    copy = made["destinationImageSetProperties"]["imageSetId"]
    for one in (copy, found["imageSetId"]):
        unlocked(ahi, datastoreId=store_id, imageSetId=one)
    of_copy = {"additional_params": {"imageSetId": copy}}
    metadata = client.retrieve_instance_metadata(*uids, **of_copy)
    assert client.retrieve_bulkdata(metadata["00991001"]["BulkDataURI"]) == [BULK]
    same_pixels(ds, client.retrieve_instance(*uids, **of_copy))
    unknown = {"additional_params": {"imageSetId": "0" * 32}}
    refused(404, client.retrieve_instance, *uids, **unknown)


def plainly(base, ds, **named):
    """What clients without a library send: no Accept at all, one file as a body, a presigned address."""
    path = f"{base}/studies/{ds.StudyInstanceUID}/series/{ds.SeriesInstanceUID}"
    for place in (f"{path}/metadata", f"{path}/instances/{ds.SOPInstanceUID}", f"{path}/instances/{ds.SOPInstanceUID}/metadata",
                  f"{path}/instances/{ds.SOPInstanceUID}/frames/1", f"{base}/studies", f"{path}/instances"):
        answer = requests.get(place, headers={"Accept": None}, **named)
        assert answer.status_code == 200 and answer.headers["x-amzn-RequestId"], (place, answer.text)
    ohif = ", ".join(f"multipart/related; type={kind}; transfer-syntax={syntax}" for kind, syntax in (
        ("image/jphc", HTJ2KLosslessRPCL), ("image/jp2", "1.2.840.10008.1.2.4.90"), ("image/jpeg", "1.2.840.10008.1.2.4.50"),
        ("application/octet-stream", ExplicitVRLittleEndian)))
    frame = requests.get(f"{path}/instances/{ds.SOPInstanceUID}/frames/1", headers={"Accept": ohif}, **named)
    assert f"\r\nContent-Location: {path}/instances/{ds.SOPInstanceUID}/frames/1\r\n".encode() in frame.content, frame.content[:500]
    assert 'type="image/jphc"' in frame.headers["Content-Type"] and b"\r\n\r\n\xff\x4f\xff\x51" in frame.content, frame.headers
    told = requests.get(f"{path}/instances/{ds.SOPInstanceUID}", headers={"Accept": "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80"}, **named)
    assert told.status_code == 406 and told.headers["x-amzn-ErrorType"] == "NotAcceptableException" and "1.2.840" in told.json()["message"]
    single = requests.get(f"{path}/instances/{ds.SOPInstanceUID}", headers={"Accept": "application/dicom; transfer-syntax=*"}, **named)
    assert single.headers["Content-Type"].startswith("application/dicom; transfer-syntax="), single.headers
    same_pixels(ds, pydicom.dcmread(io.BytesIO(single.content)))
    again = requests.post(f"{base}/studies", data=single.content, headers={"Content-Type": "application/dicom"}, **named)
    assert again.status_code in (200, 202) and "00081199" in again.json(), again.text
    bad = requests.post(f"{base}/studies", data=b"no DICOM", headers={"Content-Type": "application/dicom"}, **named)
    assert bad.status_code == 409 and bad.json()["0008119A"]["Value"][0]["00081197"]["Value"], bad.text
    boundary = b"--b\r\nContent-Type: application/dicom\r\n\r\n"
    body = boundary + single.content + b"\r\n" + boundary + b"no DICOM\r\n--b--\r\n"
    partly = requests.post(f"{base}/studies", data=body, headers={"Content-Type": "multipart/related; boundary=b"}, **named)
    assert partly.status_code == 202 and {"0008119A", "00081199"} <= set(partly.json()), partly.text
    other = requests.post(f"{base}/studies", data=b"{}", headers={"Content-Type": "application/dicom+json"}, **named)
    assert other.status_code == 415, other.text
    long = b"b" * 73
    stored = requests.post(f"{base}/studies", data=b"--" + long + b"\r\n\r\n" + single.content + b"\r\n--" + long + b"--\r\n", headers={
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={long.decode()}', "Accept": "application/dicom+xml"}, **named)
    assert stored.status_code in (200, 202) and 'tag="00081199"' in stored.text, stored.text
    packed = requests.post(f"{base}/studies", data=b"", headers={"Content-Type": "application/dicom", "Content-Encoding": "gzip"}, **named)
    assert packed.status_code == 415, packed.text
    unnamed = pydicom.dcmread(io.BytesIO(single.content))
    unnamed.StudyInstanceUID = ""
    written = io.BytesIO()
    unnamed.save_as(written)
    failed = requests.post(f"{base}/studies", data=written.getvalue(), headers={"Content-Type": "application/dicom"}, **named)
    item = Dataset.from_json(failed.json()).FailedSOPSequence[0]
    assert (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID) == (ds.SOPClassUID, ds.SOPInstanceUID), item
    for query in ("?_=1", "?accept=application%2Fdicom%2Bjson", "?ModalitiesInStudy=XX%5C" + ds.Modality, "/"):
        found = requests.get(f"{base}/studies{query}", headers={"Accept": "*/*"}, **named)
        assert found.status_code == 200 and found.json(), (query, found.text)
    refused_method = requests.put(f"{base}/studies", **named)
    assert refused_method.status_code == 405 and "GET" in refused_method.headers["Allow"], refused_method.headers
    found = requests.get(f"{base}/studies", headers={"X-Forwarded-Host": "pacs.example.org", "X-Forwarded-Proto": "https"}, **named)
    assert value(found.json()[0], "RetrieveURL").startswith("https://pacs.example.org/datastore/"), found.text
    known = requests.get(f"{path}/metadata", **named)
    again = requests.get(f"{path}/metadata", headers={"If-None-Match": known.headers["ETag"]}, **named)
    assert again.status_code == 304 and not again.content, again.text
    cut = requests.post(f"{base}/studies", data=body[:-20], headers={"Content-Type": "multipart/related; boundary=b"}, **named)
    assert cut.status_code == 400, cut.text
    return single.content


def signed_by_hand(address, base, file):
    """Presigned addresses, and a body in signed chunks; both are refused when something was changed."""
    def presigned(secret=SECRET, expires=60):
        asked = AWSRequest("GET", f"http://{address}{base}/studies?limit=1")
        SigV4QueryAuth(Credentials(KEY, secret), "medical-imaging", "us-east-1", expires=expires).add_auth(asked)
        return asked.url
    assert requests.get(presigned()).status_code == 200
    assert requests.get(presigned(secret="another-secret-of-20")).status_code == 403
    assert requests.get(presigned().replace("limit=1", "limit=2")).status_code == 403
    missing = requests.get(f"http://{address}{base}/studies")
    assert missing.status_code == 401 and "AWS4-HMAC-SHA256" in missing.headers["WWW-Authenticate"]
    assert missing.headers["x-amzn-ErrorType"] == "MissingAuthenticationTokenException"

    now = datetime.datetime.now(datetime.timezone.utc)
    assert chunked(address, base, file, now) == (200, None)
    assert chunked(address, base, file, now, forge=lambda data: data[:-1] + b"\0")[0] == 403
    assert chunked(address, base, file, now, cut=True)[0] == 403
    old = chunked(address, base, file, now - datetime.timedelta(minutes=16))
    assert old == (403, "InvalidSignatureException"), old


def chunked(address, base, file, now, forge=lambda data: data, cut=False):
    """STOW in chunks of 64 KiB, signed by hand (AWS: Signature Calculations: Transferring Payload in Multiple Chunks)."""
    moment, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    scope = f"{day}/us-east-1/medical-imaging/aws4_request"
    key = f"AWS4{SECRET}".encode()
    for part in (day, "us-east-1", "medical-imaging", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    sign = lambda text: hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    digest = lambda data: hashlib.sha256(data).hexdigest()
    headers = {
        "content-encoding": "aws-chunked", "content-type": "application/dicom", "host": address,
        "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-date": moment,
        "x-amz-decoded-content-length": str(len(file))}
    names = ";".join(sorted(headers))
    canonical = "\n".join([
        "POST", f"{base}/studies", "", *(f"{name}:{headers[name]}" for name in sorted(headers)), "", names,
        headers["x-amz-content-sha256"]])
    last = sign(f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest(canonical.encode())}")
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={KEY}/{scope}, SignedHeaders={names}, Signature={last}"
    body = b""
    for start in range(0, len(file) + 65536, 65536):
        data = file[start:start + 65536]
        last = sign(f"AWS4-HMAC-SHA256-PAYLOAD\n{moment}\n{scope}\n{last}\n{digest(b'')}\n{digest(data)}")
        sent = forge(data) if start == 0 else data
        if not (cut and not data):
            body += f"{len(data):x};chunk-signature={last}\r\n".encode() + sent + b"\r\n"
        if not data:
            break
    if cut:
        body += f"0;chunk-signature={'0' * 64}\r\n\r\n".encode()
    host, port = address.split(":")
    connection = http.client.HTTPConnection(host, int(port))
    connection.request("POST", f"{base}/studies", body, headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["x-amzn-ErrorType"]


def whole(address, sets, **named):
    session = requests.Session()
    session.auth = named.get("auth")
    session.headers.update(named.get("headers", {}))
    ahi, made = datastore(address)
    base = f"http://{address}/datastore/{made}"
    client = DICOMwebClient(base, session=session)
    client.set_http_retry_params(retry=False)
    store(client, sets)
    search(client, sets)
    retrieve(client, sets)
    not_primary(ahi, made, client, sets[0])
    return base


def main(folder):
    sets = data_sets(folder)
    with served() as address:
        base = whole(address, sets)
        plainly(base, sets[0])
        print(f"open server: {len(sets)} instances stored, found and retrieved")
    keys = {"HEALTHIMAGING_HTTP_ACCESS_KEYS": f"{KEY}:{SECRET}", "HEALTHIMAGING_HTTP_TOKEN": TOKEN}
    with served(**keys) as address:
        base = whole(address, sets, auth=Signed())
        file = plainly(base, sets[0], auth=Signed())
        signed_by_hand(address, base[len(f"http://{address}"):], file)
        print("signatures checked: the same, presigned addresses, and chunks")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        assert requests.get(f"{base}/studies", headers=bearer).status_code == 200
        wrong = requests.get(f"{base}/studies", headers={"Authorization": "Bearer wrong"})
        assert wrong.status_code == 403 and wrong.headers["x-amzn-ErrorType"] == "AccessDeniedException"
        print("bearer token: let in and refused")


if __name__ == "__main__":
    main(sys.argv[1])
