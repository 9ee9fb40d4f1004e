"""Files in every transfer syntax that dcmtk and imagecodecs can write, made of a few phantoms.

Usage: syntaxes.py PHANTOMS OUT. Each file has a SOP Instance UID and a series of its own.
"""

import pathlib
import subprocess
import sys

import imagecodecs
import numpy
import pydicom
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import generate_uid

DCMTK = {
    "implicit": ["dcmconv", "+ti"],
    "big-endian": ["dcmconv", "+tb"],
    "deflated": ["dcmconv", "+td"],
    "rle": ["dcmcrle"],
    "jpeg-14": ["dcmcjpeg", "+el", "+sv", "5"],
    "jpeg-14-sv1": ["dcmcjpeg", "+e1"],
    "jpeg-ls": ["dcmcjpls", "+el"],
    "jpeg-ls-near": ["dcmcjpls", "+en", "+md", "2"],
    # Color is not subsampled: how it is interpolated is left to decoders, which differ.
    "jpeg-extended": ["dcmcjpeg", "+ee", "+q", "95", "+s4"],
    "jpeg-baseline": ["dcmcjpeg", "+eb", "+q", "95", "+s4"],
}
J2K, HTJ2K, RPCL = (f"1.2.840.10008.1.2.4.{number}" for number in (90, 201, 202))
MODALITIES = ("CT", "MR", "US")


def chosen(folder):
    """The first phantom of each modality that has pixels."""
    found = {}
    for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
        try:
            data = pydicom.dcmread(path, stop_before_pixels=True)
        except pydicom.errors.InvalidDicomError:
            continue
        modality = data.get("Modality")
        if modality in MODALITIES and "Rows" in data:
            found.setdefault(modality, path)
    assert len(found) == len(MODALITIES), f"phantoms are missing: only {sorted(found)}"
    return found


def of_its_own(data, path):
    data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    data.SeriesInstanceUID = generate_uid()
    data.save_as(path)


def by_dcmtk(source, modality, out):
    """dcmtk refuses what a syntax does not take, such as 16 bits in baseline."""
    for name, command in DCMTK.items():
        path = out / f"{modality}-{name}"
        done = subprocess.run([*command, source, path], capture_output=True, check=False)
        if done.returncode == 0:
            of_its_own(pydicom.dcmread(path), path)


def by_imagecodecs(source, modality, out):
    data = pydicom.dcmread(source)
    frames = data.pixel_array.reshape(-1, data.Rows, data.Columns, *[3] * (data.SamplesPerPixel == 3))
    frames = [numpy.ascontiguousarray(frame) for frame in frames]
    bits = data.BitsStored
    j2k = [imagecodecs.jpeg2k_encode(f, level=0, bitspersample=bits, codecformat="j2k", mct=False) for f in frames]
    ht = [imagecodecs.htj2k_encode(f, reversible=True) for f in frames]
    for name, syntax, coded in (("j2k", J2K, j2k), ("htj2k", HTJ2K, ht), ("htj2k-rpcl", RPCL, ht)):
        made = pydicom.dcmread(source)
        made.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
        if made.SamplesPerPixel == 3 and syntax != J2K:
            made.PhotometricInterpretation = "YBR_RCT"
        if name == "htj2k":
            packed = encapsulate_extended(coded)
            made.PixelData, made.ExtendedOffsetTable, made.ExtendedOffsetTableLengths = packed
        else:
            # Several fragments a frame, found by the Basic Offset Table.
            made.PixelData = encapsulate(coded, fragments_per_frame=2, has_bot=True)
        made["PixelData"].VR = "OB"
        made["PixelData"].is_undefined_length = True
        of_its_own(made, out / f"{modality}-{name}")


def main(phantoms, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for modality, source in chosen(phantoms).items():
        by_dcmtk(source, modality, out)
        by_imagecodecs(source, modality, out)
    made = sorted({pydicom.dcmread(p, stop_before_pixels=True).file_meta.TransferSyntaxUID for p in out.iterdir()})
    print(f"{len(list(out.iterdir()))} files in {len(made)} transfer syntaxes: {', '.join(made)}")
    assert len(made) >= 12, "dcmtk or imagecodecs could not write what they should"
    return 0


sys.exit(main(sys.argv[1], sys.argv[2]))
