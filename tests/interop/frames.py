#!/usr/bin/env python3
"""Imports DICOM files into our store and decodes the stored frames with other people's decoders.

    frames.py <file or folder> ...

HTJ2K and JPEG 2000 frames are decoded by imagecodecs (OpenJPH, OpenJPEG) and HTJ2K unsigned ones by
ojph_expand too; all must equal pydicom's reading of the file, as must the checksum and the range that the
document tells. Frames kept as received must be the bytes of the file. Prints one line a difference and a
count; exit status 1 when anything differs.
"""

import subprocess
import sys
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import openjpeg.utils
import pydicom
from pydicom import encaps
from pydicom.pixels import iter_pixels

from store import files_of, shared_store

HTJ2K, JPEG2000 = "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.90"
# Warnings about attributes, which leave the frames as they are.
HARMLESS = {"CoercionOfDataElements", "InvalidUidFormat", "InvalidDicomValueLength"}
# OPJ_CODEC_JP2 of OpenJPEG.
OPJ_CODEC_JP2 = 2
# Decoders of lossy DCT data may differ by one step: ISO/IEC 10918-2.
LOSSY_DCT = {"1.2.840.10008.1.2.4.51": 1}


def wanted_pixels(file, indices):
    """pydicom's frames, samples as stored."""
    for frame in iter_pixels(file, indices=indices, raw=True):
        yield np.ascontiguousarray(frame)


def expand(codestream, folder):
    """What OpenJPH's own command makes of a codestream; nothing for what it has no file format for."""
    source = Path(folder) / "frame.j2c"
    source.write_bytes(codestream)
    for name in ("frame.pgm", "frame.ppm"):
        target = Path(folder) / name
        target.unlink(missing_ok=True)
        command = ["ojph_expand", "-i", source, "-o", target]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return portable_map(target.read_bytes())
    return None


def portable_map(data):
    """Samples of a binary PGM or PPM."""
    kind, width, height, most = data.split(maxsplit=4)[:4]
    header = len(data) - sample_bytes(kind, width, height, most)
    pixels = np.frombuffer(data[header:], ">u2" if int(most) > 255 else "u1")
    shape = (int(height), int(width)) + ((3,) if kind == b"P6" else ())
    return pixels.reshape(shape)


def sample_bytes(kind, width, height, most):
    samples = 3 if kind == b"P6" else 1
    return int(width) * int(height) * samples * (2 if int(most) > 255 else 1)


def htj2k_decode(codestream):
    """Pixels by OpenJPH, as imagecodecs binds it: components that are not transformed together it takes
    plane by plane, and has to get this as an argument."""
    together = codestream[codestream.index(b"\xff\x52") + 8] == 1
    gray = codestream[40:42] == b"\0\1"
    if together or gray:
        return imagecodecs.htj2k_decode(codestream)
    return np.moveaxis(imagecodecs.htj2k_decode(codestream, planar=True), 0, -1)


def check_decoded(stored, frame, syntax, wanted, tolerance, folder):
    data = stored.frame(frame["ID"])
    if syntax == HTJ2K:
        # As AWS serves and documents it: a JP2 file.
        codestream = data[data.index(b"jp2c\xff\x4f\xff\x51") + 4:]
        decoders = {
            "imagecodecs OpenJPH": lambda _: htj2k_decode(codestream),
            "pylibjpeg-openjpeg": lambda frame: openjpeg.utils.decode(frame, OPJ_CODEC_JP2),
        }
    else:
        decoders = {}
    decoders["imagecodecs OpenJPEG"] = imagecodecs.jpeg2k_decode
    for name, decode in decoders.items():
        found = np.asarray(decode(data)).reshape(wanted.shape)
        yield from compared(name, found, wanted, tolerance)
        if found.dtype.itemsize != wanted.dtype.itemsize:
            yield f"{name}: {found.dtype} for samples of {wanted.dtype}"
    if syntax == HTJ2K and wanted.dtype.kind == "u":
        found = expand(codestream, folder)
        if found is None:
            yield "ojph_expand refuses the frame"
        else:
            yield from compared("ojph_expand", found.reshape(wanted.shape), wanted, tolerance)
    if frame["FrameSizeInBytes"] != len(data):
        yield f"FrameSizeInBytes is {frame['FrameSizeInBytes']}, the frame has {len(data)} bytes"
    if tolerance == 0:
        yield from check_facts(frame, wanted)


def compared(name, found, wanted, tolerance):
    apart = np.abs(found.astype(np.int64) - wanted.astype(np.int64)).max()
    if apart > tolerance:
        yield f"{name}: differs by up to {apart}"


def check_facts(frame, wanted):
    """Checksum and range of the decoded pixels."""
    little = wanted.astype(wanted.dtype.newbyteorder("<"))
    facts = frame["PixelDataChecksumFromBaseToFullResolution"][-1]
    for name, told, true in [
        ("checksum", facts["Checksum"], zlib.crc32(little.tobytes())),
        ("width", facts["Width"], wanted.shape[1]),
        ("height", facts["Height"], wanted.shape[0]),
        ("least value", frame["MinPixelValue"], int(wanted.min())),
        ("greatest value", frame["MaxPixelValue"], int(wanted.max())),
    ]:
        if told != true:
            yield f"{name}: the document tells {told}, it is {true}"


def check_kept(stored, frame, index, file):
    """A frame kept as received."""
    data = stored.frame(frame["ID"])
    if "PixelData" not in file or not file.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    count = int(file.get("NumberOfFrames", 1) or 1)
    wanted = encaps.get_frame(file.PixelData, index, number_of_frames=count)
    if data != wanted and data + b"\0" != wanted:
        yield "the frame is not the one received"


def check(store, path, folder, count):
    """Faults of the frames of a file, a line each."""
    stored = store.take_in(path)
    if isinstance(stored, str):
        count["refused"] += 1
        return
    instance = stored.instance(["TransferSyntaxUID"])
    frames = instance["ImageFrames"]
    told = [warning for warning in stored.warnings if warning not in HARMLESS]
    if told or not frames:
        count["files with " + told[0] if told else "files without frames"] += 1
        return
    file = pydicom.dcmread(path)
    source, syntax = file.file_meta.TransferSyntaxUID, instance["StoredTransferSyntaxUID"]
    indices = sorted({0, len(frames) // 2, len(frames) - 1})
    if syntax not in (HTJ2K, JPEG2000):
        for index in indices:
            count["frames kept as received"] += 1
            yield from check_kept(stored, frames[index], index, file)
        return
    try:
        wanted = list(wanted_pixels(file, indices))
    except Exception as error:  # noqa: BLE001 - whatever the stranger says
        print(f"refused by pydicom  {path}: {type(error).__name__} {error}"[:200])
        count["files refused by pydicom"] += 1
        return
    for index, pixels in zip(indices, wanted):
        count["frames decoded"] += 1
        tolerance = LOSSY_DCT.get(source, 0)
        yield from check_decoded(stored, frames[index], syntax, pixels, tolerance, folder)


def main():
    count, bad = Counter(), 0
    with shared_store() as store, tempfile.TemporaryDirectory() as folder:
        for path in files_of(sys.argv[1:]):
            told = list(check(store, path, folder, count))
            for line in told[:8]:
                print(f"{path}: {line}")
            bad += bool(told)
    print(", ".join(f"{number} {what}" for what, number in sorted(count.items())))
    return 1 if bad or not count["frames decoded"] else 0


if __name__ == "__main__":
    sys.exit(main())
