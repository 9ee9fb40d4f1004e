"""GetImageSetMetadata of a large image set, whose document is stored in blocks, is one gzip member: Python, curl, Node and
Chromium (fetch, and DecompressionStream) read the same whole document of it.

`one_member.py PLACE`: PLACE is where the packages were installed.
"""

import gzip
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.request
import zlib

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from served import BINARY, served

COUNT = 700


def write(folder):
    for number in range(1, COUNT + 1):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66"
        meta.MediaStorageSOPInstanceUID = f"2.25.1.1.{number}"
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        raw = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        raw.SOPClassUID, raw.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
        raw.PatientName, raw.PatientID = "Größe^Ä", "P-1"
        raw.SpecificCharacterSet = "ISO_IR 192"
        raw.StudyInstanceUID, raw.SeriesInstanceUID, raw.Modality = "2.25.1", "2.25.1.1", "OT"
        raw.InstanceNumber = number
        raw.save_as(folder / f"{number}.dcm", enforce_file_format=True)


def run(data, *words):
    command = [BINARY, "--backend", "local", "--data-dir", data, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def main(place):
    place = pathlib.Path(place)
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as files:
        write(pathlib.Path(files))
        run(data, "import", "--datastore", "blocks", files)
        (found,) = json.loads(run(data, "call", "search_image_sets", '{"datastore_id": "blocks"}'))[
            "image_sets_metadata_summaries"]
        with served(data=data) as address:
            stores = json.load(urllib.request.urlopen(f"http://{address}/datastore"))["datastoreSummaries"]
            store, image_set = stores[0]["datastoreId"], found["image_set_id"]
            url = f"http://{address}/datastore/{store}/imageSet/{image_set}/getImageSetMetadata"
            with urllib.request.urlopen(urllib.request.Request(url, b"{}")) as answer:
                assert answer.headers["Content-Encoding"] == "gzip"
                packed = answer.read()
            # A decoder of one member, which leaves what is behind it.
            decoder = zlib.decompressobj(wbits=31)
            text = decoder.decompress(packed) + decoder.flush()
            assert decoder.eof and decoder.unused_data == b""
            assert text == gzip.decompress(packed)
            instances = json.loads(text)["Study"]["Series"]["2.25.1.1"]["Instances"]
            assert list(instances) == [f"2.25.1.1.{number}" for number in range(1, COUNT + 1)]
            curl = ["curl", "-sS", "--compressed", "--fail", "-d", "{}", url]
            assert subprocess.run(curl, check=True, capture_output=True).stdout == text
            digest = hashlib.sha256(text).hexdigest()
            for script in ["chromium.mjs", "one_member.mjs"]:
                shutil.copy(HERE / script, place)
            node = [place / "node_modules/.bin/node", "one_member.mjs", address, url, digest]
            subprocess.run(node, cwd=place, check=True, timeout=200)
    print(f"{COUNT} instances, {len(packed)} bytes: Python, curl, Node and Chromium read {len(text)} bytes of one member")


main(*sys.argv[1:])
