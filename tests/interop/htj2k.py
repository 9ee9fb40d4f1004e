#!/usr/bin/env python3
"""HTJ2K frames of every kind that we encode, as `GetImageFrame` returns them, in other people's decoders.

    htj2k.py JAVASCRIPT

Files of every bit depth, signed and unsigned, of one and three components and of sizes from one sample on are imported by
a server; boto3 fetches each frame. The frame is decoded as the documentation of AWS does it (`openjpeg.utils.decode` with
format 2, JP2), by imagecodecs (OpenJPH and OpenJPEG) and by Cornerstone's OpenJPH, whose packages lie in JAVASCRIPT; the
bare codestream by ojph_expand. What they return has to be the samples of the file, in type and checksum too. The first
bytes of a frame, fetched by a range, have to decode to its small resolutions. Prints a line a difference and a count; exit
status 1 when there was any.
"""

import gzip
import itertools
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from collections import Counter

import imagecodecs
import numpy as np
import openjpeg.utils
import requests
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from frames import expand
from sdk import image_sets, imported, medical_imaging
from served import served

OPJ_CODEC_JP2 = 2
SIZES = [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (1, 77), (77, 1), (1, 4097), (4000, 2), (63, 65), (64, 64), (128, 65),
         (130, 70), (512, 512)]
DEPTHS = [(8, bits) for bits in range(1, 9)] + [(16, bits) for bits in range(1, 17)]
COLORS = ["MONOCHROME2", "RGB", "YBR_FULL"]


def wanted():
    """Size, bits allocated, bits stored, signedness and colors of each file."""
    cases = set(itertools.product([(64, 64), (1, 7)], DEPTHS, (False, True), COLORS))
    return sorted(cases | set(itertools.product(SIZES, [(8, 8), (16, 8), (16, 12), (16, 16)], (False, True), COLORS)))


def painted(size, allocated, bits, signed, colors, random):
    """Samples of which many are the lowest or the highest value."""
    lowest, above = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    shape = size if colors == "MONOCHROME2" else (*size, 3)
    samples = random.integers(lowest, above, shape)
    kind = random.random(shape)
    samples[kind < 0.4] = lowest
    samples[kind > 0.8] = above - 1
    return samples.astype(f"<{'i' if signed else 'u'}{allocated // 8}")


def file_of(samples, allocated, bits, signed, colors, number, uids):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID, data.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    data.StudyInstanceUID, data.SeriesInstanceUID = uids
    data.PatientID, data.Modality, data.InstanceNumber = "HTJ2K", "OT", number
    data.SamplesPerPixel, data.PhotometricInterpretation = samples.shape[2] if samples.ndim == 3 else 1, colors
    if samples.ndim == 3:
        data.PlanarConfiguration = 0
    data.Rows, data.Columns = samples.shape[:2]
    data.BitsAllocated, data.BitsStored, data.HighBit = allocated, bits, bits - 1
    data.PixelRepresentation = int(signed)
    pixels = samples.tobytes()
    data.PixelData = pixels + b"\0" * (len(pixels) % 2)
    data["PixelData"].VR = "OB" if allocated == 8 else "OW"
    return data


def segments(codestream):
    """Marker segments of the main header, and where the first tile-part begins."""
    at, found = 2, {}
    while (marker := struct.unpack_from(">H", codestream, at)[0]) != 0xFF90:
        length = struct.unpack_from(">H", codestream, at + 2)[0]
        found[marker] = codestream[at + 4:at + 2 + length]
        at += 2 + length
    return found, at


def resolutions(codestream):
    """Length of the codestream up to the end of each resolution, as its TLM segment says."""
    found, at = segments(codestream)
    lengths = [length for _, length in struct.iter_unpack(">HI", found[0xFF55][2:])]
    return list(itertools.accumulate(lengths, initial=at))[1:]


