"""AHItoDICOMInterface pulls whole series from `serve --http` and saves them; pydicom compares them with their source."""

import os
import pathlib
import shutil
import sys

import numpy
import pydicom
from AHItoDICOMInterface.AHItoDICOM import AHItoDICOM
from sdk import REGION, image_sets, imported, medical_imaging
from served import KEY, SECRET, served


def source(folder):
    """The data sets of the folder, by SOP instance UID; each has pixels."""
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    sets = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, files)}
    assert sets and all("PixelData" in one for one in sets.values())
    return sets


def saved(puller, pulled, folder):
    """What was pulled, as it is read from the file that it was saved in."""
    assert puller.saveAsDICOM(pulled, str(folder))
    return pydicom.dcmread(folder / f"{pulled.SOPInstanceUID}.dcm")


def same(one, other):
    for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns", "BitsStored", "Modality"):
        assert one[keyword].value == other[keyword].value, (one.SOPInstanceUID, keyword)
    assert numpy.array_equal(one.pixel_array, other.pixel_array), one.SOPInstanceUID


def main(folder):
    folder = pathlib.Path(folder).resolve()
    output = folder.parent / "ahi-output"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir()
    sets = source(folder)
    with served(allow=[folder, output], HEALTHIMAGING_HTTP_ACCESS_KEYS=f"{KEY}:{SECRET}") as address:
        endpoint = f"http://{address}"
        ahi = medical_imaging(endpoint, inject_host_prefix=False)
        datastore = imported(ahi, folder, output)
        # Given keys, it would sign the fetching of frames with the key's id in place of the secret.
        os.environ.update(AWS_DISABLE_HOST_PREFIX_INJECTION="true", AWS_DEFAULT_REGION=REGION,
                          AWS_ACCESS_KEY_ID=KEY, AWS_SECRET_ACCESS_KEY=SECRET)
        puller = AHItoDICOM(AHI_endpoint=endpoint, fetcher_process_count=2, dicomizer_process_count=2)
        seen = set()
        for row in image_sets(ahi, datastore):
            for pulled in puller.DICOMizeImageSet(datastore_id=datastore, image_set_id=row["imageSetId"]):
                same(sets[pulled.SOPInstanceUID], saved(puller, pulled, output / "pulled"))
                seen.add(pulled.SOPInstanceUID)
        assert seen == set(sets), set(sets) - seen
        print(f"{len(seen)} instances pulled and saved; every pixel as in its source")
        study = next(iter(sets.values())).StudyInstanceUID
        of_study = [one for one in sets.values() if one.StudyInstanceUID == study]
        series = puller.getImageSetToSeriesUIDMap(datastore, study)
        assert {one["SeriesInstanceUID"] for one in series} == {one.SeriesInstanceUID for one in of_study}, series
        whole = puller.DICOMizeByStudyInstanceUID(datastore_id=datastore, study_instance_uid=study, header_only=True)
        assert {one.SOPInstanceUID for one in whole} == {one.SOPInstanceUID for one in of_study}
        print(f"the headers of a study of {len(whole)} instances pulled")


if __name__ == "__main__":
    main(sys.argv[1])
