#!/usr/bin/env python3
"""Imports DICOM files into our store and compares its pictures with those of pydicom and dcmtk.

    pictures.py [--keep FOLDER] <file or folder> ...

The first, the middle and the last frame of each file, unscaled, as PNG: the gray levels and colors may be one
level apart from what pydicom's LUT functions make of the samples, and from what dcm2pnm draws with the same
window. Prints one line a difference and a count; exit status 1 when anything differs.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi_lut, pixel_array

from store import files_of, shared_store

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

JPEG_LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"}
# Decoders of lossy DCT data may differ by one step (ISO/IEC 10918-2), which YBR to RGB turns into almost two,
# and rounding to three.
LOSSY_COLOUR = 3
# dcmtk's programs by the syntaxes that they decode.
DCMJ2PNM = JPEG_LOSSY | {"1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70"}
DCML2PNM = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}
WITHOUT_MODALITY_LUT = {f"1.2.840.10008.5.1.4.1.1.12.{kind}" for kind in (1, 2, 3)}
DCM2PNM = {f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".1.99", ".2", ".5")}


def group(file, frame, name):
    """The functional group of a frame; the file itself where it has none."""
    for groups in (
        file.get("PerFrameFunctionalGroupsSequence", [])[frame : frame + 1],
        file.get("SharedFunctionalGroupsSequence", []),
    ):
        for item in groups:
            if item.get(name):
                return item.get(name)[0]
    return file


def described(file, frame):
    """The file with the attributes that count for a frame, so that pydicom finds them."""
    found = pydicom.Dataset()
    for keyword in ("PhotometricInterpretation", "PixelRepresentation", "BitsStored", "ModalityLUTSequence"):
        if keyword in file:
            found[keyword] = file[keyword]
    for name, keywords in (
        ("PixelValueTransformationSequence", ["RescaleSlope", "RescaleIntercept"]),
        ("FrameVOILUTSequence", ["WindowCenter", "WindowWidth", "VOILUTFunction", "VOILUTSequence"]),
    ):
        source = group(file, frame, name)
        for keyword in keywords:
            if source.get(keyword) not in (None, ""):
                found[keyword] = source[keyword]
    return found


def gray(file, frame, samples):
    """pydicom's gray levels, 0 to 255, as fractions."""
    of = described(file, frame)
    # The modality LUT of XA and XRF is not for display (PS3.3 C.8.7.1.1.2).
    of_device = file.get("SOPClassUID") in WITHOUT_MODALITY_LUT
    values = (samples if of_device else apply_modality_lut(samples, of)).astype("float64")
    if of.get("VOILUTSequence"):
        depth = of.VOILUTSequence[0].LUTDescriptor[2]
        levels = apply_voi_lut(values.astype("int64"), of) / (2**depth - 1) * 255
    elif "WindowCenter" in of and "WindowWidth" in of:
        # The ends show the output range of pydicom.
        ends = [values.min() - 1e9, values.max() + 1e9]
        shown = apply_voi_lut(np.append(values, ends), of, prefer_lut=False)
        low, high = shown[-2:]
        levels = ((shown[:-2] - low) / (high - low) * 255).reshape(values.shape)
    else:
        levels = spread(file, samples, values)
    shape = file.get("PresentationLUTShape") or "IDENTITY"
    if "PresentationLUTShape" not in file and file.PhotometricInterpretation == "MONOCHROME1":
        shape = "INVERSE"
    levels = 255 - levels if shape == "INVERSE" else levels
    padding = padded(file, samples)
    return levels if padding is None else np.where(padding, 0, levels)


def spread(file, samples, values):
    """From the lowest to the highest value, padding left out."""
    if file.BitsStored == 1:
        return values * 255
    padding = padded(file, samples)
    counts = np.ones(samples.shape, bool) if padding is None else ~padding
    inside = values[counts] if counts.any() else values
    low, high = inside.min(), inside.max()
    return np.clip((values - low) / ((high - low) or 1), 0, 1) * 255


