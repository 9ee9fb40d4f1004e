#!/usr/bin/env python3
"""Pictures of many kinds of made-up images against the rules of PS3.3, written out with numpy, and against dcmtk.

    picture_rules.py [--keep FOLDER]

Each case is a file made here: photometric interpretations, bits, signs, windows, lookup tables, palettes, overlays,
padding, pixel aspect. The expected levels come from the formulas of the standard alone; where dcmtk (dcm2pnm) shows such
a file and follows the same rule, its picture is compared too. Levels may be one apart. Exit status 1 when any differs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import generate_uid

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE

ROWS, COLUMNS = 24, 32
EXPLICIT = "1.2.840.10008.1.2.1"
XA = "1.2.840.10008.5.1.4.1.1.12.1"


def ramp(low, high, rows=ROWS, columns=COLUMNS):
    """Values from low to high, with a square of the highest in it."""
    values = np.linspace(low, high, rows * columns).reshape(rows, columns).round()
    values[4:10, 5:12] = high
    return values.astype("int64")


def image(samples, **attributes):
    """A file of samples; Bits Allocated and the sign are those of the array unless given."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = EXPLICIT
    file = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    file.SOPClassUID = attributes.pop("SOPClassUID", "1.2.840.10008.5.1.4.1.1.7")
    meta.MediaStorageSOPClassUID = file.SOPClassUID
    file.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = generate_uid()
    file.StudyInstanceUID, file.SeriesInstanceUID = generate_uid(), generate_uid()
    file.PatientID, file.Modality = "rules", attributes.pop("Modality", "OT")
    file.SamplesPerPixel = samples.shape[2] if samples.ndim == 3 else 1
    file.PhotometricInterpretation = "MONOCHROME2"
    file.Rows, file.Columns = samples.shape[:2]
    file.BitsAllocated = file.BitsStored = 8 * samples.itemsize
    file.PixelRepresentation = int(samples.dtype.kind == "i")
    for keyword, value in attributes.items():
        setattr(file, keyword, value)
    if "HighBit" not in file:
        file.HighBit = file.BitsStored - 1
    if samples.ndim == 3 and "PlanarConfiguration" not in file:
        file.PlanarConfiguration = 0
    data = samples.tobytes()
    file.PixelData = data + bytes(len(data) % 2)
    file["PixelData"].VR = "OB" if samples.itemsize == 1 else "OW"
    return file


# The rules, by section of PS3.3.


def linear(values, center, width):
    """C.11.2.1.2.1"""
    values = np.asarray(values, "float64")
    inside = ((values - (center - 0.5)) / max(width - 1, 1e-300) + 0.5) * 255
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    return np.where(values <= low, 0, np.where(values > high, 255, inside))


def exact(values, center, width):
    """C.11.2.1.3.2"""
    values = np.asarray(values, "float64")
    inside = ((values - center) / width + 0.5) * 255
    return np.where(values <= center - width / 2, 0, np.where(values > center + width / 2, 255, inside))


def sigmoid(values, center, width):
    """C.11.2.1.3.1"""
    return 255 / (1 + np.exp(-4 * (np.asarray(values, "float64") - center) / width))


def spread(values, counts=None):
    """From the lowest to the highest value that counts."""
    values = np.asarray(values, "float64")
    inside = values[np.isfinite(values) if counts is None else counts]
    low, high = inside.min(), inside.max()
    return np.clip((values - low) / ((high - low) or 1), 0, 1) * 255


def lookup(values, first, table):
    """C.11.1.1: values outside have the first or last entry."""
    return np.asarray(table)[np.clip(np.floor(values) - first, 0, len(table) - 1).astype(int)]


def from_ybr(samples):
    """C.7.6.3.1.2, solved for red, green and blue."""
    forward = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.clip((samples.astype("float64") - [0, 128, 128]) @ np.linalg.inv(forward).T, 0, 255)


