"""Compressed frames of every kind that the store decodes, made by other programs: cjpeg, dcmtk, OpenJPEG's and
OpenJPH's own commands, imagecodecs and pydicom.

`cases(tools)` yields a name and a function for each, so that a sample makes only what it takes.
"""

import itertools
import pathlib
import subprocess
import tempfile
from dataclasses import dataclass

import imagecodecs
import numpy as np
import pydicom
from pydicom.encaps import generate_frames
from pydicom.pixels.encoders.native import _encode_row as _rle_encode_row
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

BASELINE, EXTENDED, LOSSLESS, SV1 = (f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70))
JPEG_LS, JPEG_LS_NEAR, J2K, J2K_LOSSY, HTJ2K, HTJ2K_LOSSY = (f"1.2.840.10008.1.2.4.{n}" for n in (80, 81, 90, 91, 201, 203))
JPEG_XL, RLE = "1.2.840.10008.1.2.4.112", "1.2.840.10008.1.2.5"


@dataclass
class Case:
    """A frame and what it must decode to."""

    syntax: str
    data: bytes
    pixels: np.ndarray | None  # the picture it was made of, where it was coded without loss
    rows: int
    columns: int
    samples: int
    bits: int
    signed: bool = False
    photometric: str = ""
    near: int = 0  # how far samples may be from `pixels`
    # Names of decoders that must agree with ours; see codecs.py.
    judges: tuple = ()
    chrominance_is_interpolated: bool = False

    @property
    def allocated(self):
        return 8 if self.bits <= 8 else 16 if self.bits <= 16 else 32

    @property
    def dtype(self):
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.allocated // 8}")


def picture(rows, columns, samples=1, bits=8, noise=6.0, seed=1):
    """Waves with some noise over the whole range of `bits`, and both of its ends side by side."""
    random = np.random.default_rng(seed * 1_000_003 + rows * 4099 + columns * 17 + samples * 5 + bits)
    y, x, s = np.mgrid[0:rows, 0:columns, 0:samples]
    waves = 0.5 + 0.35 * np.sin(x / 19 + s) + 0.15 * np.cos(y / 13 - s)
    top = (1 << bits) - 1
    values = waves * top + random.normal(0, noise * top / 255, waves.shape)
    values = np.clip(np.rint(values), 0, top).astype(np.uint8 if bits <= 8 else np.uint16)
    if noise:
        values.reshape(-1)[:2] = (0, top)[: min(2, values.size)]
    return values[..., 0] if samples == 1 else values


def portable_map(pixels, bits):
    kind = b"P6" if pixels.ndim == 3 else b"P5"
    header = b"%s\n%d %d\n%d\n" % (kind, pixels.shape[1], pixels.shape[0], (1 << bits) - 1)
    return header + (pixels.tobytes() if bits <= 8 else pixels.astype(">u2").tobytes())


