#!/usr/bin/env python3
"""Contact sheets of made-up series, and of a folder's, against pydicom and numpy: the right slices, with the right levels.

    contact_sheet.py [FOLDER]

The made-up series have slices in an order that neither the file names nor the Instance Numbers show, and frames of one
multi-frame image in any order. Pictures are not scaled, so each pixel away from numbers and letters is compared with
PS3.3 C.11.2.1.2.1. Exit status 1 when a sheet differs.
"""

import collections
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

BINARY = os.environ["HEALTHIMAGING_BIN"]
CENTER, WIDTH, COUNT, GAP = 60, 900, 4, 2
ROWS, COLUMNS = 90, 120
ACROSS = [1, 0, 0, 0, 1, 0]


def item(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def instance(series, samples, sop_class="1.2.840.10008.5.1.4.1.1.2", **attributes):
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, sop_class
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.SOPClassUID, made.SOPInstanceUID = sop_class, generate_uid()
    meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.StudyInstanceUID, made.SeriesInstanceUID = generate_uid(entropy_srcs=["sheet"]), generate_uid(entropy_srcs=[series])
    made.PatientID, made.Modality = "sheet", "CT"
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = samples.shape[-2:]
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit, made.PixelRepresentation = 15, 1
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    made.PixelData = samples.astype("<i2").tobytes()
    return made


def plane(z):
    y, x = np.mgrid[0:ROWS, 0:COLUMNS]
    return 1024 + 50 * z - 400 + (3 * x + 2 * y) % 300


def write(folder):
    random = np.random.default_rng(7)
    for name, orientation, normal in [("axial", ACROSS, (0, 0, 1)), ("coronal", [1, 0, 0, 0, 0, -1], (0, 1, 0)),
                                      ("oblique", [0.8, 0.6, 0, -0.6, 0.8, 0], (0, 0, 1))]:
        order = random.permutation(17)
        for z in range(17):
            position = [-30 + 2.5 * z * part for part in normal]
            file = instance(name, plane(z), ImageOrientationPatient=orientation, ImagePositionPatient=position,
                            InstanceNumber=str(1 + order[z]), SeriesDescription=name)
            file.save_as(folder / f"{name}-{order[z]:02}.dcm", enforce_file_format=True)
    for z in range(9):
        # Without positions, Instance Numbers count.
        file = instance("numbered", plane(8 - z), InstanceNumber=str(20 - z), SeriesDescription="numbered")
        file.save_as(folder / f"numbered-{z}.dcm", enforce_file_format=True)
    heights = random.permutation(11)
    groups = [item(PlanePositionSequence=Sequence([item(ImagePositionPatient=[0, 0, int(z)])])) for z in heights]
    shared = item(PlaneOrientationSequence=Sequence([item(ImageOrientationPatient=ACROSS)]))
    file = instance("enhanced", np.stack([plane(z) for z in heights]), NumberOfFrames=11, SeriesDescription="enhanced",
                    SharedFunctionalGroupsSequence=Sequence([shared]), PerFrameFunctionalGroupsSequence=Sequence(groups))
    file.save_as(folder / "enhanced.dcm", enforce_file_format=True)


def planes(files):
    """The values of the slices of a series in their order; None where a simple rule does not tell them."""
    found = []
    for file in files:
        values = file.pixel_array * float(file.get("RescaleSlope", 1)) + float(file.get("RescaleIntercept", 0))
        frames = values if file.get("NumberOfFrames", 1) > 1 else [values]
        for at, frame in enumerate(frames):
            position, orientation = file.get("ImagePositionPatient"), file.get("ImageOrientationPatient")
            if groups := file.get("PerFrameFunctionalGroupsSequence"):
                position = groups[at].PlanePositionSequence[0].ImagePositionPatient
                orientation = file.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
            normal = np.cross(orientation[:3], orientation[3:]) if orientation else None
            along = round(float(np.dot(normal, position)), 3) if position and orientation else None
            found.append((normal, along, int(file.get("InstanceNumber") or 0), at, frame))
    if any(along is None for _, along, *_ in found):
        return [frame for *_, frame in sorted(found, key=lambda one: one[2:4])]
    if len({along for _, along, *_ in found}) < len(found) or any(np.abs(one[0] - found[0][0]).max() > 0.01 for one in found):
        return None
    found.sort(key=lambda one: one[1])
    if found[0][2:4] > found[-1][2:4]:
        found.reverse()
    return [frame for *_, frame in found]


def levels(values):
    """PS3.3 C.11.2.1.2.1, LINEAR."""
    return np.clip(((values - (CENTER - 0.5)) / (WIDTH - 1) + 0.5) * 255, 0, 255).round()


def series_of(folder):
    found = collections.defaultdict(list)
    for path in sorted(folder.rglob("*")):
        try:
            file = pydicom.dcmread(path)
        except Exception:  # not a DICOM file
            continue
        if "PixelData" in file and file.get("SamplesPerPixel") == 1 and "SeriesInstanceUID" in file:
            found[file.SeriesInstanceUID].append(file)
    return found


def is_plain(file):
    """Whether the levels follow from the window alone, and the picture is not scaled."""
    spacing = [float(one) for one in file.get("PixelSpacing", [1, 1])]
    return (file.PhotometricInterpretation == "MONOCHROME2" and file.Rows * 2 + GAP <= 2048 and file.Columns * 2 + GAP <= 2048
            and abs(spacing[0] / spacing[1] - 1) < 0.001 and "PixelPaddingValue" not in file and file.Rows >= 48 <= file.Columns
            and not any(element.tag.group >> 8 == 0x60 for element in file) and "ModalityLUTSequence" not in file
            and file.get("Modality") not in ("XA", "RF", "SEG") and file.get("PixelPresentation") not in ("COLOR", "MIXED"))


def check(data, uid, files):
    """What is wrong with a sheet; None where it cannot be judged."""
    try:
        stack = planes(files)
    except Exception:  # pydicom cannot decode it
        return None
    # Variants of one instance are stored once.
    if len({file.get("SOPInstanceUID") for file in files}) < len(files):
        return None
    if stack is None or len(stack) < COUNT or not all(map(is_plain, files)) or len({one.shape for one in stack}) > 1:
        return None
    asked = {"series_instance_uid": uid, "count": COUNT, "format": "png", "max_size": 2048,
             "window_center": CENTER, "window_width": WIDTH}
    with tempfile.NamedTemporaryFile(suffix=".png") as picture:
        answer = subprocess.run([BINARY, "--backend", "local", "--data-dir", data, "call", "get_series_contact_sheet",
                                 json.dumps(asked), "--output", picture.name], capture_output=True, text=True)
        if answer.returncode:
            return answer.stderr.strip()
        found = imagecodecs.png_decode(Path(picture.name).read_bytes())
    facts = json.loads(answer.stdout)
    expected = [int(at * (len(stack) - 1) / (COUNT - 1) + 0.5) for at in range(COUNT)]
    if facts["slices"] != [1 + at for at in expected] or facts["number_of_slices"] != len(stack):
        return f"slices {facts['slices']} of {facts['number_of_slices']}"
    rows, columns = stack[0].shape
    for place, at in enumerate(expected):
        row, column = divmod(place, facts["grid_columns"])
        top, left = row * (rows + GAP), column * (columns + GAP)
        cell = found[top:top + rows, left:left + columns].astype(int)
        wrong = np.abs(cell - levels(stack[at])) > 1
        # A number at the top left, and letters in the middle of the edges.
        scale = min(max(min(rows, columns) // 100, 1), 4)
        edge = 13 * scale
        wrong[:edge, : 8 * scale * 5] = False
        for lines, dots in (((rows - 14 * scale) // 2, 0), (0, columns // 2 - 14 * scale)):
            wrong[lines:lines + edge + 4 * scale if lines else edge, dots:dots + 28 * scale] = False
            wrong[-edge if not lines else lines:(None if not lines else lines + edge + 4 * scale), -28 * scale if not dots else dots:
                  (None if not dots else dots + 28 * scale)] = False
        if wrong.any():
            y, x = np.argwhere(wrong)[0]
            return f"slice {at + 1}: {wrong.sum()} pixels, at ({x}, {y}) {cell[y, x]}, not {levels(stack[at])[y, x]}"
    return ""


def main(folder=None):
    with tempfile.TemporaryDirectory() as scans, tempfile.TemporaryDirectory() as data:
        write(Path(scans))
        folders = [Path(scans), *([Path(folder)] if folder else [])]
        failed, checked = 0, 0
        for place in folders:
            command = [BINARY, "--backend", "local", "--data-dir", data, "import", "--datastore", "sheets", str(place)]
            assert subprocess.run(command, capture_output=True).returncode in (0, 3)
            for uid, files in series_of(place).items():
                problem = check(data, uid, files)
                checked += problem is not None
                if problem:
                    failed += 1
                    print(f"{files[0].get('SeriesDescription', '')} ({uid}): {problem}")
            assert checked >= 5, "the made-up series were checked"
        print(f"{checked} sheets, {failed} differ")
        return failed > 0


sys.exit(main(*sys.argv[1:]))
