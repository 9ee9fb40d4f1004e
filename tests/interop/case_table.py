"""What must become of the files of `cases.py`, by name; what is said nowhere here is what `Case` has."""

import dataclasses

import imagecodecs
import numpy as np
from pydicom.encaps import generate_frames


@dataclasses.dataclass(frozen=True)
class Case:
    """One file. Without anything: no warning, comes back equal, and its picture is that of pydicom and of dcmtk."""

    # Warnings of the import: these are needed; none but these and `other_warnings` may come.
    warnings: set = frozenset()
    other_warnings: set = frozenset()
    # The bytes put right for pydicom and dcmtk, where they read none or less of the file.
    readable: object = None
    # pydicom is given what dcmtk made of the file.
    by_dcmtk: bool = False
    # Attributes of the pixels that a reader has to conclude, since the file lacks them or has them wrong.
    attributes: dict = dataclasses.field(default_factory=dict)
    # Values that come back, where pydicom reads others.
    values: dict = dataclasses.field(default_factory=dict)
    # Whether it can be had in Explicit VR Little Endian, if it is not kept as received; by how much a sample may differ
    # there, None: not compared with pydicom.
    explicit: bool = True
    pixels: int | None = 0
    # How many frames have a picture; who shows them otherwise than PS3.3 says.
    frames: int | None = None
    not_by: tuple = ()
    # The levels by the formula of PS3.3, where neither shows it so.
    shown: object = None
    levels: float = 2
    # What the summary of the search has; QIDO-RS matches.
    summary: dict = dataclasses.field(default_factory=dict)
    found_by: tuple = ()


# What the types of warnings are for, in the words of `warning.ndjson`.
COERCED, DISCARDED = "CoercionOfDataElements", "ElementsDiscarded"
NOT_TRANSCODED, NOT_WHOLE = "TranscodingException", "FramesExtractionFailure"
FRAME_NUMBER, OFFSETS, ODD = "FrameNumberMismatch", "InvalidOffsetTable", "Other"


# Bytes put right, so that pydicom and dcmtk read what the file means.


def delimited(data):
    """With the sequence delimiter that the file lacks."""
    return data + bytes([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0])


def without_second_delimiter(data):
    """Without the sequence delimiter that the file ends with, behind another one."""
    assert data.endswith(bytes([0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]) * 2)
    return data[:-8]


def without_offsets(data):
    """Of a basic offset table with one entry, none: both its entry and its length."""
    return data.replace(bytes([0xFE, 0xFF, 0x00, 0xE0, 4, 0, 0, 0, 0, 0, 0, 0]), bytes([0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0]), 1)


def without_zlib(data):
    """The deflated data set, behind the file meta information, without the header of zlib."""
    start = data.index(b"\x78\x9c")
    return data[:start] + data[start + 2 :]


def of_syntax(uid):
    """The file as it would be if it named the transfer syntax that it is in."""
    value = uid.encode() + bytes(len(uid) % 2)

    def change(data):
        start = data.index(b"\x02\x00\x10\x00UI") + 8
        length = int.from_bytes(data[start - 2 : start], "little")
        group = data.index(b"\x02\x00\x00\x00UL") + 8
        of_group = int.from_bytes(data[group : group + 4], "little") + len(value) - length
        return b"".join((
            data[:group], of_group.to_bytes(4, "little"), data[group + 4 : start - 2],
            len(value).to_bytes(2, "little"), value, data[start + length :]))

    return change


def big_endian_pixels(data):
    """The private syntax of GE as Implicit VR Little Endian, pixels too."""
    start = len(data) - 96 * 96 * 2
    pixels = np.frombuffer(data[start:], ">u2").astype("<u2").tobytes()
    return of_syntax("1.2.840.10008.1.2")(data[:start] + pixels)


def filled(length):
    """With zeros for the bytes that are cut off."""
    return lambda data: data + bytes(length)


def upper_case(data):
    return data.replace(b"\x18\x00\x98\x99us", b"\x18\x00\x98\x99US")


# Levels by the formulas of PS3.3.


def stored(file, dtype="<u2"):
    return np.frombuffer(file.PixelData, dtype)[: file.Rows * file.Columns].reshape(file.Rows, file.Columns)


def spread(values, counts=None):
    """From the lowest to the highest value that counts, for want of a window."""
    values = np.asarray(values, "float64")
    inside = values if counts is None else values[counts]
    return np.clip((values - inside.min()) / (inside.max() - inside.min()), 0, 1) * 255


def by_range(file, _frame):
    return spread(stored(file))


def fragment(file):
    """The one frame of encapsulated pixel data."""
    return next(generate_frames(file.PixelData, number_of_frames=1))


