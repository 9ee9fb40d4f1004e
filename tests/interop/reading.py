"""pydicom's reading of a file, in the form of the metadata document: the independent side of comparisons."""

import base64
import math
import struct

import pydicom
from pydicom import config
from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import dictionary_VM, dictionary_VR, keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

config.settings.reading_validation_mode = config.IGNORE

BYTES = {"OB", "OW", "OF", "OD", "OL", "OV", "UN"}
NUMBERS = {"US": "H", "SS": "h", "UL": "L", "SL": "l", "UV": "Q", "SV": "q", "FL": "f", "FD": "d"}
CHARSET = {"LO", "LT", "PN", "SH", "ST", "UC", "UT"}
SINGLE = {"LT", "ST", "UT", "UR"}
PIXELS = {0x7FE00010, 0x7FE00008, 0x7FE00009}
OFFSETS = {0x7FE00001, 0x7FE00002}
LARGE = 1 << 20


def key_of(tag):
    """Keyword of a standard element, of a repeating group only of the first; otherwise the digits."""
    keyword = "" if tag.is_private else keyword_for_tag(tag)
    if keyword and (tag.group & 0xFF00 not in (0x5000, 0x6000) or tag.group & 0xFF == 0):
        return keyword
    return f"{tag.group:04X}{tag.element:04X}"


def ambiguous(vr, tag, raw, signed):
    if vr == "US or SS":
        return "SS" if signed else "US"
    if vr == "US or OW":
        return "OW"
    if vr in ("OB or OW", "US or SS or OW"):
        return "OW"
    return vr


def vr_of(tag, raw, signed):
    known = not tag.is_private and keyword_for_tag(tag)
    if raw.VR is not None and not (raw.VR == "UN" and known):
        return raw.VR
    if tag.is_private:
        return "LO" if 0x10 <= tag.element <= 0xFF else "UN"
    try:
        return ambiguous(dictionary_VR(tag), tag, raw, signed)
    except KeyError:
        return "UN"


def number(value):
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        if math.isinf(value):
            return "inf" if value > 0 else "-inf"
    return value


def text_parts(tag, vr, raw, encodings):
    if vr in CHARSET:
        delimiters = {0x5C, 0x3D, 0x5E} if vr == "PN" else {0x09, 0x0A, 0x0C, 0x0D, 0x5C}
        text = decode_bytes(raw, encodings, delimiters)
    else:
        text = raw.decode("latin-1")
    text = text.rstrip("\0")
    known = key_of(tag) != f"{tag.group:04X}{tag.element:04X}"
    parts = [text] if vr in SINGLE or known and dictionary_VM(tag) == "1" else text.split("\\")
    # DS and IS keep their padding, as the service has them.
    return parts if vr in ("DS", "IS") else [part.rstrip(" \0") for part in parts]


def shaped(tag, values):
    """An array whenever the dictionary allows several values."""
    known = not key_of(tag).isalnum() or key_of(tag) != f"{tag.group:04X}{tag.element:04X}"
    if known and dictionary_VM(tag) != "1":
        return values
    if known and values and isinstance(values[0], str):
        return "\\".join(values)
    return values[0] if len(values) == 1 else values


def value_of(tag, vr, element, raw, context):
    signed, encodings, little, implicit = context
    if vr == "SQ":
        items = element.value if isinstance(element.value, Sequence) else None
        return [attributes(item, signed, encodings) for item in items] or None
    private = key_of(tag) == f"{tag.group:04X}{tag.element:04X}"
    if not raw:
        return "" if private and vr in BYTES else None
    if vr in BYTES:
        if not little and vr in ("OW", "OF", "OL", "OD", "OV"):
            unit = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}[vr]
            raw = b"".join(raw[i : i + unit][::-1] for i in range(0, len(raw), unit))
        return None if len(raw) > LARGE else base64.b64encode(raw).decode()
    if vr == "AT":
        form = ("<" if little else ">") + "HH"
        tags = [struct.unpack_from(form, raw, i) for i in range(0, len(raw) - 3, 4)]
        return shaped(tag, [f"{g:04X}{e:04X}" for g, e in tags])
    if vr in NUMBERS:
        code = ("<" if little else ">") + NUMBERS[vr]
        size = struct.calcsize(code)
        found = [struct.unpack_from(code, raw, i)[0] for i in range(0, len(raw) - size + 1, size)]
        return shaped(tag, [number(value) for value in found])
    parts = text_parts(tag, vr, raw, encodings)
    return None if parts == [""] else shaped(tag, parts)


