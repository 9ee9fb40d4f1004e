#!/usr/bin/env python3
"""Streams of other programs through the decoder child of our binary, against decoders of other hands.

    codecs.py CJPEG [--full]

Each frame goes to the very child process that decodes for the server (`decode-frames`), with its limits and its
filter of system calls. What was coded without loss must come back exactly. What was not must be within 2 of what a
decoder says that does not wrap our library: dcmtk's IJG code and Richter's libjpeg (pylibjpeg) for JPEG, the latter for
JPEG-LS too, OpenJPH for HTJ2K. Some of the files are also imported by the command line, without a warning, and the
checksums in their documents compared. Without --full every 23rd stream is taken. Prints a line a difference and a
count; exit status 1 when there was any.
"""

import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter

import imagecodecs
import libjpeg
import numpy as np
import pydicom

import codec_streams as streams
from store import BINARY, PLACE, Store, lines

READY = b"decoder ready\n"
SAMPLE = 23
LOSSY = 2


class Child:
    """The decoder of our binary, as its server starts it."""

    def __init__(self):
        self.start()

    def start(self):
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([BINARY, "decode-frames"], stdin=pipe, stdout=pipe, env={})
        assert self.process.stdout.read(len(READY)) == READY, "the decoder does not start"

    def decode(self, case):
        """Pixels and Photometric Interpretation; what the child says of a frame that it refuses is an exception."""
        shape = {
            "rows": case.rows,
            "columns": case.columns,
            "samples_per_pixel": case.samples,
            "bits_allocated": case.allocated,
            "bits_stored": case.bits,
            "representation": "Signed" if case.signed else "Unsigned",
        }
        request = {
            "transfer_syntax": case.syntax,
            "shape": shape,
            "photometric": case.photometric,
            "planar": "Interleaved",
            "length": len(case.data),
        }
        header = json.dumps({"Frame": request}).encode()
        try:
            self.process.stdin.write(struct.pack("<I", len(header)) + header + case.data)
            self.process.stdin.flush()
            (length,) = struct.unpack("<I", self.process.stdout.read(4))
            answer = json.loads(self.process.stdout.read(length))
        except (struct.error, BrokenPipeError):
            status = self.process.wait()
            self.start()
            raise RuntimeError(f"the child ended with {status}") from None
        if "Err" in answer:
            raise RuntimeError(json.dumps(answer["Err"]))
        pixels = self.process.stdout.read(answer["Ok"]["length"])
        shape = (case.rows, case.columns) + ((case.samples,) if case.samples > 1 else ())
        return np.frombuffer(pixels, case.dtype).reshape(shape), answer["Ok"]["photometric"]


def by_libjpeg(case):
    """Thomas Richter's libjpeg, through pylibjpeg."""
    return libjpeg.decode(case.data, colour_transform=0)


def by_dcmtk(case):
    """dcmtk's own IJG code."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "source", pathlib.Path(folder) / "target"
        shape = (case.rows, case.columns, case.samples, case.allocated, case.bits, case.signed, case.photometric)
        streams.dicom_file(source, case.syntax, case.data, *shape)
        streams.run(["dcmdjpeg", source, target])
        data = pydicom.dcmread(target)
        pixels = np.frombuffer(data.PixelData, "<u2" if case.bits > 8 else "u1")
        if case.samples == 3 and data.PlanarConfiguration == 1:
            return np.moveaxis(pixels[: case.rows * case.columns * 3].reshape(3, case.rows, case.columns), 0, -1)
    return pixels[: case.rows * case.columns * case.samples]


def luminance(pixels):
    """ITU-R BT.601, which JFIF names."""
    return np.rint(pixels.reshape(-1, 3).astype(np.float64) @ (0.299, 0.587, 0.114)).astype(np.int64)


def by_openjph(case):
    """OpenJPH's own command. What imagecodecs makes of lossy streams with it runs over at the ends of the range."""
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "frame.j2c"
        target = pathlib.Path(folder) / ("frame.ppm" if case.samples == 3 else "frame.pgm")
        source.write_bytes(case.data)
        streams.run(["ojph_expand", "-i", source, "-o", target])
        count = case.rows * case.columns * case.samples
        sample = ">u2" if case.bits > 8 else "u1"
        return np.frombuffer(target.read_bytes()[-count * np.dtype(sample).itemsize :], sample)


def by_openjpeg(case):
    return imagecodecs.jpeg2k_decode(case.data)


JUDGES = {"libjpeg": by_libjpeg, "dcmtk": by_dcmtk, "openjph": by_openjph, "openjpeg": by_openjpeg}