def check_boxes(frame, samples):
    """The boxes before the codestream, byte by byte (ISO/IEC 15444-1 Annex I)."""
    rows, columns = samples.shape[:2]
    count = samples.shape[2] if samples.ndim == 3 else 1
    bits = frame[85 + 42]
    expected = (
        bytes.fromhex("0000000C6A5020200D0A870A") + bytes.fromhex("00000014") + b"ftypjp2 \0\0\0\0jp2 "
        + bytes.fromhex("0000002D") + b"jp2h" + bytes.fromhex("00000016") + b"ihdr"
        + struct.pack(">IIHBBBB", rows, columns, count, bits, 7, 0, 0)
        + bytes.fromhex("0000000F") + b"colr" + struct.pack(">BBBI", 1, 0, 0, 17 if count == 1 else 16)
        + bytes(4) + b"jp2c")
    if frame[:85] != expected or frame[85:89] != b"\xff\x4f\xff\x51":
        yield f"the boxes are {frame[:89].hex()}"


def by_openjph(frame, samples):
    """imagecodecs' OpenJPH takes components that are not transformed together plane by plane."""
    together = segments(frame[85:])[0][0xFF52][4] == 1
    if samples.ndim == 2 or together:
        return imagecodecs.htj2k_decode(frame)
    return np.moveaxis(imagecodecs.htj2k_decode(frame, planar=True), 0, -1)


def decoders(frame, samples):
    bare = frame[85:]
    yield "openjpeg.utils as JP2", lambda: openjpeg.utils.decode(frame, OPJ_CODEC_JP2)
    yield "openjpeg.utils, bare", lambda: openjpeg.utils.decode(bare)
    yield "imagecodecs OpenJPEG", lambda: imagecodecs.jpeg2k_decode(frame)
    yield "imagecodecs OpenJPH", lambda: by_openjph(frame, samples)


def check(frame, document, samples, folder):
    """Faults of a frame, a line each."""
    yield from check_boxes(frame, samples)
    if document["FrameSizeInBytes"] != len(frame):
        yield f"FrameSizeInBytes is {document['FrameSizeInBytes']}, not {len(frame)}"
    checksum = document["PixelDataChecksumFromBaseToFullResolution"][-1]["Checksum"]
    if checksum != zlib.crc32(samples.tobytes()):
        yield "the checksum is not that of the file"
    for name, decode in decoders(frame, samples):
        # As AWS's verification does it: what comes out, whatever its type.
        found = np.asarray(decode())
        if zlib.crc32(np.ascontiguousarray(found).tobytes()) != checksum or found.dtype != samples.dtype:
            yield f"{name}: returns other samples ({found.dtype})"
    if samples.dtype.kind == "u":
        found = expand(frame[85:], folder)
        if found is None or not np.array_equal(found.reshape(samples.shape), samples):
            yield "ojph_expand: other samples, or none"
    ends = resolutions(frame[85:])
    if ends[-1] + 2 != len(frame) - 85 or len(ends) != segments(frame[85:])[0][0xFF52][5] + 1:
        yield f"TLM does not list one tile-part a resolution: {ends}"


def by_cornerstone(place, folder):
    """What Cornerstone's codec makes of every `.jp2` of the folder: a `.raw` beside it."""
    script = shutil.copy(pathlib.Path(__file__).parent / "javascript/htj2k.mjs", place)
    subprocess.run([place / "node_modules/.bin/node", script, folder], check=True, timeout=300)


def is_for_cornerstone(case):
    """Its codec cuts negative values of streams of 8 bits and less, and mixes up untransformed components."""
    _, (allocated, _), signed, colors = case
    return not (signed and allocated == 8) and colors != "YBR_FULL"


def check_ranges(address, datastore, image_set, frame_id, frame):
    """The first bytes alone give the small resolutions."""
    url = f"http://{address}/datastore/{datastore}/imageSet/{image_set}/getImageFrame"
    ask = lambda value: requests.post(url, json={"imageFrameId": frame_id}, headers={"Range": value}, timeout=60)
    ends = resolutions(frame[85:])
    for number, end in enumerate(ends):
        answer = ask(f"bytes=0-{85 + end - 1}")
        assert answer.status_code == 206 and answer.content == frame[:85 + end], answer.headers
        assert answer.headers["Content-Range"] == f"bytes 0-{85 + end - 1}/{len(frame)}", answer.headers
        skipped = len(ends) - 1 - number
        part = imagecodecs.htj2k_decode(answer.content, skipres=skipped, resilient=True)
        if not np.array_equal(part, imagecodecs.htj2k_decode(frame, skipres=skipped)):
            yield f"the first {end} bytes do not give resolution {number}"
    assert ask("bytes=-10").content == frame[-10:]
    refused = ask(f"bytes={len(frame)}-")
    assert refused.status_code == 416 and refused.headers["Content-Range"] == f"bytes */{len(frame)}", refused.headers
    assert ask("bytes=0-1,5-6").status_code == 200