class Trimmed:
    """A value without its padding."""

    def __init__(self, tag, element):
        value = element.value
        many = isinstance(value, pydicom.multival.MultiValue)
        values = [str(v) if isinstance(v, str) else v for v in (value if many else [value])]
        self.value = None if value in (None, "") else shaped(tag, values)

    def __eq__(self, other):
        if isinstance(other, list):
            other = [v.rstrip() if isinstance(v, str) else v for v in other]
        if other == "":
            return self.value is None
        return self.value == (other.rstrip() if isinstance(other, str) else other)

    def __str__(self):
        return str(self.value)


def attributes(data_set, signed=False, encodings=("iso8859",), skip=frozenset()):
    """The elements of a data set as the document shows them, levels not parted."""
    representation = data_set.get(0x00280103)
    if representation is not None and isinstance(representation.value, int):
        signed = representation.value == 1
    if 0x00080005 in data_set:
        value = data_set[0x00080005].value
        encodings = convert_encodings(value)
    found = {}
    little = getattr(data_set, "is_little_endian", True)
    for number_ in sorted(data_set.keys()):
        tag = Tag(number_)
        if tag in skip or (tag.element == 0 and tag.group != 2):
            continue
        raw_element = data_set.get_item(tag)
        if isinstance(raw_element, RawDataElement):
            raw, vr = raw_element.value or b"", vr_of(tag, raw_element, signed)
            element = data_set[tag] if vr == "SQ" else raw_element
            little = raw_element.is_little_endian
        else:
            element, vr, raw = raw_element, raw_element.VR, None
            if vr != "SQ":
                # pydicom has read it for its own use; the padding is gone.
                found[key_of(tag)] = Trimmed(tag, element)
                continue
        context = (signed, encodings, little, None)
        found[key_of(tag)] = value_of(tag, vr, element, raw, context)
    return found


def flattened(document):
    """The levels of our document together."""
    series = next(iter(document["Study"]["Series"].values()))
    instance = next(iter(series["Instances"].values()))
    levels = {}
    for name, level in (
        ("Patient", document["Patient"]["DICOM"]),
        ("Study", document["Study"]["DICOM"]),
        ("Series", series["DICOM"]),
        ("Instance", instance["DICOM"]),
    ):
        for key in level:
            assert key not in levels, f"{key} is at two levels"
            levels[key] = name
    merged = {}
    for level in (document["Patient"], document["Study"], series, instance):
        merged.update(level["DICOM"])
    return merged, levels, instance


def differences(expected, found, path=""):
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted(expected.keys() | found.keys()):
            if key not in found:
                yield f"{path}/{key}: missing"
            elif key not in expected:
                yield f"{path}/{key}: not in the file"
            else:
                yield from differences(expected[key], found[key], f"{path}/{key}")
    elif isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        for index, (one, other) in enumerate(zip(expected, found)):
            yield from differences(one, other, f"{path}/{index}")
    elif expected != found:
        yield f"{path}: pydicom {str(expected)[:80]!r}, document {str(found)[:80]!r}"


def without(value, keys):
    """Text without its padding, and without some keys at any depth."""
    if isinstance(value, dict):
        return {key: without(item, keys) for key, item in value.items() if key not in keys}
    if isinstance(value, list):
        return [without(item, keys) for item in value]
    if isinstance(value, Trimmed):
        value = value.value
    return value.rstrip() or None if isinstance(value, str) else value
