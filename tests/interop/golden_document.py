#!/usr/bin/env python3
"""Compares our metadata document of DICOM files with pydicom's independent reading of them, and what
pydicom reads in the file with what it reads in the file that we write from the document.

    golden_document.py <metadata_document binary> [--differs NAME]... <file or folder> ...

`--differs` names a file that is known to differ, such as one with bytes after the data set, which
pydicom takes for elements, or one with a value of odd length, which is written with its padding.

The binary prints the document and the DICOM JSON of one file, a line each, and writes the instance
again (the example of that name in the crate healthimaging-dicom). Prints one line a difference and a count; exit status 1 when
anything differs. Files that either side refuses are counted and named.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pydicom
from pydicom.tag import Tag

from reading import OFFSETS, PIXELS, attributes, differences, flattened, without


def rewritten(path, original):
    """Differences between a file and what was written from its document."""
    again = pydicom.dcmread(path)
    ours = set()
    if again.get("SpecificCharacterSet") == "ISO_IR 192":
        ours.add("SpecificCharacterSet")
    one = attributes(original, skip=PIXELS | OFFSETS)
    other = attributes(again, skip=PIXELS | OFFSETS)
    yield from differences(without(one, ours), without(other, ours), "written")
    for tag in PIXELS:
        if (tag in original) != (tag in again):
            yield f"written: {Tag(tag)} only on one side"
        elif tag in original:
            pixels = original.get_item(tag).value, again.get_item(tag).value
            if pixels[0] != pixels[1]:
                yield f"written: {Tag(tag)} differs"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--differs", action="append", default=[])
    options = parser.parse_args()
    binary, paths = options.binary, options.paths
    files = []
    for path in map(Path, paths):
        files += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    same = differing = refused = 0
    written = Path(tempfile.mkdtemp()) / "written.dcm"
    for path in files:
        run = subprocess.run([binary, path, written], capture_output=True, check=False)
        if run.returncode:
            words = run.stderr.decode().strip().replace("\n", " ")[:120]
            print(f"refused by us  {path}: {words}")
            refused += 1
            continue
        try:
            file = pydicom.dcmread(path)
            expected = attributes(file.file_meta)
            expected.update(attributes(file, skip=PIXELS | OFFSETS))
        except Exception as error:  # noqa: BLE001 - whatever the stranger says
            print(f"refused by pydicom  {path}: {type(error).__name__} {error}"[:160])
            refused += 1
            continue
        merged, _, _ = flattened(json.loads(run.stdout.splitlines()[0]))
        told = list(differences(expected, merged))
        told += rewritten(written, pydicom.dcmread(path))
        for line in told[:8]:
            print(f"{path}: {line}")
        differing += bool(told) and path.name not in options.differs
        same += not told
    print(f"{same} the same, {differing} different, {refused} refused")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
