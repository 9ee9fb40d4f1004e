"""The calls of 3D Slicer to a DICOMweb server, in its order, by the library that it uses (dicomweb-client).

`slicer.py FOLDER`: the extension DICOMwebBrowser (lists of studies and series; instances one by one), and
`DICOMUtils.importFromDICOMWeb` (series in one request, or one by one), on an open server and with a token. Every file that Slicer
would save has the pixels of its source.
"""

import io
import pathlib
import sys

import pydicom
from dicomweb_client.api import DICOMwebClient

from rendered import create_datastore
from served import served
from store import files_of
from web_client import same_pixels

TOKEN = "a-token-of-the-interop-tests"
# Files that are stored.
COUNT = 24


def saved(found):
    """What Slicer's database reads of the file that it saves."""
    file = io.BytesIO()
    found.save_as(file)
    return pydicom.dcmread(io.BytesIO(file.getvalue()))


def value(found, tag):
    return found[tag]["Value"][0]


def browsed(client):
    """All studies, page by page until one is empty, their series, and each instance of these."""
    studies, offset = [], 0
    while subset := client.search_for_studies(offset=offset):
        assert subset[0] not in studies, "the offset is respected"
        studies.extend(subset)
        offset += len(subset)
    for study in studies:
        # The columns of its table: texts, which it joins.
        assert value(study, "00100010")["Alphabetic"] and ", ".join(study["00080061"]["Value"]), study
        uid = value(study, "0020000D")
        for series in client.search_for_series(uid):
            assert isinstance(value(series, "00200011"), int) and value(series, "00080060"), series
            series_uid = value(series, "0020000E")
            for instance in client.search_for_instances(study_instance_uid=uid, series_instance_uid=series_uid):
                yield client.retrieve_instance(
                    study_instance_uid=uid, series_instance_uid=series_uid, sop_instance_uid=value(instance, "00080018"))


def imported(client, study, is_bulk):
    """`importFromDICOMWeb`, with its `bulkRetrieve` or without."""
    for series in client.search_for_series(study_instance_uid=study):
        uid = value(series, "0020000E")
        metadata = client.retrieve_series_metadata(study_instance_uid=study, series_instance_uid=uid)
        if is_bulk:
            instances = list(client.iter_series(study_instance_uid=study, series_instance_uid=uid))
        else:
            instances = [client.retrieve_instance(study, uid, value(one, "00080018")) for one in metadata]
        assert len(instances) == len(metadata), "its progress counts the metadata"
        yield from instances


def main(folder):
    sources = {found.SOPInstanceUID: found for found in map(pydicom.dcmread, list(files_of([folder]))[:COUNT])}
    studies = sorted({found.StudyInstanceUID for found in sources.values()})
    for secret, headers in (({}, {}), ({"HEALTHIMAGING_HTTP_TOKEN": TOKEN}, {"Authorization": f"Bearer {TOKEN}"})):
        with served(**secret) as address:
            made = create_datastore(f"http://{address}", headers)
            client = DICOMwebClient(url=f"http://{address}/datastore/{made}", headers=headers)
            client.store_instances(list(sources.values()))
            for name, found in (
                    ("DICOMwebBrowser", browsed(client)),
                    *((f"importFromDICOMWeb, bulkRetrieve={is_bulk}", (one for study in studies for one in imported(client, study, is_bulk)))
                      for is_bulk in (True, False))):
                seen = set()
                for one in map(saved, found):
                    seen.add(one.SOPInstanceUID)
                    source = sources[one.SOPInstanceUID]
                    assert str(one.PatientName) == str(source.PatientName), "the name of the patient"
                    if "PixelData" in source:
                        same_pixels(source, one)
                assert seen == set(sources), (name, len(seen))
    print(f"3D Slicer's calls: {len(sources)} instances of {len(studies)} studies listed, retrieved and saved")


if __name__ == "__main__":
    main(sys.argv[1])
