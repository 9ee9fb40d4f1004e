#!/usr/bin/env python3
"""Reports that get_report reads, against pydicom: every item of the content tree, and what presentation states refer to.

    reports.py [FOLDER]

A made-up report has each value type and coded entries of every form; FOLDER adds the reports of its files. Exit status 1
when an item differs.
"""

import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

BINARY = os.environ["HEALTHIMAGING_BIN"]
SR = "1.2.840.10008.5.1.4.1.1.88."
STATE = "1.2.840.10008.5.1.4.1.1.11."


def item(**attributes):
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def coded(meaning, **value):
    return Sequence([item(CodeMeaning=meaning, **(value or {"CodeValue": "T-1", "CodingSchemeDesignator": "99TEST"}))])


def made_up():
    """A report with each value type (PS3.3 C.17.3)."""
    referred = item(ReferencedSOPClassUID=SR + "11", ReferencedSOPInstanceUID="1.2.3", ReferencedFrameNumber=[2, 3])
    content = [
        item(ValueType="TEXT", TextValue="Größe \\ Lage"),
        item(ValueType="CODE", ConceptCodeSequence=coded("long", LongCodeValue="a code longer than sixteen",
                                                         CodingSchemeDesignator="99TEST")),
        item(ValueType="CODE", ConceptCodeSequence=coded("urn", URNCodeValue="urn:oid:1.2")),
        item(ValueType="NUM", MeasuredValueSequence=Sequence([item(NumericValue="-1.50", MeasurementUnitsCodeSequence=coded(
            "millimeter", CodeValue="mm", CodingSchemeDesignator="UCUM"))])),
        item(ValueType="NUM", NumericValueQualifierCodeSequence=coded("not a number")),
        item(ValueType="DATE", Date="20260102"), item(ValueType="TIME", Time="101112"),
        item(ValueType="DATETIME", DateTime="20260102101112"), item(ValueType="PNAME", PersonName="DOE^JANE"),
        item(ValueType="UIDREF", UID="1.2.3.4"),
        item(ValueType="SCOORD", GraphicType="POLYLINE", GraphicData=[1, 2.5, 3, 4]),
        item(ValueType="TCOORD", TemporalRangeType="POINT", ReferencedTimeOffsets=["1.5"]),
        item(ValueType="IMAGE", ReferencedSOPSequence=Sequence([referred])),
        item(ReferencedContentItemIdentifier=[1, 4]),
        item(ValueType="CONTAINER", ContentSequence=Sequence([item(ValueType="TEXT", TextValue="below")])),
    ]
    for at, one in enumerate(content):
        one.RelationshipType = "CONTAINS"
        if "ValueType" in one:
            one.ConceptNameCodeSequence = coded(f"concept {at}")
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SR + "33"
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["report"])
    made = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    made.update(item(SOPClassUID=SR + "33", SOPInstanceUID=meta.MediaStorageSOPInstanceUID, PatientID="R1", PatientName="A^B",
                     StudyInstanceUID=generate_uid(entropy_srcs=["study"]), SpecificCharacterSet="ISO_IR 192", Modality="SR",
                     SeriesInstanceUID=generate_uid(entropy_srcs=["series"]), ValueType="CONTAINER",
                     ConceptNameCodeSequence=coded("Report"), ContentSequence=Sequence(content)))
    return made


def text(value):
    found = None if value is None else str(value).rstrip(" \0")
    return found or None


def code(node, keyword):
    sequence = node.get(keyword)
    if not sequence:
        return None
    entry = sequence[0]
    value = next((text(entry.get(k)) for k in ("CodeValue", "LongCodeValue", "URNCodeValue") if entry.get(k)), None)
    found = {"meaning": text(entry.get("CodeMeaning")), "value": value, "scheme": text(entry.get("CodingSchemeDesignator"))}
    found = {key: one for key, one in found.items() if one}
    return found if "meaning" in found or "value" in found else None


def several(value):
    if value is None or value == "":
        return []
    return [str(one) for one in value] if isinstance(value, (list, pydicom.multival.MultiValue)) else [str(value)]


