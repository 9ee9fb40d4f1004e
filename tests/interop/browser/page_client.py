"""dicomweb-client of JavaScript, of which OHIF and VolView are made, in a page of another origin in Chromium: page_client.mjs.

`page_client.py PLACE FOLDER`: PLACE is where the packages were installed. The page stores the files of the folder, searches and
retrieves them; what it retrieved is compared with what pydicom reads in the files.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import pydicom
from pydicom.encaps import generate_frames

from rendered import create_datastore
from served import served
from store import files_of
from web_client import same_pixels

TOKEN = "a-token-of-the-browser-tests"
# Files that are stored, and the size of a value that metadata refers to.
COUNT, BULK = 8, bytes(range(256)) * 5000


def sources(folder):
    """Files with an image, the first with a large private value."""
    found = [one for one in map(pydicom.dcmread, files_of([folder])) if "PixelData" in one and one.Rows <= 512]
    studies = {one.StudyInstanceUID: [] for one in found}
    for one in found:
        studies[one.StudyInstanceUID].append(one)
    found = [one for of_study in studies.values() for one in of_study[:2]][:COUNT]
    found[0].private_block(0x0099, "INTEROP", create=True).add_new(0x01, "OB", BULK)
    return found


def described(index, one):
    """What the page needs to know of a file."""
    frame = one.pixel_array[0] if int(one.get("NumberOfFrames", 1)) > 1 else one.pixel_array
    return {"study": one.StudyInstanceUID, "series": one.SeriesInstanceUID, "instance": one.SOPInstanceUID, "file": f"{index}.dcm",
            "modality": one.Modality, "patient": str(one.PatientName), "columns": one.Columns, "rows": one.Rows,
            "frame": base64.b64encode(frame.tobytes()).decode()}


def check(address, place, found, headers):
    made = create_datastore(f"http://{address}", headers)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        for index, one in enumerate(found):
            one.save_as(work / f"{index}.dcm", enforce_file_format=True)
        known = [described(index, one) for index, one in enumerate(found)]
        (work / "known.json").write_text(json.dumps(known))
        node = place / "node_modules/.bin/node"
        subprocess.run([node, "page_client.mjs", f"http://{address}/datastore/{made}", work, json.dumps(headers)], cwd=place, check=True,
                       timeout=200)
        by_uid = {one.SOPInstanceUID: one for one in found}
        for way in ("instance", "series", "study"):
            back = {path.stem: pydicom.dcmread(path) for path in (work / way).glob("*.dcm")}
            assert {one.SOPInstanceUID for one in back.values()} == set(by_uid), (way, len(back))
            for one in back.values():
                source = by_uid[one.SOPInstanceUID]
                same_pixels(source, one)
                assert str(one.PatientName) == str(source.PatientName)
        stored = {path.stem: path.read_bytes() for path in (work / "frames").iterdir()}
        for uid, frame in stored.items():
            of_file = pydicom.dcmread(next(path for path in (work / "stored").iterdir() if path.stem == uid))
            if of_file.file_meta.TransferSyntaxUID.is_encapsulated:
                count = int(of_file.get("NumberOfFrames", 1))
                expected = next(generate_frames(of_file.PixelData, number_of_frames=count))
            else:
                expected = of_file.PixelData[:len(frame)]
            # The last byte of a fragment may be padding.
            assert frame.rstrip(b"\0") == expected.rstrip(b"\0"), uid
        assert set(stored) == set(by_uid)


def main(place, folder):
    place = pathlib.Path(place)
    for script in ("chromium.mjs", "page_client.mjs"):
        # Modules are looked for beside the script.
        shutil.copy(HERE / script, place)
    (place / "pictures").mkdir(exist_ok=True)
    found = sources(folder)
    with served() as address:
        check(address, place, found, {})
    with served(HEALTHIMAGING_HTTP_TOKEN=TOKEN) as address:
        check(address, place, found[:2], {"Authorization": f"Bearer {TOKEN}"})
    print(f"dicomweb-client of JavaScript: {len(found)} instances stored, found, retrieved and rendered")


main(*sys.argv[1:])
