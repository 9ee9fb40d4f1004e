#!/usr/bin/env python3
"""Compares rendered resources of DICOMweb with pictures of pydicom, numpy and dcmtk, and with what dicomweb-client reads.

    rendered.py <file or folder> ...

Each file is stored by STOW-RS. The first, the middle and the last frame are retrieved as PNG: as the file is to be
shown, through a window of the query, and a region of it. Levels may be one apart. Prints one line a difference and a
count; exit status 1 when anything differs.
"""

import json
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from dicomweb_client import DICOMwebClient

from pictures import allowed, apart, compared, described, padded, read_png
from pydicom.pixels import apply_modality_lut, pixel_array
from requests import HTTPError
from served import served
from store import files_of

PNG = {"Accept": "image/png"}


def get(url, headers):
    """The status and body of a request."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def post(url, body, headers):
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def create_datastore(base, headers=None):
    """The id of a new data store that is active; the headers are those of who may create it."""
    body = json.dumps({"datastoreName": "rendered", "clientToken": "1"}).encode()
    headers = headers or {}
    request = urllib.request.Request(f"{base}/datastore", data=body, headers={"Content-Type": "application/json", **headers})
    with urllib.request.urlopen(request) as answer:
        datastore = json.load(answer)["datastoreId"]
    while json.loads(get(f"{base}/datastore/{datastore}", headers)[1])["datastoreProperties"]["datastoreStatus"] != "ACTIVE":
        time.sleep(0.1)
    return datastore


def windowed(file, frame, samples, center, width):
    """LINEAR of PS3.3 C.11.2.1.2.1, by numpy."""
    values = apply_modality_lut(samples, described(file, frame)).astype("float64")
    levels = np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    if file.PhotometricInterpretation == "MONOCHROME1":
        levels = 255 - levels
    padding = padded(file, samples)
    return levels if padding is None else np.where(padding, 0, levels)


def is_plain_gray(file):
    """Whether a window of the query says all about its levels."""
    odd = ("ModalityLUTSequence", "PresentationLUTShape", "SharedFunctionalGroupsSequence", "DoseGridScaling")
    return (
        file.PhotometricInterpretation.startswith("MONOCHROME")
        and file.get("BitsAllocated") in (8, 16)
        and not any(name in file for name in odd)
        and not str(file.get("SOPClassUID", "")).startswith("1.2.840.10008.5.1.4.1.1.12.")
        and "PixelPresentation" not in file
    )


def has_overlays(file):
    return any(0x6000 <= tag.group < 0x6020 for tag in file.keys())


def check(root, path, folder, count):
    file = pydicom.dcmread(path, force=True)
    if post(f"{root}/studies", path.read_bytes(), {"Content-Type": "application/dicom"}) not in (200, 202):
        count["files that are not stored"] += 1
        return
    instance = (
        f"{root}/studies/{file.StudyInstanceUID}/series/{file.SeriesInstanceUID}/instances/{file.SOPInstanceUID}"
    )
    if not any(name in file for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        status, _ = get(f"{instance}/rendered", PNG)
        # An instance that differs from its series is not in the primary hierarchy.
        if status not in (404, 406):
            yield f"without pixels: status {status}"
        count["files without pixels"] += 1
        return
    frames = int(file.get("NumberOfFrames", 1) or 1)
    for frame in sorted({0, frames // 2, frames - 1}):
        url = f"{instance}/frames/{frame + 1}/rendered"
        status, picture = get(url, PNG)
        if status != 200:
            count[f"frames that are refused with {status}"] += 1
            print(f"refused  {path.name} frame {frame + 1}: {status} {picture[:150]}")
            continue
        target = Path(folder) / "ours.png"
        target.write_bytes(picture)
        picture = read_png(target)
        if picture.shape[:2] != (file.Rows, file.Columns):
            count["frames scaled to square pixels"] += 1
            continue
        if has_overlays(file):
            count["frames with overlays, which are drawn"] += 1
        else:
            yield from compared(file, path, frame, picture, folder, count)
        if is_plain_gray(file):
            yield from with_query(file, path, frame, url, folder, count)


def with_query(file, path, frame, url, folder, count):
    """A window and a region of the query, against numpy."""
    try:
        samples = pixel_array(path, index=frame, raw=True)
    except Exception:  # noqa: BLE001 - whatever the stranger says
        count["frames refused by pydicom"] += 1
        return
    values = apply_modality_lut(samples, described(file, frame)).astype("float64")
    low, high = np.percentile(values, [20, 80])
    center, width = round((low + high) / 2, 1), max(round(high - low), 2)
    wanted = windowed(file, frame, samples, center, width)
    rows, columns = wanted.shape[0] // 2, wanted.shape[1] // 2
    for query, expected in (
        ("", wanted),
        (f"&viewport={columns},{rows},{columns // 2},{rows // 2},{columns},{rows}",
         wanted[rows // 2 : rows // 2 + rows, columns // 2 : columns // 2 + columns]),
        (f"&viewport={wanted.shape[1]},{wanted.shape[0]},0,0,-{wanted.shape[1]}", wanted[:, ::-1]),
    ):
        status, picture = get(f"{url}?window={center},{width},linear{query}", PNG)
        if status != 200:
            yield f"frame {frame + 1}: {status} with {query}"
            continue
        target = Path(folder) / "ours.png"
        target.write_bytes(picture)
        far = apart(read_png(target), expected)
        if has_overlays(file):
            count["windows under overlays"] += 1
        elif isinstance(far, str) or far > allowed_window(file, width):
            yield f"frame {frame + 1}: window {center},{width}{query}: {far} apart"
        else:
            count["windows and regions the same as numpy's"] += 1


def allowed_window(file, width):
    """Lossy JPEG decoders differ by a step, which a narrow window makes larger."""
    return max(allowed(file), 1 + 255 / width) if allowed(file) > 1.5 else allowed(file)


def by_client(root, count):
    """dicomweb-client retrieves what it has methods for."""
    client = DICOMwebClient(root, permissive_uid=True)
    for study in client.search_for_studies(limit=20):
        study_uid = study["0020000D"]["Value"][0]
        for series in client.search_for_series(study_uid, limit=3):
            series_uid = series["0020000E"]["Value"][0]
            for one in client.search_for_instances(study_uid, series_uid, limit=1):
                ids = (study_uid, series_uid, one["00080018"]["Value"][0])
                if "00280010" not in one:
                    continue
                try:
                    whole = client.retrieve_instance_rendered(*ids, media_types=("image/png",))
                    frame = client.retrieve_instance_frames_rendered(*ids, [1], media_types=("image/jpeg",))
                except HTTPError as error:
                    count[f"pictures that dicomweb-client is refused with {error.response.status_code}"] += 1
                    continue
                for picture in (whole, frame):
                    imagecodecs.imread(picture)
                count["pictures read by dicomweb-client"] += 2
    return count["pictures read by dicomweb-client"] > 0


def main():
    count, bad = Counter(), 0
    with tempfile.TemporaryDirectory() as folder, served() as address:
        base = f"http://{address}"
        root = f"{base}/datastore/{create_datastore(base)}"
        for path in files_of(sys.argv[1:]):
            try:
                for line in check(root, path, folder, count):
                    print(f"{path}: {line}")
                    bad += 1
            except (AttributeError, KeyError) as error:
                count[f"files that pydicom cannot describe ({type(error).__name__})"] += 1
        if not by_client(root, count):
            bad += 1
            print("dicomweb-client read no picture")
    for what, number in sorted(count.items()):
        print(f"{number} {what}")
    print(f"{bad} differ")
    return 1 if bad or not count["the same as pydicom"] else 0


if __name__ == "__main__":
    sys.exit(main())