def padded_below(file, _frame):
    """PixelPaddingValue as a signed number, whatever VR it was written with; padding is black."""
    values = stored(file, "<i2")
    padding = np.asarray(file.PixelPaddingValue).astype("u2").astype("i2")
    return np.where(values == padding, 0, spread(values, values != padding))


def of_stream(file, _frame):
    """Colors as the decoder of the stream makes them (PS3.5 8.2.4)."""
    return imagecodecs.jpeg2k_decode(fragment(file))


def of_ended_stream(file, _frame):
    return spread(imagecodecs.jpeg2k_decode(fragment(file).rstrip(b"\0") + b"\xff\xd9"))


def of_24_bits(file, _frame):
    data = np.frombuffer(file.PixelData, "u1").reshape(-1, 3).astype("i8")
    return spread((data @ [1, 256, 65536]).reshape(file.Rows, file.Columns))


def of_single_bits(file, _frame):
    """One RLE segment of packed bits, the lowest first (PS3.5 8.1.1, G.3.1)."""
    packed = np.frombuffer(rle_segment(fragment(file)[64:]), "u1")
    bits = np.unpackbits(packed, bitorder="little")[: file.Rows * file.Columns]
    return bits.reshape(file.Rows, file.Columns) * 255


def rle_segment(data):
    out = bytearray()
    while len(data) > 1:
        count = data[0]
        if count < 128:
            out += data[1 : count + 2]
            data = data[count + 2 :]
        else:
            out += data[1:2] * (257 - count) if count > 128 else b""
            data = data[2:] if count > 128 else data[1:]
    return bytes(out)


def short_rle(file, _frame):
    """What the segments hold; 0 for what they lack."""
    data = fragment(file)
    offsets = np.frombuffer(data[4:12], "<u4")
    segments = [rle_segment(data[offsets[0] : offsets[1]]), rle_segment(data[offsets[1] :])]
    count = file.Rows * file.Columns
    high, low = (np.frombuffer(segment[:count].ljust(count, b"\0"), "u1").astype("i8") for segment in segments)
    return linear((high * 256 + low).reshape(file.Rows, file.Columns), file)


def linear(values, file):
    """PS3.3 C.11.2.1.2.1; without a window, the range of the values."""
    if not file.get("WindowWidth"):
        return spread(values)
    center, width = float(file.WindowCenter), float(file.WindowWidth)
    return np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)


def twice_as_high(file, _frame):
    """Pixel Spacing 2 by 1: as many pixels again between the rows, by interpolation."""
    rows = linear(stored(file).astype("float64"), file)
    at = (np.arange(2 * file.Rows) + 0.5) / 2 - 0.5
    below = np.clip(np.floor(at).astype(int), 0, file.Rows - 1)
    above, part = np.clip(below + 1, 0, file.Rows - 1), np.clip(at - below, 0, 1)[:, None]
    return rows[below] * (1 - part) + rows[above] * part


def supplemented(file, _frame):
    """A supplemental palette (C.7.6.19): colors from its first value on; below, gray from the lowest of
    the others to the highest."""
    values = stored(file).astype("i8")
    count, first, bits = file.RedPaletteColorLookupTableDescriptor
    gray = np.repeat(spread(values, values < first)[:, :, None], 3, 2)
    tables = [
        np.frombuffer(file[f"{color}PaletteColorLookupTableData"].value, "<u2")[:count] / (2**bits - 1) * 255
        for color in ("Red", "Green", "Blue")
    ]
    colors = np.stack([table[np.clip(values - first, 0, count - 1)] for table in tables], 2)
    return np.where((values >= first)[:, :, None], colors, gray)


