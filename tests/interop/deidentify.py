"""De-identification against independent readers: pydicom, dcmtk, and the tables of dicom-anonymizer and deid.

deidentify.py EXAMPLE FOLDER

EXAMPLE is the program `deidentify` of crates/healthimaging-deidentify. Every file of FOLDER is de-identified under
several sets of options. Nothing of the rules is taken from the crate: which attributes have an action is read from the
copy of Table E.1-1 that dicom-anonymizer carries.
"""

import collections
import datetime
import importlib
import json
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import venv

HERE = pathlib.Path(__file__).resolve().parent
KEY = "0f" * 32
OTHER_KEY = "f0" * 32


def own_environment():
    """Runs this program again in an environment of its own, since these packages ask for other versions than others."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent.parent / "target"))
    folder = target / "interop" / "deidentify-venv"
    wanted = (HERE / "deidentify-requirements.txt").read_text()
    installed = folder / "installed.txt"
    if not installed.exists() or installed.read_text() != wanted:
        venv.create(folder, with_pip=True)
        pip = [str(folder / "bin" / "pip"), "install", "-q", "-r", str(HERE / "deidentify-requirements.txt")]
        subprocess.run(pip, check=True)
        installed.write_text(wanted)
    python = str(folder / "bin" / "python")
    os.execv(python, [python, *sys.argv])


if os.environ.get("DEIDENTIFY_ENVIRONMENT") != "1":
    os.environ["DEIDENTIFY_ENVIRONMENT"] = "1"
    own_environment()

import pydicom  # noqa: E402
from pydicom import config  # noqa: E402
from pydicom.uid import UID_dictionary  # noqa: E402

config.settings.reading_validation_mode = config.IGNORE
config.settings.writing_validation_mode = config.IGNORE
# What a file has, not what can be made of it.
config.replace_un_with_known_vr = True

TEXT = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"}
PIXELS = {0x7FE00010, 0x7FE00008, 0x7FE00009}
CATEGORIES = {
    "D_TAGS": "D", "Z_TAGS": "Z", "X_TAGS": "X", "U_TAGS": "U", "Z_D_TAGS": "D", "X_Z_TAGS": "Z",
    "X_D_TAGS": "D", "X_Z_D_TAGS": "D", "X_Z_U_STAR_TAGS": "U",
}
failures = []


def fail(what):
    failures.append(what)
    if len(failures) <= 60:
        print("FAIL", what)


def table():
    """Tag → action, of two editions of Table E.1-1 as dicom-anonymizer has them."""
    actions = {}
    for edition in ("2026c", "2024b"):
        module = importlib.import_module(f"dicomanonymizer.dicom_anonymization_databases.dicomfields_{edition}")
        for name, action in CATEGORIES.items():
            for tag in getattr(module, name):
                if len(tag) == 2:
                    actions[tag[0] << 16 | tag[1]] = action
    return actions


ACTIONS = table()


def has_action(tag):
    group = tag >> 16
    return group % 2 == 1 or tag in ACTIONS or group & 0xFF00 in (0x5000, 0x6000)


def readable(data_set):
    """The elements that pydicom can read; garbage behind some originals is not."""
    for tag in sorted(data_set.keys()):
        try:
            yield data_set[tag]
        except (NotImplementedError, ValueError, struct.error, EOFError):
            unread[int(tag)] += 1


unread = collections.Counter()


def elements(data_set, path=(), hidden=False):
    """Path, element, and whether it or a sequence around it has an action; items included."""
    for element in readable(data_set):
        here = path + (int(element.tag),)
        covered = hidden or has_action(int(element.tag))
        yield here, element, covered
        if element.VR == "SQ":
            # A sequence of references stays, and its items are processed.
            inner = hidden or covered and ACTIONS.get(int(element.tag)) not in ("U", "K")
            for number, item in enumerate(element.value or []):
                yield from elements(item, here + (number,), inner)


def texts(element):
    """The values of an element as text; names with their parts."""
    value = element.value
    if value is None or element.VR == "SQ":
        return []
    values = value if isinstance(value, (list, pydicom.multival.MultiValue)) else [value]
    found = []
    for one in values:
        if isinstance(one, bytes):
            if element.VR == "UN" and len(one) < 1024:
                found.append(one.decode("latin-1"))
            continue
        if element.VR not in TEXT:
            continue
        text = str(one).strip(" \0")
        found.append(text)
        if element.VR == "PN":
            found += re.split(r"[\^=]", text)
    return [text.strip(" \0") for text in found]


def read(path):
    return pydicom.dcmread(path, force=True)


def searchable(path, data_set):
    """Bytes of the file before its pixel data, and every value behind."""
    with open(path, "rb") as file:
        pydicom.dcmread(file, stop_before_pixels=True, force=True)
        end = file.tell()
        file.seek(0)
        parts = [file.read(end)]
    if data_set.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1.99":
        parts = []
    for where, element, _ in elements(data_set):
        if where[0] in PIXELS:
            continue
        if isinstance(element.value, bytes):
            parts.append(element.value)
        else:
            parts += [text.encode() for text in texts(element)]
    return b"\n".join(parts)


def run(example, folder, out, options, key=KEY):
    command = [example, folder, out, key, ",".join(options), "--include-held"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    summary = lines.pop()["summary"]
    return {line["file"]: line["result"] for line in lines}, summary


def is_well_known(uid):
    return uid in UID_dictionary or uid.startswith("1.2.840.10008.1.4.") or uid.startswith("1.2.840.10008.1.5.")


class Files:
    """The originals, read once."""

    def __init__(self, folder, paths):
        self.read = {path: read(path) for path in paths}
        self.uids = set()
        self.instances = {}
        for path, data_set in self.read.items():
            self.instances[str(data_set.get("SOPInstanceUID", ""))] = path
            for where, element, _ in elements(data_set):
                if element.VR == "UI" and int(element.tag) in ACTIONS:
                    self.uids |= {uid for uid in texts(element) if uid and not is_well_known(uid)}


def dictionary_keywords():
    from pydicom.datadict import keyword_dict

    return keyword_dict


def holds(blob, encoded):
    """Digits, and the beginning of a short UID, may stand in a new UID by chance."""
    if not encoded.replace(b".", b"").isdigit():
        return encoded in blob
    return re.search(rb"(?<![0-9])" + re.escape(encoded) + rb"(?![0-9])", blob) is not None


def check_values(path, original, data_set, blob, kept_actions):
    """No value of 6 or more characters of an attribute with an action is left, unless another attribute holds it."""
    free, hidden = [], set()
    for where, element, covered in elements(original):
        if where[0] in PIXELS:
            continue
        found = texts(element)
        if covered and int(element.tag) not in kept_actions:
            hidden |= {text for text in found if len(text) >= 6}
        elif not covered:
            free += found
    hidden |= {
        text for element in original.file_meta for text in texts(element)
        if int(element.tag) in (0x00020003, 0x00020016, 0x00020017, 0x00020018) and len(text) >= 6
    }
    free = "\n".join(free)
    left = 0
    for text in hidden:
        for encoded in {text.encode(), text.encode("latin-1", "replace")}:
            if b"?" in encoded and "?" not in text:
                continue
            if holds(blob, encoded) and text not in free and not is_well_known(text) and not is_stated(text):
                where = [hex(w[-1]) for w, e, c in elements(original) if text in texts(e)][:3]
                fail(f"{path}: a value of {where} is left")
                left += 1
                break
    return len(hidden)


# What the profile itself writes.
STATED = {"REMOVED", "MODIFIED", "000000", "19000101", "19000101000000", "Anonymous", "99REMOVED", "Comment", "CONTAINS"}
METHOD = """ps3.15 annex e basic profile, see code sequence (0012,0064) basic application confidentiality profile clean pixel
data option clean graphics option clean structured content option clean descriptors option retain longitudinal temporal
information full dates option retain longitudinal temporal information modified dates option retain patient
characteristics option retain device identity option retain uids option retain safe private option retain institution
identity option"""


def is_stated(text):
    return any(text.lower() in stated.lower() for stated in (*STATED, METHOD))


def check_table(path, original, data_set):
    """The actions of the Basic Profile, as dicom-anonymizer reads them, at every depth."""
    before = {}
    for where, element, _ in elements(original):
        before.setdefault(int(element.tag), set()).update(texts(element))
    for where, element, _ in elements(data_set):
        tag = int(element.tag)
        if tag >> 16 & 1:
            fail(f"{path}: private {element.tag} is left")
        action = ACTIONS.get(tag)
        found = [text for text in texts(element) if text]
        if action == "X":
            fail(f"{path}: {element.tag} {element.keyword} is left")
        elif action == "Z" and found and tag != 0x00100010:
            fail(f"{path}: {element.tag} {element.keyword} has a value")
        elif action == "Z" and element.VR == "SQ" and len(element.value):
            fail(f"{path}: {element.tag} {element.keyword} has items")
        elif action in ("D", "U") or tag == 0x00100010:
            same = {text for text in found if text in before.get(tag, ()) and not is_well_known(text)} - STATED
            if same and element.VR != "UI" and len(max(same, key=len)) > 1:
                fail(f"{path}: {element.tag} {element.keyword} keeps a value")
            if same and element.VR == "UI":
                fail(f"{path}: {element.tag} {element.keyword} keeps a UID")


def check_statements(path, data_set, options):
    codes = {
        "": "113100", "clean-pixel-data": "113101", "clean-graphics": "113103", "clean-structured-content": "113104",
        "clean-descriptors": "113105", "retain-full-dates": "113106", "retain-modified-dates": "113107",
        "retain-patient-characteristics": "113108", "retain-device-identity": "113109", "retain-uids": "113110",
        "retain-safe-private": "113111", "retain-institution-identity": "113112",
    }
    if data_set.PatientIdentityRemoved != "YES":
        fail(f"{path}: PatientIdentityRemoved")
    stated = {item.CodeValue for item in data_set.DeidentificationMethodCodeSequence if item.CodingSchemeDesignator == "DCM"}
    if not {codes[option] for option in ["", *options]} <= stated:
        fail(f"{path}: DeidentificationMethodCodeSequence {stated}")
    wanted = "UNMODIFIED" if "retain-full-dates" in options else "MODIFIED" if "retain-modified-dates" in options else "REMOVED"
    if data_set.LongitudinalTemporalInformationModified not in (wanted, "REMOVED", "MODIFIED"):
        fail(f"{path}: LongitudinalTemporalInformationModified")
    allowed = {0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012, 0x00020013}
    for element in data_set.file_meta:
        if int(element.tag) not in allowed:
            fail(f"{path}: {element.tag} in the File Meta Information")
    if data_set.preamble != bytes(128):
        fail(f"{path}: preamble")
    if data_set.file_meta.MediaStorageSOPInstanceUID != data_set.SOPInstanceUID:
        fail(f"{path}: MediaStorageSOPInstanceUID")


def pairs(original, data_set, path=()):
    """Elements of both at the same place."""
    for element in readable(data_set):
        if element.tag not in original:
            continue
        try:
            before = original[element.tag]
        except (NotImplementedError, ValueError, struct.error):
            continue
        if element.VR == "SQ" and before.VR == "SQ":
            if len(element.value) == len(before.value):
                for a, b in zip(before.value, element.value):
                    yield from pairs(a, b, path + (int(element.tag),))
        else:
            yield path + (int(element.tag),), before, element


def check_pixels(path, original, data_set):
    for tag in PIXELS:
        if tag in original:
            before, after = original[tag].value, data_set[tag].value if tag in data_set else b""
            if not before:
                continue
            # A missing delimiter is written, and an odd length padded.
            if before[: len(after)] != after[: len(before)] and before.rstrip(b"\0") != after.rstrip(b"\0"):
                fail(f"{path}: pixel data differs")
            return 1
    return 0


def dcmdump(paths):
    """The files that dcmtk cannot read."""
    def is_bad(some):
        done = subprocess.run(["dcmdump", "-q", "+L", *map(str, some)], capture_output=True)
        return done.returncode != 0 or b"E: " in done.stderr

    paths, bad = list(paths), set()
    for start in range(0, len(paths), 50):
        some = paths[start : start + 50]
        if is_bad(some):
            bad |= {path for path in some if is_bad([path])}
    return bad


def basic(example, folder, files, out, results):
    again, _ = run(example, folder, out + "-again", [])
    other, _ = run(example, folder, out + "-other", [], OTHER_KEY)
    mapping, reverse, references, values, pixels = {}, {}, 0, 0, 0
    blobs = []
    written = {path: result for path, result in results.items() if "written" in result}
    for path, result in written.items():
        if again[path]["written"] != result["written"] or other[path]["written"] == result["written"]:
            fail(f"{path}: the new UID does not depend on the key alone")
        original, target = files.read[path], f"{out}/{result['written']}"
        data_set = read(target)
        unread.clear()
        blob = searchable(target, data_set)
        blobs.append(blob)
        if unread:
            fail(f"{path}: pydicom cannot read {unread}")
            unread.clear()
        values += check_values(path, original, data_set, blob, set())
        check_table(path, original, data_set)
        check_statements(path, data_set, [])
        if result["pixels"] != "blanked":
            pixels += check_pixels(path, original, data_set)
        for where, before, after in pairs(original, data_set):
            if after.VR != "UI":
                continue
            for old, new in zip(texts(before), texts(after)):
                if old != new and mapping.setdefault(old, new) != new:
                    fail(f"{path}: a UID has two new ones")
                if old != new and reverse.setdefault(new, old) != old:
                    fail(f"{path}: a new UID stands for two")
                if old != new and not re.fullmatch(r"2\.25\.(0|[1-9]\d{0,38})", new):
                    fail(f"{path}: a new UID has another form")
                if where[-1] in (0x00081155, 0x30060024, 0x00081115) and old in files.instances and len(where) > 1:
                    references += 1
                    other_path = files.instances[old]
                    if other_path in written:
                        new_name = read(f"{out}/{written[other_path]['written']}").SOPInstanceUID
                        if new_name != new:
                            fail(f"{path}: a reference leads nowhere")
        report = json.dumps(result["report"])
        for text in (str(original.get("PatientName", "")), str(original.get("PatientID", ""))):
            if len(text) >= 6 and text in report:
                fail(f"{path}: the report holds a value")
    everything = b"\n".join(blobs)
    free = "\n".join(
        text for original in files.read.values() for _, element, covered in elements(original) if not covered
        for text in texts(element)
    )
    people = {
        text for original in files.read.values() for _, element, covered in elements(original)
        if covered and (element.VR == "PN" or element.keyword in ("PatientID", "OtherPatientIDs"))
        for text in texts(element) if len(text) >= 6
    }
    for text in people:
        if text.encode() in everything and text not in free and not is_stated(text):
            fail("a name or identifier is left in some file")
    shaped = set(re.findall(rb"[0-9]+(?:\.[0-9]+){3,}", everything))
    left = {uid for uid in files.uids if uid.encode() in shaped}
    for uid in left:
        fail("an original UID is left in some file")
    unreadable = dcmdump(f"{out}/{result['written']}" for result in written.values())
    for path, result in written.items():
        if f"{out}/{result['written']}" in unreadable and not dcmdump([path]):
            fail(f"{path}: dcmdump cannot read the result")
    print(f"basic: {len(written)} files, {values} values, {len(people)} names and {len(files.uids)} UIDs looked for, "
          f"{references} references, {pixels} pixel data compared")
    if values < 5 * len(written) or len(written) > 400 and references < 100:
        fail("too little was compared")
    return written


def can_fail(files):
    """The checks find what they look for in the originals themselves."""
    before = len(failures)
    printed, sys.stdout = sys.stdout, open(os.devnull, "w")
    try:
        for path, original in list(files.read.items())[:20]:
            blob = searchable(path, original)
            for check in (
                lambda: check_values(path, original, original, blob, set()),
                lambda: check_table(path, original, original),
            ):
                found = len(failures)
                check()
                if len(failures) == found:
                    raise SystemExit(f"{path}: a check of the original finds nothing")
    finally:
        sys.stdout = printed
    del failures[before:]


def with_deid(written, out):
    """deid walks the results by itself, and flags images by its own recipe."""
    from deid.dicom import get_identifiers
    from deid.dicom.pixels import has_burned_pixels

    targets = {f"{out}/{result['written']}": (path, result) for path, result in written.items()}
    flagged = collections.Counter()
    sample = sorted(targets)[::5]
    for target, fields in get_identifiers(sample, disable_skip=True).items():
        path, _ = targets[str(target)]
        original = read(path)
        names = {str(original.get("PatientName", "")), str(original.get("PatientID", ""))}
        held = " ".join(str(getattr(field, "element", field)) for field in fields.values())
        for name in names:
            # The first word of every name that replaces one.
            if len(name) >= 6 and name != "Anonymous" and name in held:
                fail(f"{path}: deid finds a name")
    for target in sample:
        path, result = targets[target]
        found = has_burned_pixels([path], force=True)
        if path in found.get("flagged", {}):
            held = result["pixels"] not in ("pass",)
            flagged["held back or blanked here too" if held else "passed here"] += 1
    print(f"deid: {len(sample)} files read, images that it flags: {dict(flagged)}")


def dates(example, folder, files, out):
    options = ["retain-modified-dates", "retain-patient-characteristics"]
    results, _ = run(example, folder, out, options)
    shifts, compared = {}, 0
    for path, result in results.items():
        if "written" not in result:
            continue
        original, data_set = files.read[path], read(f"{out}/{result['written']}")
        check_statements(path, data_set, options)
        patient = str(original.get("PatientID", "")).strip()
        for where, before, after in pairs(original, data_set):
            if int(before.tag) in (0x00100030, 0x00100032) or before.VR not in ("DA", "DT") or where[0] == 0x0040A730:
                continue
            if where[-1] == 0x00101010 and texts(before) != texts(after):
                fail(f"{path}: age differs")
            for old, new in zip(texts(before), texts(after)):
                try:
                    moved = [datetime.datetime.strptime(text[:8], "%Y%m%d") for text in (old, new)]
                except ValueError:
                    continue
                if new.startswith("19000101"):
                    if not old.startswith("0001"):
                        fail(f"{path}: {before.tag} was not moved")
                    continue
                days = (moved[1] - moved[0]).days
                compared += 1
                if old[8:] != new[8:]:
                    fail(f"{path}: the time of {before.tag} differs")
                if patient and shifts.setdefault(patient, days) != days or not -3650 <= days <= -1:
                    fail(f"{path}: {before.tag} moved by other days")
    print(f"modified dates: {compared} dates of {len(shifts)} patients, {len(set(shifts.values()))} different shifts")
    if compared < len(files.read):
        fail("too few dates were compared")


def options(example, folder, files, out):
    """Everything that can be retained or cleaned, at once: names and identifiers are still nowhere."""
    chosen = KEEPING
    results, _ = run(example, folder, out, chosen)
    kept = collections.Counter()
    for path, result in results.items():
        if "written" not in result:
            continue
        original, target = files.read[path], f"{out}/{result['written']}"
        data_set = read(target)
        check_statements(path, data_set, chosen)
        uid = str(original.get("SOPInstanceUID", "")).strip(" \0")
        # Only what has the form of a UID is trusted to be one.
        if re.fullmatch(r"[0-9.]+", uid) and data_set.SOPInstanceUID != uid:
            fail(f"{path}: UID not retained")
        blob = searchable(target, data_set).lower()
        free = "\n".join(text for _, e, covered in elements(original) if not covered for text in texts(e)).lower()
        named = [e for _, e, _ in elements(original) if e.VR == "PN" or e.keyword in ("PatientID", "OtherPatientIDs", "AccessionNumber")]
        for element in named:
            for text in texts(element):
                if len(text) < 6 or text.lower() in free or is_stated(text):
                    continue
                if text.lower().encode() in blob:
                    fail(f"{path}: a value of {element.tag} is left with options")
        for keyword in ("StudyDate", "PatientSex", "Manufacturer", "InstitutionName", "StationName", "SeriesTime"):
            before, after = original.get(keyword), data_set.get(keyword)
            if before and "***" not in str(after) and str(before).strip() != str(after).strip():
                fail(f"{path}: {keyword} not retained")
            kept[keyword] += bool(before)
        kept["SeriesDescription"] += bool(data_set.get("SeriesDescription"))
        kept["ContentSequence"] += len(data_set.get("ContentSequence", [])) > 1
        kept["private"] += any(int(e.tag) >> 16 & 1 for e in data_set)
        if result["pixels"] == "blanked":
            kept["blanked"] += 1
            check_blanked(path, original, data_set)
        elif result["pixels"] == "pass" and data_set.BurnedInAnnotation != "NO":
            fail(f"{path}: BurnedInAnnotation")
    unreadable = dcmdump(f"{out}/{r['written']}" for r in results.values() if "written" in r)
    for path, result in results.items():
        if f"{out}/{result.get('written')}" in unreadable and not dcmdump([path]):
            fail(f"{path}: dcmdump cannot read the result with options")
    print(f"options: kept {dict(kept)}")
    # Other folders than the corpus need not have such files.
    for what in ("SeriesDescription", "ContentSequence", "private"):
        if not kept[what] and len(files.read) > 400:
            fail(f"no file keeps {what}")


def check_blanked(path, original, data_set):
    """Ultrasound: black outside its regions, unchanged inside."""
    import numpy

    before, after = original.pixel_array, data_set.pixel_array
    inside = numpy.zeros((original.Rows, original.Columns), bool)
    for region in original.SequenceOfUltrasoundRegions:
        inside[region.RegionLocationMinY0 : region.RegionLocationMaxY1 + 1,
               region.RegionLocationMinX0 : region.RegionLocationMaxX1 + 1] = True
    frames = before.reshape(-1, *inside.shape, original.SamplesPerPixel)
    blanked = after.reshape(frames.shape)
    if (frames[:, inside] != blanked[:, inside]).any():
        fail(f"{path}: pixels inside the regions differ")
    if not str(original.PhotometricInterpretation).startswith("YBR") and blanked[:, ~inside].any():
        fail(f"{path}: pixels outside the regions are left")
    if data_set.BurnedInAnnotation != "NO" or data_set.ImageType[0] != "DERIVED":
        fail(f"{path}: blanked and does not say so")


MARK = "Zzplanted"
PLANTED_UID = "1.2.3.4711.42"


def plant(folder, source):
    """Files with a name in every place that a writer could think of; the source is any image with native pixels."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    os.makedirs(folder)

    def item(**values):
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    def save(name, data_set):
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = f"{PLANTED_UID}.{len(os.listdir(folder)) + 1}"
        data_set.save_as(f"{folder}/{name}.dcm", enforce_file_format=True)

    def start():
        data_set = read(source)
        data_set.PatientName, data_set.PatientID = f"{MARK}^Anna", f"{MARK}-1"
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = f"{PLANTED_UID}.100", f"{PLANTED_UID}.101"
        return data_set

    data_set = start()
    data_set.preamble = MARK.encode().ljust(128, b"\0")
    for keyword in ("SourceApplicationEntityTitle", "SendingApplicationEntityTitle", "ReceivingApplicationEntityTitle"):
        setattr(data_set.file_meta, keyword, MARK)
    data_set.file_meta.PrivateInformationCreatorUID, data_set.file_meta.PrivateInformation = PLANTED_UID, MARK.encode()
    save("meta", data_set)

    data_set = start()
    block = data_set.private_block(0x0009, MARK, create=True)
    block.add_new(1, "LO", MARK)
    block.add_new(2, "OB", MARK.encode())
    block.add_new(3, "SQ", Sequence([item(PatientName=MARK, SOPClassUID=PLANTED_UID)]))
    inner = Dataset()
    inner.private_block(0x0029, "SIEMENS MEDCOM HEADER", create=True).add_new(0x10, "OB", MARK.encode())
    data_set.AnatomicRegionSequence = Sequence([inner])
    save("private", data_set)

    data_set = start()
    data_set.ReferencedPatientSequence = Sequence([item(ReferencedSOPInstanceUID=PLANTED_UID)])
    deep = item(SeriesDescription=f"of {MARK}", PatientName=MARK, InstitutionName=MARK)
    for _ in range(60):
        deep = item(AnatomicRegionModifierSequence=Sequence([deep]))
    data_set.AnatomicRegionSequence = Sequence([deep])
    data_set.OriginalAttributesSequence = Sequence([item(ModifiedAttributesSequence=Sequence([item(PatientID=MARK)]))])
    data_set.DigitalSignaturesSequence = Sequence([item(CertificateOfSigner=MARK.encode())])
    data_set.EncryptedAttributesSequence = Sequence([item(EncryptedContent=MARK.encode() + b"\0")])
    save("sequences", data_set)

    data_set = start()
    for group in (0x6000, 0x6002):
        data_set.add_new((group, 0x0010), "US", 8)
        data_set.add_new((group, 0x0011), "US", 8)
        data_set.add_new((group, 0x0022), "LO", MARK)
        data_set.add_new((group, 0x0040), "CS", "R" if group == 0x6000 else "G")
        data_set.add_new((group, 0x0050), "SS", [1, 1])
        data_set.add_new((group, 0x0100), "US", 1)
        data_set.add_new((group, 0x0102), "US", 0)
        data_set.add_new((group, 0x1500), "LO", MARK)
        data_set.add_new((group, 0x3000), "OW", bytes(8))
        data_set.add_new((group, 0x4000), "LT", MARK)
    data_set.add_new((0x5000, 0x2500), "LO", MARK)
    data_set.add_new((0x5000, 0x3000), "OW", MARK.encode() + b"\0")
    data_set.IconImageSequence = Sequence([item(PixelData=MARK.encode() + b"\0")])
    data_set.IconImageSequence[0]["PixelData"].VR = "OB"
    save("graphics", data_set)

    data_set = start()
    data_set.StudyDescription = f"CT, {MARK.upper()}, seen by Dr. {MARK}"
    data_set.ImageComments = f"{MARK}\r\n{MARK.lower()}"
    data_set.SequenceName = MARK
    data_set.BodyPartExamined = MARK.upper()
    data_set.add_new((0x0028, 0x0303), "LO", MARK)
    data_set.add_new((0x0008, 0x0FFE), "LO", MARK)
    data_set.add_new((0x0666, 0x0002), "UN", MARK.encode() + b"\0")
    data_set.add_new((0x0018, 0x1050), "LO", MARK)
    data_set.OperatorsName = [f"{MARK}^A", f"B^{MARK}"]
    data_set.DataSetTrailingPadding = MARK.encode() + b"\0"
    save("texts", data_set)

    data_set = start()
    for tag in list(data_set.keys()):
        if tag.group in (0x0028, 0x7FE0):
            del data_set[tag]
    data_set.SOPClassUID = data_set.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
    data_set.Modality = "SR"
    concept = item(CodeValue="121071", CodingSchemeDesignator="DCM", CodeMeaning="Finding")
    data_set.ValueType, data_set.ContinuityOfContent = "CONTAINER", "SEPARATE"
    data_set.ConceptNameCodeSequence = Sequence([concept])
    text = item(RelationshipType="CONTAINS", ValueType="TEXT", TextValue=f"Nodule, {MARK}, 19.01.2004",
                ConceptNameCodeSequence=Sequence([concept]))
    name = item(RelationshipType="HAS OBS CONTEXT", ValueType="PNAME", PersonName=f"{MARK}^Doctor",
                ConceptNameCodeSequence=Sequence([item(CodeValue="121008", CodingSchemeDesignator="DCM", CodeMeaning="Person Observer Name")]))
    data_set.ContentSequence = Sequence([text, name])
    data_set.VerifyingObserverSequence = Sequence([item(VerifyingObserverName=MARK, VerifyingOrganization=MARK)])
    save("report", data_set)

    data_set = start()
    for tag in list(data_set.keys()):
        if tag.group in (0x0028, 0x7FE0):
            del data_set[tag]
    data_set.SOPClassUID = data_set.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.1"
    data_set.Modality, data_set.MIMETypeOfEncapsulatedDocument = "DOC", "application/pdf"
    data_set.EncapsulatedDocument = b"%PDF-1.4 " + MARK.encode() + b"\n%%EOF\n"
    data_set.DocumentTitle = f"Letter of {MARK}"
    save("document", data_set)

    import numpy

    data_set = start()
    frames = numpy.random.default_rng(1).integers(1, 255, (3, 120, 160, 3), numpy.uint8)
    for tag in list(data_set.keys()):
        if tag.group == 0x0028:
            del data_set[tag]
    data_set.SOPClassUID = data_set.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    data_set.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    data_set.Modality, data_set.ImageType = "US", ["ORIGINAL", "PRIMARY"]
    data_set.NumberOfFrames, data_set.Rows, data_set.Columns, data_set.SamplesPerPixel = 3, 120, 160, 3
    data_set.BitsAllocated, data_set.BitsStored, data_set.HighBit, data_set.PixelRepresentation = 8, 8, 7, 0
    data_set.PhotometricInterpretation, data_set.PlanarConfiguration = "RGB", 0
    data_set.PixelData = frames.tobytes()
    data_set["PixelData"].VR = "OB"
    data_set.SequenceOfUltrasoundRegions = Sequence([
        item(RegionLocationMinX0=10, RegionLocationMinY0=20, RegionLocationMaxX1=99, RegionLocationMaxY1=109),
        item(RegionLocationMinX0=110, RegionLocationMinY0=30, RegionLocationMaxX1=150, RegionLocationMaxY1=60),
    ])
    save("ultrasound", data_set)