def padded(file, samples):
    """Which samples stand for no pixel; nothing where no value is named."""
    padding = file.get("PixelPaddingValue")
    if padding is None:
        return None
    limit = file.get("PixelPaddingRangeLimit", padding)
    return (samples >= min(padding, limit)) & (samples <= max(padding, limit))


def by_pydicom(file, path, frame):
    kind = file.PhotometricInterpretation
    samples = pixel_array(path, index=frame, raw=kind == "PALETTE COLOR")
    if kind == "PALETTE COLOR":
        colors = apply_color_lut(samples, file)
        return colors.astype("float64") * (255 / (2 ** (8 * colors.itemsize) - 1))
    if kind.startswith("MONOCHROME") and "RedPaletteColorLookupTableDescriptor" in file:
        raise ValueError("a supplemental palette, which picture_rules.py compares")
    if kind.startswith("MONOCHROME"):
        return gray(file, frame, samples)
    return samples.astype("float64") * (255 / (2**file.BitsStored - 1))


def by_dcmtk(file, path, frame, folder):
    """dcmtk's picture, or why there is none."""
    syntax = file.file_meta.TransferSyntaxUID
    programs = {"dcm2pnm": DCM2PNM, "dcmj2pnm": DCMJ2PNM, "dcml2pnm": DCML2PNM}
    program = next((name for name, syntaxes in programs.items() if syntax in syntaxes), None)
    if program is None:
        return "a transfer syntax it does not decode"
    if file.BitsAllocated == 32 and not file.file_meta.TransferSyntaxUID.is_little_endian:
        return "words of big-endian samples of 32 bits, which it takes in another order than pydicom"
    if any(name in file for name in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")):
        return "functional groups, which it does not look at"
    if file.get("PixelPaddingValue") is not None and file.PhotometricInterpretation.startswith("MONOCHROME"):
        return "padding, which it does not show black"
    options = []
    if file.PhotometricInterpretation.startswith("MONOCHROME"):
        if file.get("VOILUTSequence"):
            options = ["+Wl", "1"]
        elif file.get("WindowCenter") is not None and file.get("WindowWidth") is not None:
            options = ["+Wi", "1"]
            # It takes the function of the file for LINEAR whatever it says, unless requested otherwise.
            if file.get("VOILUTFunction") == "SIGMOID":
                options.append("+Wfs")
            elif file.get("VOILUTFunction") == "LINEAR_EXACT":
                return "LINEAR_EXACT, which it does not know"
        elif file.BitsStored == 1:
            return "an automatic window of its own"
        else:
            options = ["+Wm"]
    target = Path(folder) / "dcmtk.png"
    target.unlink(missing_ok=True)
    command = [program, "-q", "-S", "-O", *options, "+F", str(frame + 1), "+on", path, target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not target.exists():
        return "what it refuses"
    return read_png(target)


def read_png(path):
    """The levels of a PNG; libpng's word of advice for its caller is kept from stderr."""
    kept = os.dup(2)
    with open(os.devnull, "w", encoding="ascii") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            return imagecodecs.png_decode(path.read_bytes()).astype("float64")
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def ours(stored, uid, frame, folder):
    """Our picture, or the error; and its description."""
    wanted = {
        **stored.ids,
        "sop_instance_uid": uid,
        "frame_number": frame + 1,
        "format": "png",
        "max_size": 4096,
        "annotation": False,
    }
    answer, png = stored.store.answer("get_image_frame", **wanted)
    if answer.get("error") is True:
        return None, answer["message"]
    told = answer["picture"]
    target = Path(folder) / "ours.png"
    target.write_bytes(png)
    picture = read_png(target)
    if picture.shape[:2] != (told["rows"], told["columns"]):
        raise RuntimeError(f"{picture.shape} is not what is told: {told}")
    return picture, told


def apart(one, other):
    """By how much two pictures differ at most; color that is gray is compared with gray."""
    if one.ndim == 3 and other.ndim == 2:
        other = other[..., None]
    if one.ndim == 2 and other.ndim == 3:
        one = one[..., None]
    if one.shape[:2] != other.shape[:2]:
        return f"{one.shape} is not {other.shape}"
    return float(np.abs(one - other).max())


def check(store, path, folder, count, keep):
    """Faults of the pictures of a file, a line each."""
    stored = store.take_in(path)
    if isinstance(stored, str):
        count["files refused by the import"] += 1
        return
    file = pydicom.dcmread(path, force=True)
    if not any(name in file for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        count["files without pixels"] += 1
        return
    if "TransferSyntaxUID" not in file.file_meta:
        count["files whose transfer syntax pydicom does not see"] += 1
        return
    frames = int(file.get("NumberOfFrames", 1) or 1)
    for frame in sorted({0, frames // 2, frames - 1}):
        picture, told = ours(stored, file.SOPInstanceUID, frame, folder)
        if picture is None:
            count["frames that we refuse"] += 1
            print(f"refused  {path} frame {frame + 1}: {told}")
            continue
        if max(told["original_rows"], told["original_columns"]) > 4096:
            count["frames too large to be shown unscaled"] += 1
            continue
        if any("square" in note for note in told.get("notes", [])):
            count["frames scaled to square pixels"] += 1
            continue
        if keep:
            imagecodecs.imwrite(Path(keep) / f"{path.stem}-{frame + 1}.png", picture.astype("uint8"))
        yield from compared(file, path, frame, picture, folder, count)


def compared(file, path, frame, picture, folder, count):
    tolerance = allowed(file)
    try:
        wanted = by_pydicom(file, path, frame)
    except Exception as error:  # noqa: BLE001 - whatever the stranger says
        count["frames refused by pydicom"] += 1
        print(f"pydicom refuses  {path} frame {frame + 1}: {type(error).__name__} {error}"[:200])
    else:
        yield from told_apart("pydicom", apart(picture, wanted), tolerance, frame, count)
    wanted = by_dcmtk(file, path, frame, folder)
    if isinstance(wanted, str):
        count[f"not compared with dcmtk: {wanted}"] += 1
    else:
        # It cuts fractions off where it turns YBR into RGB.
        cut = file.PhotometricInterpretation.startswith("YBR")
        yield from told_apart("dcmtk", apart(picture, wanted), tolerance + cut, frame, count)


def allowed(file):
    """By how many levels pictures may be apart."""
    if file.file_meta.TransferSyntaxUID not in JPEG_LOSSY:
        return 1 + 1e-6
    if file.SamplesPerPixel == 3:
        return LOSSY_COLOUR
    # One step of the samples, seen through the window.
    step = abs(float(file.get("RescaleSlope") or 1))
    return 1 + math.ceil(step * 255 / max(float(file.get("WindowWidth") or 256) - 1, 1))


def told_apart(name, far, tolerance, frame, count):
    if isinstance(far, str) or far > tolerance:
        yield f"frame {frame + 1}: {name}: {far if isinstance(far, str) else f'up to {far:.2f} levels apart'}"
        return
    count[f"the same as {name}"] += 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", help="folder for our pictures")
    parser.add_argument("paths", nargs="+")
    asked = parser.parse_args()
    count, bad = Counter(), 0
    with shared_store() as store, tempfile.TemporaryDirectory() as folder:
        for path in files_of(asked.paths):
            for line in check(store, path, folder, count, asked.keep):
                print(f"{path}: {line}")
                bad += 1
    for what, number in sorted(count.items()):
        print(f"{number} {what}")
    print(f"{bad} differ")
    return 1 if bad or not count["the same as pydicom"] else 0


if __name__ == "__main__":
    sys.exit(main())