CASES = {
    "a01_no_seq_delim": Case({ODD}, readable=delimited),
    "a03_sq_length_and_delim": Case({ODD}),
    "a05_stray_itemdelim_eof": Case({ODD}),
    "a07_blank_vr": Case({COERCED}, by_dcmtk=True),
    "a10_implicit_meta": Case({ODD}),
    "a14_native_in_jpeg_syntax": Case({ODD}, readable=of_syntax("1.2.840.10008.1.2.1")),
    "a15_jpeg_in_native_syntax": Case({ODD}, readable=of_syntax("1.2.840.10008.1.2.4.70")),
    # The pixel data of the icon is left out, and stands here for what was.
    "a18_encapsulated_icon": Case({DISCARDED}),
    "a19_private_creator_7fe1_implicit": Case(by_dcmtk=True),
    # pydicom does not look for pixels in a deflated data set.
    "a20_zlib_deflated": Case({ODD}, readable=without_zlib, by_dcmtk=True),
    "a21_empty_pixel_data": Case({"SopClassDataMismatch"}, frames=0),
    "a23_cut_file": Case({NOT_WHOLE}, {ODD}, readable=filled(500), pixels=None),
    "a31_ge_private_syntax": Case(readable=big_endian_pixels),
    "a32_lower_case_vr": Case({COERCED}, readable=upper_case),
    # dcmtk does not look into a stream for its color space.
    "b02_jfif_rgb": Case(not_by=("dcmtk",)),
    # dcmtk and pydicom show, or refuse, what lacks in other ways.
    "b05_rle_short": Case({NOT_TRANSCODED}, explicit=False, shown=short_rle),
    # pydicom takes the samples of 12 bits for positive ones, dcmtk extends their sign.
    "b08_jls_signed_12": Case(not_by=("pydicom",), pixels=None),
    "b09_baseline_in_lossless_syntax": Case(pixels=1),
    "b11_palette_16bit_packed_bytes": Case(not_by=("dcmtk",)),
    "b16_window_small": Case(shown=by_range),
    "b17_window_zero": Case(shown=by_range),
    "b20_aspect_spacing": Case(shown=twice_as_high),
    "b26_padding_us_signed": Case(shown=padded_below),
    "b27_ybr422_odd_columns": Case({COERCED}),
    "b29_frames_zero": Case({FRAME_NUMBER}, frames=1),
    # dcmtk's range is that of all three frames.
    "b31_frames_absent_native_3": Case(
        {FRAME_NUMBER}, attributes={"NumberOfFrames": 3}, values={"NumberOfFrames": "3"}, frames=3, not_by=("dcmtk",)),
    "b32_samples_absent": Case(attributes={"SamplesPerPixel": 1}),
    "b34_photometric_absent": Case(attributes={"PhotometricInterpretation": "MONOCHROME2"}),
    "b43_supplemental_palette": Case(shown=supplemented),
    "b47_bot_one_entry_two_frames": Case(
        {OFFSETS}, {ODD}, readable=lambda data: without_offsets(without_second_delimiter(data))),
    "b49_j2k_mct_labelled_ybr_full": Case({COERCED}, pixels=None, shown=of_stream),
    "b51_float_pixels": Case({NOT_TRANSCODED}, shown=lambda file, _: spread(
        np.frombuffer(file.FloatPixelData, "<f4").reshape(file.Rows, file.Columns))),
    "b52_rle_bits_allocated_1": Case({NOT_TRANSCODED}, explicit=False, shown=of_single_bits),
    "b54_dose_32_native": Case({NOT_TRANSCODED}),
    "b61_eot_without_lengths": Case({OFFSETS}, {ODD}, readable=without_second_delimiter),
    # dcmtk shows all black where values are this small.
    "b63_pet_slope_no_window": Case(not_by=("dcmtk",)),
    # pydicom's decoder leaves the point transform out.
    "b69_ljpeg_point_transform_2": Case(not_by=("pydicom",), pixels=None),
    "c01_series_attrs_differ_2": Case({COERCED}),
    "c03_uid_67_chars": Case({"InvalidUidFormat"}),
    "c08_pid_2": Case(found_by=tuple(("instances", {"PatientID": pid}) for pid in ("ID 1 2", "ID 1 2 ", " ID 1 2"))),
    "c10_is_as_decimal": Case(found_by=(
        ("series", {"SeriesNumber": "3"}), ("series", {"SeriesNumber": "3.0"}), ("instances", {"InstanceNumber": "7"}))),
    # Neither pydicom nor dcmtk knows the term; it is that of ISO 2022 IR 149 without code extensions.
    "c20_iso_ir_149": Case(values={"PatientName": "김희중"}),
    "c23_sjis_in_13": Case({COERCED}),
    "c28_korean_no_escape": Case({COERCED}),
    "e02_palette_signed_us_65408": Case(not_by=("pydicom",)),
    "e03_bits_allocated_24": Case({NOT_TRANSCODED}, shown=of_24_bits),
    "e04_bits_allocated_12_packed": Case({NOT_TRANSCODED}),
    "e07_rgb_one_sample": Case(shown=by_range),
    "e09_dose_multiframe": Case({NOT_TRANSCODED}),
    # dcmtk counts the pad byte of an odd number of pixels among them.
    "e13_jpeg_baseline_129x129": Case(not_by=("dcmtk",)),
    # dcmtk alone: of decoders that spread chrominance in other ways, the one that does it as this one.
    "e15_jpeg_baseline_colour_150x240": Case(not_by=("pydicom",)),
    "f01_j2k_no_eoc": Case({ODD}, pixels=None, shown=of_ended_stream),
    "f07_two_fragments_a_frame_bot": Case({ODD}, readable=without_second_delimiter),
    "x_pixrep_two": Case(attributes={"PixelRepresentation": 0}),
    "x_rows_two_values": Case(attributes={"Rows": 96}),
}
