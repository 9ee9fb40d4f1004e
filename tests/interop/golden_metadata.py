#!/usr/bin/env python3
"""Imports DICOM files into our store and compares the metadata document that the tool
get_image_set_metadata gives of each with pydicom's independent reading of the file.

    golden_metadata.py <file or folder> ...

Prints one line a difference and a count; exit status 1 when anything
differs. Files that either side refuses are counted and named.
"""

import sys
from collections import Counter

import pydicom

from reading import OFFSETS, PIXELS, attributes, differences, flattened
from store import files_of, shared_store

COERCION = "CoercionOfDataElements"
# Bytes behind the data set, which pydicom takes for an element; a file cut in its fragments, of which pydicom
# returns no element at all.
KNOWN = {"trailing_garbage.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"}
COERCED = ["PhotometricInterpretation", "PlanarConfiguration"]


def compare(store, path, count):
    """Differences of the document and pydicom's reading of a file, a line each."""
    stored = store.take_in(path)
    if isinstance(stored, str):
        print(f"refused by us  {path}: {stored}"[:200])
        count["refused"] += 1
        return []
    document = stored.document()
    if document is None:
        print(f"longer than an answer  {path}")
        count["too long"] += 1
        return []
    try:
        file = pydicom.dcmread(path)
        expected = attributes(file.file_meta)
        expected.update(attributes(file, skip=PIXELS | OFFSETS))
    except Exception as error:  # noqa: BLE001 - whatever the stranger says
        print(f"refused by pydicom  {path}: {type(error).__name__} {error}"[:200])
        count["refused"] += 1
        return []
    merged, _, _ = flattened(document)
    if COERCION in stored.warnings:
        # The pixels are stored in another photometric interpretation, and the import said so.
        for keyword in COERCED:
            expected.pop(keyword, None)
            merged.pop(keyword, None)
    told = list(differences(expected, merged))
    count["different" if told else "the same"] += 1
    return told


def main():
    count, bad = Counter(), 0
    with shared_store() as store:
        for path in files_of(sys.argv[1:]):
            told = compare(store, path, count)
            for line in told[:8]:
                print(f"{path}: {line}")
            bad += bool(told) and path.name not in KNOWN
    print(", ".join(f"{number} {what}" for what, number in sorted(count.items())))
    return 1 if bad or not count["the same"] else 0


if __name__ == "__main__":
    sys.exit(main())
