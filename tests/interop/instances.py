"""Part 10 files that the store gives back, read by pydicom and dcmtk, against the originals.

The same data set, but for what storing changes by design: the transfer syntax and what it says of the
pixels; text that is not ASCII comes back in UTF-8. Explicit VR Little Endian has the pixels of the original.
"""

import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy
import pydicom
from pydicom.pixels import pixel_array

EXPLICIT = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
CHANGED = {
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "SpecificCharacterSet", "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths", "DataSetTrailingPadding",
}
# What decoding makes of the samples: color of its own kind, samples of a pixel together.
DECODED = {"YBR_RCT": "RGB", "YBR_ICT": "RGB", "YBR_FULL": "RGB", "YBR_FULL_422": "RGB"}
CODESTREAMS = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.202"}
NATIVE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", BIG_ENDIAN}
# Decoded JPEG of two decoders may differ a little; these were lossy before they came.
LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81", "1.2.840.10008.1.2.4.91"}


def originals(folder):
    found = collections.defaultdict(list)
    for path in sorted(p for p in pathlib.Path(folder).rglob("*") if p.is_file()):
        try:
            data = pydicom.dcmread(path)
            found[str(data.SOPInstanceUID).strip()].append((path, data))
        except Exception:
            continue
    return found


def text_of(element, syntax):
    """What an element says, without padding and without the VR where the file had none of its own."""
    value = element.value
    if element.VR == "SQ":
        return [attributes(item, syntax) for item in value]
    if isinstance(value, (bytes, bytearray)):
        if syntax == BIG_ENDIAN and element.VR == "OW":
            value = numpy.frombuffer(value, ">u2").astype("<u2").tobytes()
        return bytes(value).rstrip(b"\0")
    if element.VM == 0 or value is None:
        return ""
    if isinstance(value, pydicom.multival.MultiValue):
        return [str(part).strip() for part in value]
    return str(value).strip()


def attributes(data, syntax):
    """Tag to value, group lengths and what storing changes left out."""
    return {
        element.tag: text_of(element, syntax)
        for element in data
        if element.keyword not in CHANGED and element.tag.element != 0
    }


def allowed(original, back):
    """Tags of the pixels' description that decoding may change, when they changed as it does."""
    was, now = original.get("PhotometricInterpretation"), back.get("PhotometricInterpretation")
    native = original.file_meta.TransferSyntaxUID in NATIVE
    plain = "YBR_FULL" if native and was == "YBR_FULL_422" else DECODED.get(was, was)
    # A codestream of RGB carries the reversible transform, and its file says so (PS3.5 8.2.4).
    coded = "YBR_RCT" if plain == "RGB" and back.file_meta.TransferSyntaxUID in CODESTREAMS else plain
    tags = {pydicom.tag.Tag("PhotometricInterpretation")} if now in (was, plain, coded) else set()
    if back.get("PlanarConfiguration", 0) == 0:
        tags.add(pydicom.tag.Tag("PlanarConfiguration"))
    return tags


def differences(original, back):
    """Tags that differ."""
    ours = attributes(back, EXPLICIT)
    theirs = attributes(original, original.file_meta.TransferSyntaxUID)
    differing = {tag for tag in ours.keys() | theirs.keys() if ours.get(tag) != theirs.get(tag)}
    differing -= allowed(original, back)
    return sorted(map(str, differing))


def pixels_differ(original, back):
    if not any(key in original for key in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return None
    syntax = original.file_meta.TransferSyntaxUID
    try:
        expected = pixel_array(original, raw=False)
    except Exception:
        return None  # pydicom cannot decode the original: nothing to compare with
    try:
        found = pixel_array(back, raw=False)
    except Exception as error:
        return f"pixels: {error}"
    if expected.shape != found.shape:
        return f"shape {found.shape}, not {expected.shape}"
    apart = int(numpy.abs(expected.astype("i8") - found.astype("i8")).max()) if expected.size else 0
    return f"pixels differ by up to {apart}" if apart > (4 if syntax in LOSSY else 0) else None


def main(folder):
    warnings.simplefilter("ignore")
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    known = originals(folder)
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run([os.environ["RETRIEVE_BIN"], folder, out], stdout=subprocess.PIPE, check=True)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, "nothing was retrieved"
        wrong, same, compared_pixels, unread = [], 0, 0, 0
        for line in lines:
            dcmtk = subprocess.run(["dcmdump", "-q", line["file"]], capture_output=True)
            if dcmtk.returncode != 0:
                wrong.append((line["sop"], "dcmtk: " + dcmtk.stderr.decode(errors="replace").strip()))
                continue
            back = pydicom.dcmread(line["file"])
            if not known.get(line["sop"]):
                unread += 1
                continue
            problems = []
            for path, original in known[line["sop"]]:
                try:
                    found = differences(original, back)
                except (NotImplementedError, AttributeError) as error:
                    print("  pydicom cannot read", path.name, error)
                    problems = None
                    break
                if not found and line["transfer_syntax"] == EXPLICIT:
                    pixels = pixels_differ(original, back)
                    compared_pixels += 1
                    found = [pixels] if pixels else []
                if not found:
                    problems = None
                    break
                problems.append((path.name, found[:6]))
            if problems is None:
                same += 1
            else:
                wrong.append((line["sop"], problems))
    for sop, problems in wrong:
        print("  differs:", sop, problems)
    print(f"{len(lines)} files retrieved: {same} the same, {len(wrong)} different; pixels of {compared_pixels} compared; "
          f"{unread} of files that pydicom cannot read")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