def apart(one, other):
    return int(np.abs(one.astype(np.int64) - np.asarray(other).reshape(one.shape).astype(np.int64)).max())


def check(child, case, count):
    """What is wrong with the pixels of a case."""
    found, photometric = child.decode(case)
    if case.pixels is not None:
        difference = apart(found, case.pixels)
        if difference > case.near:
            yield f"differs by up to {difference} from its picture"
        count["exact" if not case.near else "near"] += 1
    for name in case.judges:
        try:
            theirs = JUDGES[name](case)
        except Exception as error:  # noqa: BLE001 - whatever the stranger says
            count[f"refused by {name}"] += 1
            count[f"refused by {name}: {str(error)[:60]}"] += 1
            continue
        if case.chrominance_is_interpolated:
            # Decoders differ in how they spread chrominance over rows, which T.81 leaves to them; luminance is
            # the same, where no color was cut off at an end of the range.
            ours, theirs = (np.asarray(pixels).reshape(-1, 3) for pixels in (found, theirs))
            inside = ((ours > 0) & (ours < (1 << case.bits) - 1) & (theirs > 0) & (theirs < (1 << case.bits) - 1)).all(1)
            difference = apart(luminance(ours[inside]), luminance(theirs[inside]))
        else:
            difference = apart(found, theirs)
        count[f"compared with {name}"] += 1
        if difference > (0 if case.pixels is not None else LOSSY):
            yield f"differs by up to {difference} from {name}"
    expected = "RGB" if case.samples == 3 else case.photometric
    if photometric != expected and case.photometric != photometric:
        yield f"Photometric Interpretation {photometric}"


def check_import(cases):
    """Files of some cases, imported at once: no warning, and the checksum of each is that of its picture."""
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as folder, Store(data) as store:
        wanted = {}
        for number, (name, case) in enumerate(cases):
            shape = (case.rows, case.columns, case.samples, case.allocated, case.bits, case.signed, case.photometric)
            made = streams.dicom_file(pathlib.Path(folder) / str(number), case.syntax, case.data, *shape)
            wanted[made.SOPInstanceUID] = (name, zlib.crc32(case.pixels.astype(case.dtype).tobytes()))
        done = store.run("import", folder, "--datastore", "codecs")
        place = PLACE.search(done.stdout + done.stderr)
        if done.returncode or not place:
            yield f"import: {done.stdout} {done.stderr}"
            return
        datastore, output = place.group(1), pathlib.Path(place.group(2))
        for line in lines(output / "WARNING/warning.ndjson"):
            yield f"import: {json.dumps(line)[:300]}"
        for line in lines(output / "SUCCESS/success.ndjson"):
            response = line["importResponse"]
            ids = {"datastore_id": datastore, "image_set_id": response["imageSetId"]}
            document = store.call("get_image_set_metadata", **ids, max_bytes=10_000_000)["metadata"]
            for series in document["Study"]["Series"].values():
                for sop, instance in series["Instances"].items():
                    name, checksum = wanted.pop(sop)
                    told = instance["ImageFrames"][0]["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]
                    if told != checksum:
                        yield f"{name}: imported with other pixels"
        for name, _ in wanted.values():
            yield f"{name}: not imported"


def main(cjpeg, *options):
    full = "--full" in options
    tools, child = {"cjpeg": cjpeg}, Child()
    count, bad, kept, started = Counter(), 0, [], time.monotonic()
    for number, (name, make) in enumerate(streams.cases(tools)):
        if not full and number % SAMPLE:
            continue
        try:
            case = make()
        except RuntimeError as error:
            count["not made"] += 1
            print(f"not made  {name}: {error}"[:300])
            continue
        count["streams"] += 1
        count[f"of {name.split(',')[0].split(' by ')[0].split(' [')[0].split(' (')[0]}"] += 1
        try:
            told = list(check(child, case, count))
        except RuntimeError as error:
            told = [str(error)]
        for line in told:
            print(f"{name}: {line}")
        bad += bool(told)
        if case.pixels is not None and not case.near and case.bits <= 16 and case.syntax != streams.JPEG_XL and number % 5 == 0:
            kept.append((name, case))
    told = list(check_import(kept))
    count["imported"] = len(kept)
    for line in told:
        print(line)
    bad += len(told)
    print(f"{time.monotonic() - started:.0f} s;", ", ".join(f"{number} {what}" for what, number in sorted(count.items())))
    print(f"{bad} wrong")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
