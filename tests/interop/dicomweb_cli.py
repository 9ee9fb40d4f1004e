"""The command line of dicomweb-client: every sub-command that works, on phantoms.

`dicomweb_cli.py FOLDER`: what it stores, finds and retrieves is compared with the files, which pydicom reads.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import pydicom
from dicomweb_client.api import DICOMwebClient
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from rendered import create_datastore
from served import served
from store import files_of

#: Long enough to be bulk data.
BULK = bytes(range(256)) * 5000


def with_bulk(folder, source):
    """A file with a long private value."""
    found = pydicom.dcmread(source)
    block = found.private_block(0x0011, "BULK", create=True)
    block.add_new(1, "OB", BULK)
    found.SOPInstanceUID = found.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    found.InstanceNumber = 900
    found.save_as(folder / "bulk.dcm", enforce_file_format=True)
    return folder / "bulk.dcm"


def main(scans):
    files = [pathlib.Path(path) for path in files_of([scans])][:6]
    with served() as address:
        made = create_datastore(f"http://{address}")
        url = f"http://{address}/datastore/{made}"

        def run(*words, folder="."):
            command = [pathlib.Path(sys.executable).parent / "dicomweb_client", "--url", url, *map(str, words)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=100)
            assert done.returncode == 0, (words, done.stderr[-2000:])
            return done.stdout

        with tempfile.TemporaryDirectory() as place:
            place = pathlib.Path(place)
            files.append(with_bulk(place, files[0]))
            run("store", "instances", *files)
            expected = {found.SOPInstanceUID: found for found in map(pydicom.dcmread, files)}
            first = pydicom.dcmread(files[0])
            study, series, sop = first.StudyInstanceUID, first.SeriesInstanceUID, first.SOPInstanceUID
            run("store", "instances", "--study", study, files[0])
            of_study = [one for one in expected.values() if one.StudyInstanceUID == study]
            of_series = [one for one in of_study if one.SeriesInstanceUID == series]

            for level, tag, wanted in (("studies", "0020000D", {one.StudyInstanceUID for one in expected.values()}),
                                       ("series", "0020000E", {one.SeriesInstanceUID for one in expected.values()}),
                                       ("instances", "00080018", set(expected))):
                found = json.loads(run("search", level))
                assert {one[tag]["Value"][0] for one in found} == wanted, level
                assert len(json.loads(run("search", level, "--limit", 1, "--offset", 0))) == 1
                found = json.loads(run("search", level, "--filter", f"StudyInstanceUID={study}", "--field", "PatientName", "--fuzzy"))
                assert found and all("00100010" in one for one in found), level
                assert study in run("search", level, "--filter", f"StudyInstanceUID={study}", "--dicomize")
                assert json.loads(run("search", level, "--prettify"))

            of_instance = ["--study", study, "--series", series, "--instance", sop]
            for words, wanted in ((["studies", "--study", study], of_study), (["series", *of_instance[:4]], of_series),
                                  (["instances", *of_instance], [first])):
                found = json.loads(run("retrieve", *words, "metadata"))
                found = found if isinstance(found, list) else [found]
                assert {one["00080018"]["Value"][0] for one in found} == {one.SOPInstanceUID for one in wanted}, words
                with tempfile.TemporaryDirectory() as out:
                    run("retrieve", *words, "full", "--save", "--output-dir", out)
                    saved = [pydicom.dcmread(path) for path in pathlib.Path(out).rglob("*") if path.is_file()]
                    assert {one.SOPInstanceUID for one in saved} == {one.SOPInstanceUID for one in wanted}, words
                    for one in saved:
                        source = expected[one.SOPInstanceUID]
                        assert (one.pixel_array == source.pixel_array).all() and one.PatientName == source.PatientName
            with tempfile.TemporaryDirectory() as out:
                run("retrieve", "instances", *of_instance, "frames", "--numbers", 1, "--save", "--output-dir", out,
                    "--media-type", "application/octet-stream", ExplicitVRLittleEndian)
                saved = [path.read_bytes() for path in pathlib.Path(out).rglob("*") if path.is_file()]
                assert saved == [first.PixelData], [len(one) for one in saved]
            bulky = next(one for one in expected.values() if one.InstanceNumber == 900)
            found = json.loads(run("retrieve", "instances", "--study", bulky.StudyInstanceUID, "--series", bulky.SeriesInstanceUID,
                                   "--instance", bulky.SOPInstanceUID, "metadata"))
            found = found[0] if isinstance(found, list) else found
            assert isinstance(Dataset.from_json(found, lambda *_: b""), Dataset)
            uri = found["00111001"]["BulkDataURI"]
            # `retrieve bulkdata` of 0.61.2 fails by itself: it reads an option by another name than it stores it.
            assert DICOMwebClient(url).retrieve_bulkdata(uri) == [BULK]
    print("the command line of dicomweb-client: store, 3 searches with all options, 6 retrievals, bulk data")


if __name__ == "__main__":
    main(sys.argv[1])
