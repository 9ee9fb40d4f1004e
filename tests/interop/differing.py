"""Makes files of one series that differ in attributes of the patient, study and series levels, from a file of a
folder: with other values, with empty ones, and without."""

import pathlib
import sys

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid


def first_image(folder):
    for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
        data = pydicom.dcmread(path)
        if "PixelData" in data and data.Modality == "CT":
            return data
    raise SystemExit("no CT image in the folder")


def code(value):
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99ACME", f"meaning of {value}"
    item.private_block(0x0009, "ACME", create=True).add_new(1, "LO", value)
    return [item]


def main(folder, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    data = first_image(folder)
    data.SeriesInstanceUID = generate_uid(entropy_srcs=["differing"])
    signed = data.PixelRepresentation == 1
    values = {
        "1_one": ("F", "61.5", "L", "HAND", "2.25.5", -2000 if signed else 63536, code("A")),
        "2_other": ("M", "70", "R", "FOOT", "2.25.66", 0, code("B")),
        "3_empty": ("", None, "", "", "", None, []),
        "4_missing": None,
        "5_padded": ("F   ", "61.5", "L   ", "HAND    ", "2.25.5", -2000 if signed else 63536, code("A   ")),
    }
    keywords = (
        "PatientSex", "PatientWeight", "Laterality", "BodyPartExamined", "FrameOfReferenceUID", "PixelPaddingValue",
        "ProcedureCodeSequence",
    )
    for number, (name, chosen) in enumerate(values.items(), 1):
        data.InstanceNumber = number
        data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[name])
        for position, keyword in enumerate(keywords):
            if chosen is None:
                data.pop(keyword, None)
            else:
                setattr(data, keyword, chosen[position])
        if "PixelPaddingValue" in data:
            data["PixelPaddingValue"].VR = "SS" if signed else "US"
        data.save_as(out / f"{name}.dcm")


main(*sys.argv[1:])