def table_item(first, table, bits, vr="US"):
    item = Dataset()
    item.add_new("LUTDescriptor", vr, [len(table) % 65536, first, bits])
    item.add_new("LUTData", "OW", np.asarray(table, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return item


def raw(file, keyword, text):
    """Sets a DS to what pydicom would not accept."""
    value = text.encode() + b" " * (len(text) % 2)
    tag = pydicom.tag.Tag(keyword)
    file[tag] = pydicom.dataelem.RawDataElement(tag, "DS", len(value), value, 0, False, True)


def palette(file, descriptors, tables):
    for color, descriptor, table in zip(("Red", "Green", "Blue"), descriptors, tables):
        file.add_new(f"{color}PaletteColorLookupTableDescriptor", "US", descriptor)
        file.add_new(f"{color}PaletteColorLookupTableData", "OW", table)
    return file


def overlay(file, group, bits, origin=(1, 1), **more):
    packed = np.packbits(bits.astype("u1").ravel(), bitorder="little").tobytes()
    file.add_new((group, 0x0010), "US", bits.shape[0])
    file.add_new((group, 0x0011), "US", bits.shape[1])
    file.add_new((group, 0x0040), "CS", "G")
    file.add_new((group, 0x0050), "SS", list(origin))
    file.add_new((group, 0x0100), "US", more.get("allocated", 1))
    file.add_new((group, 0x0102), "US", more.get("position", 0))
    if "allocated" not in more:
        file.add_new((group, 0x3000), "OW", packed + bytes(len(packed) % 2))
    return file


def cases():
    """Name, file, expected levels, options for dcm2pnm (None: it is not asked)."""
    yield from gray_cases()
    yield from window_cases()
    yield from table_cases()
    yield from color_cases()
    yield from drawing_cases()
    yield from odd_cases()


def gray_cases():
    for name, dtype, stored, low, high in (
        ("u8", "u1", 8, 3, 250),
        ("s8", "i1", 8, -128, 127),
        ("u12", "<u2", 12, 0, 4095),
        ("s12", "<i2", 12, -2048, 2047),
        ("u16", "<u2", 16, 0, 65535),
        ("s16", "<i2", 16, -32768, 32767),
        ("u32", "<u4", 32, 0, 4294967295),
        ("s32", "<i4", 32, -2147483648, 2147483647),
    ):
        values = ramp(low, high)
        file = image(values.astype(dtype), BitsStored=stored)
        yield f"mono2 {name}", file, spread(values), ["+Wm"]
        file = image(values.astype(dtype), BitsStored=stored, PhotometricInterpretation="MONOCHROME1")
        yield f"mono1 {name}", file, 255 - spread(values), ["+Wm"]
    for photometric in ("MONOCHROME1", "MONOCHROME2"):
        for shape in ("IDENTITY", "INVERSE"):
            values = ramp(0, 4095)
            file = image(
                values.astype("<u2"),
                BitsStored=12,
                PhotometricInterpretation=photometric,
                PresentationLUTShape=shape,
            )
            levels = spread(values)
            yield f"{photometric} {shape}", file, 255 - levels if shape == "INVERSE" else levels, ["+Wm"]
    values = ramp(0, 4095)
    file = image((values << 4 | 7).astype("<u2"), BitsStored=12, HighBit=15)
    yield "high bit 15", file, spread(values), ["+Wm"]
    file = image((values | 0xA000).astype("<u2"), BitsStored=12)
    yield "bits above the stored ones", file, spread(values), ["+Wm"]
    for name, keyword, dtype in (("float", "FloatPixelData", "<f4"), ("double", "DoubleFloatPixelData", "<f8")):
        values = (ramp(-500, 1500) / 1000).astype(dtype)
        file = image(values, SOPClassUID="1.2.840.10008.5.1.4.1.1.30")
        for absent in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
            del file[absent]
        file.add_new(keyword, "OF" if dtype == "<f4" else "OD", values.tobytes())
        yield name, file, spread(values), None
    values = ramp(0, 70_000_000)
    file = image(values.astype("<u4"), SOPClassUID="1.2.840.10008.5.1.4.1.1.481.2", DoseGridScaling="1e-6")
    yield "dose", file, spread(values), ["+Wm"]
    bits = np.indices((ROWS, COLUMNS)).sum(0) // 5 % 2
    file = image(bits.astype("u1"), BitsAllocated=1, BitsStored=1, HighBit=0)
    file.PixelData = np.packbits(bits.astype("u1").ravel(), bitorder="little").tobytes()
    yield "single bits", file, bits * 255, None
    values = ramp(0, 4095)
    pairs = values.ravel().reshape(-1, 2)
    packed = np.stack([pairs[:, 0] & 255, pairs[:, 0] >> 8 | (pairs[:, 1] & 15) << 4, pairs[:, 1] >> 4], 1)
    file = image(values.astype("<u2"), BitsAllocated=12, BitsStored=12)
    file.PixelData = packed.astype("u1").tobytes()
    yield "12 bits packed", file, spread(values), ["+Wm"]


def window_cases():
    values = ramp(0, 4095)

    def windowed(**attributes):
        return image(values.astype("<u2"), BitsStored=12, **attributes)

    for center, width in ((2048, 4096), (1000, 400), (40.5, 80.25), (2000, 1)):
        file = windowed(WindowCenter=str(center), WindowWidth=str(width))
        yield f"window {center}/{width}", file, linear(values, center, width), ["+Wi", "1"]
    for center, width in (("100", "0"), ("100", "-4"), ("100", "0.5"), ("40,5", "80,5"), ("x", "9"), ("5", "")):
        file = windowed()
        raw(file, "WindowCenter", center)
        raw(file, "WindowWidth", width)
        yield f"window {center}/{width}", file, spread(values), None
    file = windowed(WindowCenter=["5", "700"], WindowWidth=["0", "900"])
    yield "second window", file, linear(values, 700, 900), ["+Wi", "2"]
    file = windowed(WindowCenter="900", WindowWidth="1500", VOILUTFunction="SIGMOID")
    yield "sigmoid", file, sigmoid(values, 900, 1500), ["+Wfs", "+Wi", "1"]
    file = windowed(WindowCenter="900", WindowWidth="1500", VOILUTFunction="LINEAR_EXACT")
    yield "linear exact", file, exact(values, 900, 1500), None
    file = windowed(WindowCenter="0.4", WindowWidth="0.3", RescaleSlope="0.0002", RescaleIntercept="0")
    yield "PET window below 1", file, spread(values), None
    file = windowed(WindowCenter="40", WindowWidth="400", RescaleSlope="1", RescaleIntercept="-1024")
    yield "rescaled", file, linear(values - 1024, 40, 400), ["+Wi", "1"]
    file = windowed(WindowCenter="-300", WindowWidth="1500", RescaleSlope="-0.5", RescaleIntercept="20")
    yield "negative slope", file, linear(values * -0.5 + 20, -300, 1500), ["+Wi", "1"]
    file = windowed(RescaleSlope="1.5e-05", RescaleIntercept="0")
    yield "small slope", file, spread(values), None
    file = windowed(SOPClassUID=XA, WindowCenter="2048", WindowWidth="4096", RescaleIntercept="900", RescaleSlope="2")
    yield "XA without its rescale", file, linear(values, 2048, 4096), ["+Wi", "1"]
    signed = ramp(-500, 1000)
    for name, vr, padding in (("SS", "SS", -2000), ("US", "US", 63536)):
        padded = signed.copy()
        padded[:, :6] = -2000
        file = image(padded.astype("<i2"), WindowCenter="200", WindowWidth="900")
        file.add_new("PixelPaddingValue", vr, padding)
        yield f"padding {name}", file, np.where(padded == -2000, 0, linear(padded, 200, 900)), ["+Wi", "1"]
        file = image(padded.astype("<i2"), PhotometricInterpretation="MONOCHROME1")
        file.add_new("PixelPaddingValue", vr, padding)
        counts = padded != -2000
        yield f"inverse padding {name}", file, np.where(counts, 255 - spread(padded, counts), 0), None


def table_cases():
    values = ramp(0, 4095)
    curve = (np.linspace(0, 1, 4096) ** 2 * 65535).astype("u2")
    file = image(values.astype("<u2"), BitsStored=12, VOILUTSequence=[table_item(0, curve, 16)])
    yield "VOI LUT 16 bits", file, lookup(values, 0, curve) / 65535 * 255, ["+Wl", "1"]
    small = (np.linspace(0, 1, 1000) * 255).astype("u2")
    file = image(values.astype("<u2"), BitsStored=12, VOILUTSequence=[table_item(1000, small, 8)])
    yield "VOI LUT 8 bits from 1000", file, lookup(values, 1000, small), ["+Wl", "1"]
    broken = table_item(0, small, 8)
    broken.LUTDescriptor = [5, 0]
    file = image(values.astype("<u2"), BitsStored=12, VOILUTSequence=[broken], WindowCenter="900", WindowWidth="700")
    yield "broken VOI LUT beside a window", file, linear(values, 900, 700), None
    file = image(values.astype("<u2"), BitsStored=12, ModalityLUTSequence=[table_item(0, curve, 16)])
    yield "modality LUT", file, spread(lookup(values, 0, curve)), ["+Wm"]
    signed = ramp(-2048, 2047)
    for vr, first in (("SS", -2048), ("US", 63488)):
        item = table_item(first, curve, 16, vr)
        file = image(signed.astype("<i2"), BitsStored=12, ModalityLUTSequence=[item])
        yield f"signed modality LUT {vr}", file, spread(lookup(signed, -2048, curve)), None


def color_cases():
    base = np.stack([ramp(0, 255), ramp(255, 0), ramp(0, 255).T.reshape(ROWS, COLUMNS)], 2).astype("u1")
    yield "RGB", image(base, PhotometricInterpretation="RGB"), base, []
    planes = image(base, PhotometricInterpretation="RGB", PlanarConfiguration=1)
    planes.PixelData = base.transpose(2, 0, 1).tobytes()
    yield "RGB in planes", planes, base, []
    wide = base.astype("<u2") * 257
    yield "RGB 16", image(wide, PhotometricInterpretation="RGB"), base, []
    yield "YBR_FULL", image(base, PhotometricInterpretation="YBR_FULL"), from_ybr(base), []
    planes = image(base, PhotometricInterpretation="YBR_FULL", PlanarConfiguration=1)
    planes.PixelData = base.transpose(2, 0, 1).tobytes()
    yield "YBR_FULL in planes", planes, from_ybr(base), []
    for columns in (COLUMNS, COLUMNS - 1):
        pairs = base[:, : (columns + 1) // 2]
        luminance = base[:, : 2 * pairs.shape[1], 1].reshape(ROWS, -1, 2)
        data = np.concatenate([luminance, pairs[:, :, [0, 2]]], 2)
        whole = np.stack([luminance.reshape(ROWS, -1), *(pairs[:, :, c].repeat(2, 1) for c in (0, 2))], 2)
        file = image(base[:, :columns], PhotometricInterpretation="YBR_FULL_422")
        file.PixelData = data.tobytes()
        expected = from_ybr(whole[:, :columns])
        yield f"YBR_FULL_422, {columns} columns", file, expected, [] if columns % 2 == 0 else None
    indices = ramp(0, 255).astype("u1")
    tables = [np.arange(256)[::step] for step in (1, -1)] + [np.arange(256) // 2]
    expected = np.stack([table[indices] for table in tables], 2)

    def colored(samples, descriptor, entries, **attributes):
        file = image(samples, PhotometricInterpretation="PALETTE COLOR", **attributes)
        return palette(file, [descriptor] * 3, entries)

    words = [(table * 257).astype("<u2").tobytes() for table in tables]
    single = [table.astype("u1").tobytes() for table in tables]
    yield "palette 16 bits", colored(indices, [256, 0, 16], words), expected, []
    yield "palette 8 bits", colored(indices, [256, 0, 8], single), expected, []
    yield "palette of bytes told as 16 bits", colored(indices, [256, 0, 16], single), expected, None
    low = [table.astype("<u2").tobytes() for table in tables]
    yield "palette of 8 bits in words", colored(indices, [256, 0, 8], low), expected, []
    yield "palette longer than told", colored(indices, [200, 0, 16], words), expected, []
    cut = np.stack([table[np.minimum(indices, 149)] for table in tables], 2)
    yield "palette shorter than told", colored(indices, [256, 0, 16], [w[:300] for w in words]), cut, []
    signed = ramp(-128, 127)
    expected = np.stack([table[signed + 128] for table in tables], 2)
    yield "palette of signed samples", colored(signed.astype("<i2"), [256, 65408, 16], words), expected, []
    many = [(np.arange(65536) ^ mask).astype("<u2").tobytes() for mask in (0, 0xFFFF, 0xFF00)]
    values = ramp(0, 65535)
    expected = np.stack([(values ^ mask) / 257 for mask in (0, 0xFFFF, 0xFF00)], 2)
    yield "palette of 65536", colored(values.astype("<u2"), [0, 0, 16], many), expected, []
    values = ramp(0, 4095)
    file = image(values.astype("<u2"), BitsStored=12, WindowCenter="2048", WindowWidth="4096", PixelPresentation="COLOR")
    palette(file, [[96, 4000, 16]] * 3, [w[: 96 * 2] for w in words])
    gray = np.repeat(linear(values, 2048, 4096)[:, :, None], 3, 2)
    colors = np.stack([table[np.clip(values - 4000, 0, 95)] for table in tables], 2)
    yield "supplemental palette", file, np.where(values[:, :, None] >= 4000, colors, gray), None


def drawing_cases():
    values = ramp(0, 4000)
    cross = np.zeros((ROWS, COLUMNS), bool)
    cross[12, :] = cross[:, 16] = True
    whole = {"BitsStored": 12, "WindowCenter": "2048", "WindowWidth": "4096"}
    file = overlay(image(values.astype("<u2"), **whole), 0x6000, cross)
    yield "overlay", file, np.where(cross, 255, linear(values, 2048, 4096)), ["+Wi", "1", "+O"]
    square = np.ones((6, 7), bool)
    file = overlay(image(values.astype("<u2"), **whole), 0x6002, square, (-1, 29))
    drawn = linear(values, 2048, 4096)
    drawn[:4, 28:] = 255
    yield "overlay 6002 across the edge", file, drawn, ["+Wi", "1", "+O"]
    file = image((values | cross.astype("int64") << 14).astype("<u2"), **whole)
    overlay(file, 0x6000, cross, allocated=16, position=14)
    yield "overlay in unused bits", file, np.where(cross, 255, linear(values, 2048, 4096)), ["+Wi", "1", "+O"]
    flat = np.full((ROWS, COLUMNS), 1000)
    for keyword, value, shape in (
        ("PixelSpacing", ["2", "1"], (2 * ROWS, COLUMNS)),
        ("PixelAspectRatio", ["1", "2"], (ROWS, 2 * COLUMNS)),
        ("ImagerPixelSpacing", ["0.3", "0.2"], (round(1.5 * ROWS), COLUMNS)),
    ):
        file = image(flat.astype("<u2"), **whole, **{keyword: value})
        yield f"{keyword} {value}", file, np.full(shape, linear(1000, 2048, 4096)), None


def odd_cases():
    values = ramp(0, 4095)
    for absent in ("SamplesPerPixel", "PhotometricInterpretation", "BitsStored", "HighBit", "PixelRepresentation"):
        file = image((values << 4 if absent == "BitsStored" else values).astype("<u2"), BitsStored=12)
        if absent == "BitsStored":
            del file.HighBit
        del file[absent]
        yield f"{absent} absent", file, spread(values << 4 if absent == "BitsStored" else values), None
    file = image(values.astype("<u2"), BitsStored=12, PhotometricInterpretation="RGB")
    yield "RGB of one sample", file, spread(values), None
    file = image(values.astype("<u2"), BitsStored=12)
    file.add_new("Rows", "UL", ROWS)
    file.add_new("BitsAllocated", "IS", "16")
    yield "Rows UL, BitsAllocated IS", file, spread(values), None


def by_dcmtk(path, options, folder):
    target = Path(folder) / "dcmtk.png"
    target.unlink(missing_ok=True)
    command = ["dcm2pnm", "-q", "-S", *([] if "+O" in options else ["-O"])]
    command += [option for option in options if option != "+O"] + ["+on", path, target]
    done = subprocess.run(command, capture_output=True, check=False)
    return None if done.returncode or not target.exists() else read_png(target)


def read_png(path):
    return imagecodecs.png_decode(path.read_bytes()).astype("float64")


def apart(one, other):
    one, other = (x if x.ndim == 3 else x[..., None] for x in (one, np.asarray(other, "float64")))
    if one.shape[:2] != other.shape[:2]:
        return f"{one.shape} is not {other.shape}"
    return float(np.abs(one - other).max())


def by_binary(store, path, uid, folder):
    """Our picture through the built program, and its notes; or the reason why there is none."""
    stored = store.take_in(path)
    if isinstance(stored, str):
        return None, stored
    target = Path(folder) / "ours.png"
    wanted = {**stored.ids, "sop_instance_uid": uid, "format": "png", "max_size": 4096}
    done = stored.store.run("call", "get_image_frame", json.dumps(wanted), "--output", target)
    answer = json.loads(done.stdout)
    if done.returncode:
        return None, answer["message"]
    return read_png(target), answer["picture"].get("notes", [])


def main(ours=by_binary):
    parser = argparse.ArgumentParser()
    parser.add_argument("--keep", help="folder for our pictures")
    asked = parser.parse_args()
    same = compared = total = bad = 0
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as folder:
        store = None
        if ours is by_binary:
            from store import Store  # noqa: PLC0415 - it needs the program to be built

            store = Store(data)
        for number, (name, file, expected, options) in enumerate(cases()):
            path = Path(folder) / f"{number}.dcm"
            file.save_as(path, enforce_file_format=False)
            picture, notes = ours(store, path, file.SOPInstanceUID, folder)
            total += 1
            if picture is None:
                print(f"refused  {name}: {notes}")
                bad += 1
                continue
            if asked.keep:
                imagecodecs.imwrite(Path(asked.keep) / f"{number:02} {name.replace('/', ' ')}.png", picture.astype("uint8"))
            far = apart(picture, expected)
            good = not isinstance(far, str) and far <= 1 + 1e-6
            same += good
            if not good:
                print(f"PS3.3    {name}: {far} apart {notes}")
                bad += 1
            if options is None:
                continue
            theirs = by_dcmtk(path, options, folder)
            far = "dcmtk refuses it" if theirs is None else apart(picture, theirs)
            # dcmtk cuts fractions off where it turns YBR into RGB.
            if isinstance(far, str) or far > 2:
                print(f"dcmtk    {name}: {far} apart")
                bad += not isinstance(far, str) or "refuses" not in far
            else:
                compared += 1
    print(f"{total} kinds, {same} within 1 of 255 of PS3.3, {compared} within 2 of dcmtk, {bad} differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