def check_web_ranges(address, datastore, data):
    """Two ranges of a frame in DICOMweb are the whole."""
    url = (f"http://{address}/datastore/{datastore}/studies/{data.StudyInstanceUID}/series/{data.SeriesInstanceUID}"
           f"/instances/{data.SOPInstanceUID}/frames/1")
    accept = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.4.202'
    ask = lambda **more: requests.get(url, headers={"Accept": accept, **more}, timeout=60)
    whole = ask()
    assert whole.status_code == 200 and whole.headers["Accept-Ranges"] == "bytes", whole.headers
    first, rest = ask(Range="bytes=0-299"), ask(Range="bytes=300-")
    assert first.status_code == rest.status_code == 206, first.headers
    assert first.headers["Content-Range"] == f"bytes 0-299/{len(whole.content)}", first.headers
    assert first.headers["Content-Type"] == rest.headers["Content-Type"] == whole.headers["Content-Type"]
    assert first.content + rest.content == whole.content
    codestream = whole.content.split(b"\r\n\r\n", 1)[1]
    assert codestream.startswith(b"\xff\x4f\xff\x51"), "a bare codestream"


def main(place):
    place, cases, random = pathlib.Path(place), wanted(), np.random.default_rng(20261129)
    count, bad = Counter(), 0
    with tempfile.TemporaryDirectory() as work:
        folders = {name: pathlib.Path(work, name) for name in ("files", "output", "frames")}
        for folder in folders.values():
            folder.mkdir()
        uids, files = (generate_uid(), generate_uid()), {}
        for number, (size, (allocated, bits), signed, colors) in enumerate(cases, 1):
            samples = painted(size, allocated, bits, signed, colors, random)
            data = file_of(samples, allocated, bits, signed, colors, number, uids)
            data.save_as(folders["files"] / f"{number}.dcm", enforce_file_format=True)
            files[data.SOPInstanceUID] = (cases[number - 1], samples, data)
        with served(allow=[folders["files"], folders["output"]]) as address:
            ahi = medical_imaging(f"http://u@{address}")
            datastore = imported(ahi, folders["files"], folders["output"])
            warned = [path.read_text() for path in folders["output"].rglob("warning.ndjson")]
            assert not any(warned), f"frames are not encoded: {warned[0][:500]}"
            (row,) = image_sets(ahi, datastore)
            ids = {"datastoreId": datastore, "imageSetId": row["imageSetId"]}
            metadata = json.loads(gzip.decompress(ahi.get_image_set_metadata(**ids)["imageSetMetadataBlob"].read()))
            (series,) = metadata["Study"]["Series"].values()
            assert len(series["Instances"]) == len(files)
            for uid, instance in series["Instances"].items():
                (document,) = instance["ImageFrames"]
                case, samples, data = files[uid]
                answer = ahi.get_image_frame(**ids, imageFrameInformation={"imageFrameId": document["ID"]})
                frame = answer["imageFrameBlob"].read()
                assert answer["contentType"] == "image/jph"
                told = list(check(frame, document, samples, work))
                if case == ((512, 512), (16, 12), False, "MONOCHROME2"):
                    told += check_ranges(address, datastore, row["imageSetId"], document["ID"], frame)
                    check_web_ranges(address, datastore, data)
                    count["progressive"] += 1
                (folders["frames"] / f"{uid}.jp2").write_bytes(frame)
                count["frames"] += 1
                for line in told:
                    print(f"{case}: {line}")
                bad += bool(told)
        by_cornerstone(place, folders["frames"])
        for uid, (case, samples, _) in files.items():
            if is_for_cornerstone(case):
                count["by Cornerstone"] += 1
                raw = folders["frames"] / f"{uid}.jp2.raw"
                if not raw.exists() or raw.read_bytes() != samples.tobytes():
                    print(f"{case}: Cornerstone: other samples, or none")
                    bad += 1
    assert count["progressive"] == 1
    print(", ".join(f"{number} {what}" for what, number in sorted(count.items())), f"{bad} bad", sep="; ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