def items(node, position="1"):
    """The items of a content tree as (position, facts)."""
    kind = text(node.get("ValueType"))
    key = {"TEXT": "TextValue", "DATE": "Date", "TIME": "Time", "DATETIME": "DateTime", "PNAME": "PersonName", "UIDREF": "UID",
           "SCOORD": "GraphicType", "SCOORD3D": "GraphicType", "TCOORD": "TemporalRangeType"}.get(kind)
    value = text(node.get(key)) if key else None
    if kind == "NUM" and node.get("MeasuredValueSequence"):
        value = [float(one) for one in several(node.MeasuredValueSequence[0].get("NumericValue"))]
    measured = (node.get("MeasuredValueSequence") or [Dataset()])[0]
    referred = (node.get("ReferencedSOPSequence") or [None])[0]
    facts = {
        "value_type": kind, "relationship": text(node.get("RelationshipType")), "name": code(node, "ConceptNameCodeSequence"),
        "value": value or None, "code": code(node, "ConceptCodeSequence") if kind == "CODE" else None,
        "unit": code(measured, "MeasurementUnitsCodeSequence"), "qualifier": code(node, "NumericValueQualifierCodeSequence"),
        "reference": referred and (text(referred.get("ReferencedSOPInstanceUID")), several(referred.get("ReferencedFrameNumber"))),
        "refers_to": ".".join(several(node.get("ReferencedContentItemIdentifier"))) or None,
        "numbers": len(several(node.get("GraphicData"))) if kind in ("SCOORD", "SCOORD3D") else None,
    }
    yield position, facts
    for at, below in enumerate(node.get("ContentSequence") or [], 1):
        yield from items(below, f"{position}.{at}")


def read(one):
    """The same facts of an item of an answer."""
    value, reference = one.get("value"), one.get("reference")
    if one.get("value_type") == "NUM" and value:
        value = [float(part) for part in value.split("\\")]
    return {
        **{key: one.get(key) for key in ("value_type", "relationship", "name", "code", "unit", "qualifier", "refers_to")},
        "value": value, "reference": reference and (reference.get("sop_instance_uid"), reference.get("frames", [])),
        "numbers": len(one.get("coordinates", [])) if one.get("value_type") in ("SCOORD", "SCOORD3D") else None,
    }


def call(data, **asked):
    answer = subprocess.run([BINARY, "--backend", "local", "--data-dir", data, "call", "get_report", json.dumps(asked)],
                            capture_output=True, text=True)
    return json.loads(answer.stdout) if answer.returncode == 0 else answer.stderr.strip()


def check(data, file):
    """What differs, as text; None if nothing does."""
    found, start, kind = [], 0, "references" if file.SOPClassUID.startswith(STATE) else "items"
    while start is not None:
        answer = call(data, sop_instance_uid=str(file.SOPInstanceUID), format="json", start=start)
        if isinstance(answer, str):
            return answer
        found += answer.get(kind, [])
        start = answer.get("next_start")
    if kind == "references":
        expected = [(text(one.get("ReferencedSOPInstanceUID")), text(series.get("SeriesInstanceUID")))
                    for series in file.get("ReferencedSeriesSequence") or []
                    for one in series.get("ReferencedImageSequence") or []]
        found = [(one.get("sop_instance_uid"), one.get("series_instance_uid")) for one in found]
        return None if found == expected else f"{found}, not {expected}"
    expected = list(items(file))
    if [one["position"] for one in found] != [position for position, _ in expected]:
        return f"{len(found)} items, not {len(expected)}"
    for one, (position, facts) in zip(found, expected):
        if read(one) != facts:
            return f"item {position}: {read(one)}, not {facts}"
    return None


def main(folder=None):
    warnings.simplefilter("ignore")
    checked, failed = 0, 0
    with tempfile.TemporaryDirectory() as scans, tempfile.TemporaryDirectory() as data:
        made_up().save_as(Path(scans, "report.dcm"), enforce_file_format=True)
        paths = [Path(scans, "report.dcm"), *(sorted(p for p in Path(folder).rglob("*") if p.is_file()) if folder else [])]
        reports = {}
        for path in paths:
            try:
                file = pydicom.dcmread(path)
                is_report = file.SOPClassUID.startswith((SR, STATE))
            except Exception:  # pydicom cannot read it, or it has no SOP class
                continue
            if is_report:
                reports.setdefault(file.SOPInstanceUID, (path, file))
        for path, _ in reports.values():
            command = [BINARY, "--backend", "local", "--data-dir", data, "import", "--datastore", "reports", str(path)]
            subprocess.run(command, capture_output=True)
        for path, file in reports.values():
            wrong = check(data, file)
            checked += 1
            if wrong:
                failed += 1
                print(f"{path}: {wrong}")
    print(f"{checked} reports read, {failed} differ")
    return 1 if failed or not checked else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