def run(command, data=None):
    done = subprocess.run([str(word) for word in command], input=data, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{command}: {done.stderr.decode(errors='replace')[-300:]}")
    return done.stdout


def case(syntax, data, pixels, bits, **more):
    samples = pixels.shape[2] if pixels.ndim == 3 else 1
    more.setdefault("photometric", "RGB" if samples == 3 else "MONOCHROME2")
    rows, columns = pixels.shape[:2]
    known = pixels if more.pop("exact", True) else None
    return Case(syntax, bytes(data), known, rows, columns, samples, bits, **more)


def dicom_file(path, syntax, frames, rows, columns, samples, allocated, bits, signed, photometric):
    """A file around one frame, native or compressed."""
    data = pydicom.Dataset()
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID, data.PatientID = generate_uid(), generate_uid(), "codecs"
    data.PatientName, data.Modality, data.StudyDate = "Codecs", "OT", "20260101"
    data.Rows, data.Columns, data.SamplesPerPixel = rows, columns, samples
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, bits, bits - 1
    data.PixelRepresentation, data.PhotometricInterpretation = int(signed), photometric
    if samples > 1:
        data.PlanarConfiguration = 0
    meta = pydicom.dataset.FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = syntax, data.SOPClassUID
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    data.file_meta = meta
    if syntax == ExplicitVRLittleEndian:
        data.PixelData = frames + b"\0" * (len(frames) % 2)
        data["PixelData"].VR = "OW" if allocated > 8 else "OB"
    else:
        data.PixelData = pydicom.encaps.encapsulate([frames])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
    data.save_as(path, enforce_file_format=True)
    return data


# JPEG


def cjpeg(tools, pixels, bits, *options):
    return run([tools["cjpeg"], "-precision", bits, *options], portable_map(pixels, bits))


def lossless_jpeg(tools, bits, samples, predictor, transform, restart, size=(37, 53)):
    pixels = picture(*size, samples, bits)
    options = ["-lossless", f"{predictor},{transform}"] + (["-restart", restart] if restart else [])
    data = cjpeg(tools, pixels, bits, *options)
    syntax = SV1 if predictor == 1 and transform == 0 else LOSSLESS
    kept = pixels >> transform << transform
    # Richter's libjpeg gets point transforms wrong, against T.81, dcmtk and cjpeg's own pictures.
    return case(syntax, data, kept, bits, judges=("libjpeg",) if transform == 0 else ("dcmtk",))


def lossless_jpeg_cases(tools):
    grid = itertools.product((8, 12, 16), (1, 3), range(1, 8), range(4), (0, 1, 2))
    for bits, samples, predictor, transform, restart in grid:
        name = f"lossless JPEG, {bits} bits, {samples} samples, predictor {predictor}, Pt {transform}, restart {restart}"
        yield name, lambda a=(bits, samples, predictor, transform, restart): lossless_jpeg(tools, *a)
    for bits in range(2, 17):
        name = f"lossless JPEG, {bits} bits"
        yield name, lambda b=bits: lossless_jpeg(tools, b, 1, 1 + b % 7, 0, b % 3)
    for size in ((1, 1), (1, 600), (600, 1), (129, 129), (512, 512), (2048, 2048), (255, 257)):
        for bits, samples in ((8, 3), (12, 1), (16, 1)):
            name = f"lossless JPEG, {size}, {bits} bits, {samples} samples"
            yield name, lambda a=(bits, samples, 1, 0, 0, size): lossless_jpeg(tools, *a)
    for bits, samples, predictor, transform in itertools.product((8, 12, 16), (1, 3), range(1, 8), range(4)):
        if samples == 3 and bits > 8:
            continue
        name = f"lossless JPEG by dcmtk, {bits} bits, {samples} samples, predictor {predictor}, Pt {transform}"
        options = ["dcmcjpeg", "+el", "+sv", predictor, "+pt", transform]
        yield name, lambda a=(bits, samples, options, transform): by_dcmtk(*a[:3], LOSSLESS, transform=a[3])


def by_dcmtk(bits, samples, command, syntax, near=0, transform=0, size=(45, 61), **more):
    pixels = picture(*size, samples, bits)
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "source", pathlib.Path(folder) / "target"
        photometric = "RGB" if samples == 3 else "MONOCHROME2"
        allocated = 8 if bits <= 8 else 16
        shape = (*pixels.shape[:2], samples, allocated, bits, False, photometric)
        dicom_file(source, ExplicitVRLittleEndian, pixels.tobytes(), *shape)
        run([*command, source, target])
        made = pydicom.dcmread(target)
        data = next(generate_frames(made.PixelData, number_of_frames=1))
    kept = pixels >> transform << transform
    return case(syntax, data, kept, bits, near=near, photometric=made.PhotometricInterpretation, **more)


def lossy_jpeg(tools, size, samples, bits, options):
    pixels = picture(*size, samples, bits, noise=2.0)
    data = cjpeg(tools, pixels, bits, *options)
    photometric = "MONOCHROME2" if samples == 1 else "RGB" if "-rgb" in options else "YBR_FULL_422"
    syntax = BASELINE if bits == 8 else EXTENDED
    interpolated = "1x2" in options
    more = {"photometric": photometric, "judges": ("dcmtk",), "chrominance_is_interpolated": interpolated}
    return case(syntax, data, pixels, bits, exact=False, **more)


SAMPLINGS = ("1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "3x1")


def lossy_jpeg_cases(tools):
    sides = (1, 2, 7, 8, 9, 15, 16, 17, 31, 33, 64, 128, 129, 130, 255, 512)
    for rows, columns in [*itertools.product(sides[:10], sides[:10]), *zip(sides, reversed(sides)), (1023, 1025), (2048, 2048)]:
        for samples, bits in ((1, 8), (3, 8), (1, 12)):
            name = f"JPEG, {rows}x{columns}, {samples} samples, {bits} bits"
            yield name, lambda a=((rows, columns), samples, bits, ["-quality", 90]): lossy_jpeg(tools, *a)
    for sampling, quality, progressive, restart in itertools.product(SAMPLINGS, (50, 90, 100), ((), ("-progressive",)), (0, 1, 2)):
        options = ["-quality", quality, "-sample", sampling, *progressive, "-restart", restart]
        for size in ((150, 131), (64, 240)):
            name = f"JPEG {size} {options}"
            yield name, lambda a=(size, 3, 8, options): lossy_jpeg(tools, *a)
    for bits, kind, progressive, restart in itertools.product((8, 12), ("-grayscale", "-rgb"), ((), ("-progressive",)), ("0", "1", "5B")):
        options = ["-quality", 85, kind, *progressive, "-restart", restart]
        samples = 1 if kind == "-grayscale" else 3
        name = f"JPEG, {bits} bits, {options}"
        yield name, lambda a=((133, 171), samples, bits, options): lossy_jpeg(tools, *a)
    for sampling in SAMPLINGS[:4]:
        name = f"JPEG, 12 bits, YCbCr, sampling {sampling}"
        yield name, lambda s=sampling: lossy_jpeg(tools, (133, 171), 3, 12, ["-quality", 90, "-sample", s])


# JPEG-LS, RLE, JPEG XL


def jpeg_ls_cases(tools):
    for bits, near in itertools.product((2, 5, 8, 10, 12, 15, 16), range(4)):
        for size in ((1, 1), (3, 200), (200, 3), (129, 129), (513, 511)):
            name = f"JPEG-LS, {size}, {bits} bits, near {near}"
            yield name, lambda a=(size, bits, near): jpeg_ls(*a)
    for bits, samples, mode, near in itertools.product((8, 12, 16), (1, 3), ("+il", "+is", "+in"), range(4)):
        if samples == 3 and bits > 8:
            continue
        options = ["dcmcjpls", *(("+en", "+md", near) if near else ("+el",)), mode]
        name = f"JPEG-LS by dcmtk, {bits} bits, {samples} samples, {mode[1:]}, near {near}"
        syntax = JPEG_LS_NEAR if near else JPEG_LS
        yield name, lambda a=(bits, samples, options, syntax, near): by_dcmtk(*a, judges=("libjpeg",))


def jpeg_ls(size, bits, near):
    pixels = picture(*size, 1, bits)
    data = imagecodecs.jpegls_encode(pixels, level=near)
    return case(JPEG_LS_NEAR if near else JPEG_LS, data, pixels, bits, near=near, judges=("libjpeg",))


def rle_cases(tools):
    sizes = ((1, 1), (1, 300), (300, 1), (64, 64), (129, 131), (512, 512))
    for size, bits, samples in itertools.product(sizes, (8, 12, 16, 32), (1, 3)):
        yield f"RLE by pydicom, {size}, {bits} bits, {samples} samples", lambda a=(size, bits, samples): rle(*a)
    for bits, samples in ((8, 1), (12, 1), (16, 1), (8, 3)):
        name = f"RLE by dcmtk, {bits} bits, {samples} samples"
        yield name, lambda a=(bits, samples): by_dcmtk(*a, ["dcmcrle"], RLE)


def rle(size, bits, samples):
    if bits == 32:
        pixels = picture(*size, samples, 16).astype("<u4") * np.uint32(65_537)
    else:
        pixels = picture(*size, samples, bits)
    planes = pixels.reshape(*size, samples)
    segments = []
    for sample, byte in itertools.product(range(samples), reversed(range(pixels.itemsize))):
        plane = planes[..., sample].astype(planes.dtype.newbyteorder("<")).view("u1").reshape(*size, pixels.itemsize)[..., byte]
        segments.append(b"".join(_rle_encode_row(np.ascontiguousarray(row)) for row in plane))
        segments[-1] += b"\0" * (len(segments[-1]) % 2)
    offsets = [64, *(64 + total for total in itertools.accumulate(map(len, segments)))][: len(segments)]
    header = np.array([len(segments), *offsets] + [0] * (15 - len(offsets)), "<u4").tobytes()
    return case(RLE, header + b"".join(segments), pixels, bits)


def jpeg_xl_cases(tools):
    for size, samples, bits, effort in itertools.product(((1, 1), (65, 70), (300, 257)), (1, 3), (8, 12, 16), (1, 4, 7)):
        name = f"JPEG XL, {size}, {samples} samples, {bits} bits, effort {effort}"
        yield name, lambda a=(size, samples, bits, effort): jpeg_xl(*a)


def jpeg_xl(size, samples, bits, effort):
    pixels = picture(*size, samples, bits)
    data = imagecodecs.jpegxl_encode(pixels, lossless=True, effort=effort, bitspersample=bits)
    return case(JPEG_XL, data, pixels, bits)


# JPEG 2000 and HTJ2K


def j2k(options, size=(133, 171), samples=1, bits=12, signed=False, syntax=J2K, exact=True):
    pixels = picture(*size, samples, bits)
    if signed:
        pixels = (pixels.astype(np.int32) - (1 << (bits - 1))).astype(np.int8 if bits <= 8 else np.int16)
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "a.raw", pathlib.Path(folder) / "a.j2k"
        planes = np.moveaxis(pixels, -1, 0) if samples > 1 else pixels
        source.write_bytes(planes.astype(planes.dtype.newbyteorder(">")).tobytes())
        kind = "s" if signed else "u"
        raw = f"{size[1]},{size[0]},{samples},{bits},{kind}"
        run(["opj_compress", "-i", source, "-o", target, "-F", raw, *options])
        data = target.read_bytes()
    return case(syntax, data, pixels, bits, signed=signed, exact=exact, judges=("openjpeg",) if not exact else ())


def j2k_cases(tools):
    options = [[]]
    options += [["-p", order, "-n", levels] for order in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL") for levels in (1, 3, 6)]
    options += [["-b", block] for block in ("4,4", "64,64", "32,16", "1024,4")]
    options += [["-t", tile] for tile in ("64,64", "50,33", "128,32")]
    options += [["-c", "[64,64],[32,32]"], ["-SOP", "-EPH"], ["-TP", "R", "-p", "RPCL"], ["-TP", "C"], ["-r", "8,4,1"]]
    options += [["-M", mode] for mode in (1, 2, 4, 8, 16, 32, 63)]
    for option, (samples, bits, signed) in itertools.product(options, ((1, 8, False), (1, 12, False), (1, 16, True), (3, 8, False))):
        name = f"JPEG 2000 {option}, {samples} samples, {bits} bits{', signed' * signed}"
        yield name, lambda a=(option, (133, 171), samples, bits, signed): j2k(*a)
    for size, bits in itertools.product(((1, 1), (1, 300), (300, 1), (17, 5), (512, 512), (2048, 2048)), (8, 16)):
        yield f"JPEG 2000 {size}, {bits} bits", lambda a=(size, bits): j2k(["-n", 1] if min(a[0]) < 32 else [], a[0], 1, a[1])
    for samples, bits, rate in itertools.product((1, 3), (8, 12), (5, 20)):
        name = f"JPEG 2000 lossy, {samples} samples, {bits} bits, rate {rate}"
        yield name, lambda a=(samples, bits, rate): j2k(["-I", "-r", a[2]], (133, 171), a[0], a[1], False, J2K_LOSSY, False)


def htj2k(options, size=(133, 171), samples=1, bits=12, syntax=HTJ2K, exact=True):
    pixels = picture(*size, samples, bits)
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / ("a.ppm" if samples == 3 else "a.pgm")
        target = pathlib.Path(folder) / "a.j2c"
        source.write_bytes(portable_map(pixels, bits))
        run(["ojph_compress", "-i", source, "-o", target, *options])
        data = target.read_bytes()
    return case(syntax, data, pixels, bits, exact=exact, judges=("openjph",))


def htj2k_cases(tools):
    options = [[]]
    options += [["-num_decomps", levels, "-prog_order", order] for levels in (1, 3, 5) for order in ("LRCP", "RLCP", "RPCL", "PCRL", "CPRL")]
    options += [["-block_size", block] for block in ("{4,4}", "{64,64}", "{32,32}", "{1024,4}", "{4,1024}", "{128,16}")]
    options += [["-tile_size", tile] for tile in ("{64,64}", "{50,33}")]
    options += [["-precincts", "{128,128},{64,64}"]]
    for option, (samples, bits) in itertools.product(options, ((1, 8), (1, 12), (1, 16), (3, 8))):
        name = f"HTJ2K {option}, {samples} samples, {bits} bits"
        yield name, lambda a=(option, samples, bits): htj2k(["-reversible", "true", *a[0]], (133, 171), a[1], a[2])
    for size, bits in itertools.product(((64, 64), (129, 129), (512, 512), (2048, 2048)), (8, 16)):
        yield f"HTJ2K {size}, {bits} bits", lambda a=(size, bits): htj2k(["-reversible", "true"], a[0], 1, a[1])
    for samples, bits, step in itertools.product((1, 3), (8, 12), (0.001, 0.01)):
        name = f"HTJ2K lossy, {samples} samples, {bits} bits, step {step}"
        yield name, lambda a=(samples, bits, step): htj2k(["-qstep", a[2]], (133, 171), a[0], a[1], HTJ2K_LOSSY, False)
    for size, samples, bits in itertools.product(((64, 64), (200, 100)), (1, 3), (8, 12)):
        name = f"HTJ2K by imagecodecs, {size}, {samples} samples, {bits} bits"
        yield name, lambda a=(size, samples, bits): htj2k_imagecodecs(*a)


def htj2k_imagecodecs(size, samples, bits):
    pixels = picture(*size, samples, bits)
    return case(HTJ2K, imagecodecs.htj2k_encode(pixels, reversible=True), pixels, bits, judges=("openjph",))


FAMILIES = (
    lossless_jpeg_cases,
    lossy_jpeg_cases,
    jpeg_ls_cases,
    rle_cases,
    jpeg_xl_cases,
    j2k_cases,
    htj2k_cases,
)


def cases(tools):
    for family in FAMILIES:
        yield from family(tools)