def planted(example, files, scratch):
    """Nothing of a planted name or UID is anywhere in a result, raw bytes included."""
    def is_native(data_set):
        return str(data_set.file_meta.get("TransferSyntaxUID")) == "1.2.840.10008.1.2.1" and "PixelData" in data_set

    source = next(path for path, data_set in files.read.items() if is_native(data_set) and data_set.get("Modality") in ("CT", "MR"))
    folder = f"{scratch}/planted"
    plant(folder, source)
    for number, chosen in enumerate(([], KEEPING)):
        out = f"{scratch}/planted-{number}"
        results, summary = run(example, folder, out, chosen)
        if MARK.lower() in json.dumps([r.get("report", r) for r in results.values()]).lower():
            fail("a report holds a planted name")
        for path, result in results.items():
            if "written" not in result:
                if not ("reason" in result and "ultrasound" in path):
                    fail(f"{path}: {result}")
                continue
            data = open(f"{out}/{result['written']}", "rb").read()
            if MARK.lower().encode() in data.lower() or "retain-uids" not in chosen and PLANTED_UID.encode() in data:
                fail(f"{path}: something planted is left with {chosen}")
            if dcmdump([f"{out}/{result['written']}"]):
                fail(f"{path}: dcmdump cannot read the result with {chosen}")
            data_set = read(f"{out}/{result['written']}")
            if result["pixels"] == "blanked":
                check_blanked(path, read(path), data_set)
            elif "pass" in result["pixels"]:
                check_pixels(path, read(path), data_set)
        blanked = sum(result["pixels"] == "blanked" for result in results.values())
        if blanked != ("clean-pixel-data" in chosen):
            fail("the ultrasound images were not blanked")
    print(f"planted: {len(os.listdir(folder))} files, twice")


KEEPING = [
    "clean-pixel-data", "clean-graphics", "clean-structured-content", "clean-descriptors", "retain-full-dates",
    "retain-patient-characteristics", "retain-device-identity", "retain-institution-identity", "retain-uids",
    "retain-safe-private",
]


def main():
    example, folder = sys.argv[1:3]
    with tempfile.TemporaryDirectory() as scratch:
        first, _ = run(example, folder, f"{scratch}/basic", [])
        files = Files(folder, [path for path, result in first.items() if "written" in result])
        refused = {path: result["error"] for path, result in first.items() if "error" in result}
        print(f"{len(files.read)} files, {len(refused)} refused")
        for path, error in refused.items():
            if len(error) > 160:
                fail(f"{path}: the error may hold a value")
        can_fail(files)
        written = basic(example, folder, files, f"{scratch}/basic", first)
        with_deid(written, f"{scratch}/basic")
        dates(example, folder, files, f"{scratch}/dates")
        options(example, folder, files, f"{scratch}/options")
        planted(example, files, scratch)
    print(f"{len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
