"""Makes the streams of this folder that dcmtk codes (`pip install pydicom numpy`, Debian package `dcmtk`).

Run after make.py: the pictures are its `NAME.raw`.
"""

import subprocess
import tempfile
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

HERE = Path(__file__).parent


def file_of(name, allocated, stored, samples=1, signed=False):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = generate_uid(), generate_uid()
    data.Rows, data.Columns, data.SamplesPerPixel = 19, 23, samples
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, stored, stored - 1
    data.PixelRepresentation = int(signed)
    data.PhotometricInterpretation = "RGB" if samples == 3 else "MONOCHROME2"
    if samples == 3:
        data.PlanarConfiguration = 0
    pixels = (HERE / f"{name}.raw").read_bytes()
    data.add_new("PixelData", "OW", pixels + bytes(len(pixels) % 2))
    return data


def coded(name, shape, streams):
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder, "plain.dcm"), Path(folder, "packed.dcm")
        file_of(name, *shape).save_as(plain, enforce_file_format=True)
        for extension, command in streams.items():
            subprocess.run([*command, plain, packed], check=True)
            made = dcmread(packed)
            (frame,) = generate_frames(made.PixelData, number_of_frames=1)
            (HERE / f"{name}.{extension}").write_bytes(frame)
            print(name, extension, made.file_meta.TransferSyntaxUID, made.PhotometricInterpretation)


coded("gray8", (8, 8), {
    "rle": ["dcmcrle"],
    "near": ["dcmcjpls", "+en", "+md", "2"],
    "extended": ["dcmcjpeg", "+ee", "+q", "98"],
})
coded("gray12", (16, 12), {
    "rle": ["dcmcrle"],
    "extended": ["dcmcjpeg", "+ee", "+q", "98"],
    "p14": ["dcmcjpeg", "+el", "+sv", "6"],
})
coded("gray16s", (16, 16, 1, True), {"rle": ["dcmcrle"], "p14": ["dcmcjpeg", "+e1"], "jls": ["dcmcjpls", "+el"]})
coded("rgb8", (8, 8, 3), {
    "rle": ["dcmcrle"],
    "p14": ["dcmcjpeg", "+e1"],
    "lines": ["dcmcjpls", "+el", "+il"],
    "planes": ["dcmcjpls", "+el", "+in"],
})
