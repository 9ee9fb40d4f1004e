#!/usr/bin/env python3
"""Small DICOM files after public bug reports, each with what must become of it.

    cases.py FOLDER [FILE …]

FOLDER has the files, which are not a part of this repository. Each is imported, searched for (`call`, QIDO-RS), retrieved
(WADO-RS, stored and in Explicit VR Little Endian), shown (`get_image_frame`) and exported. What comes back is compared with
what pydicom reads of the original, and pictures with those of pydicom, dcmtk or the formula of PS3.3, within 2 levels.
`case_table.py` has what is special of a file; a file that it does not name is imported and comes back equal, with its
picture. Exit status 1 when any file is not as it must be.
"""

import collections
import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
import warnings

import numpy as np
import pydicom
import requests
from case_table import CASES, Case
from instances import differences, pixels_differ
from pictures import apart, by_dcmtk, by_pydicom, ours
from served import served
from store import PLACE, Store, Stored, lines

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
# A value of VR UN that begins like an item need not be a sequence, nor what another maker's dictionary has.
pydicom.config.settings.infer_sq_for_un_vr = False
pydicom.config.replace_un_with_known_vr = False
EXPLICIT = "1.2.840.10008.1.2.1"
# What AWS HealthImaging keeps as received.
KEPT = {f"1.2.840.10008.1.2.4.{number}" for number in (50, 91, 112, 203)}
# A job of its own, after that of the others: the file corrects one of them.
LATER = "g01_sent_2_corrected"


class File:
    """A file of the table, and what other programs read of it."""

    def __init__(self, path, scratch):
        self.name, self.path = path.stem, path
        self.case = CASES.get(self.name, Case())
        self.readable = path
        if self.case.readable:
            # What no other program reads is put right first, by the rule that the table states.
            self.readable = scratch / "readable" / path.name
            self.readable.parent.mkdir(exist_ok=True)
            self.readable.write_bytes(self.case.readable(path.read_bytes()))
        if self.case.by_dcmtk:
            target = scratch / "readable" / f"{self.name}.dcmtk.dcm"
            target.parent.mkdir(exist_ok=True)
            subprocess.run(["dcmconv", "-q", "+te", self.readable, target], check=True, capture_output=True)
            self.readable = target
        self.problems = []
        self.outcome, self.stored = None, None

    def original(self):
        """What pydicom reads, read anew, since what is done with it may change it."""
        return pydicom.dcmread(self.readable, force=True)

    def described(self):
        """The same, with the attributes of the pixels that a reader has to conclude."""
        data = self.original()
        for keyword, value in self.case.attributes.items():
            setattr(data, keyword, value)
        return data

    def wrong(self, problem):
        self.problems.append(problem)


def rounds_of(files):
    """The files of each data store: in none are there two of the same UIDs, but for the second sending."""
    rounds = []
    for file in files:
        data = file.original()
        key = (str(data.StudyInstanceUID), str(data.SOPInstanceUID))
        for taken, members in rounds:
            others = [other for other in taken if other[0] == key[0] or other[1] == key[1]]
            if not others or file.name in (LATER, "c01_series_attrs_differ_2"):
                break
        else:
            taken, members = [], []
            rounds.append((taken, members))
        taken.append(key)
        members.append(file)
    return [members for _, members in rounds]


def take_in(store, files, datastore, scratch):
    """Imports the files as one folder, in the order of their names."""
    folder = scratch / f"{datastore}-{files[0].name}"
    folder.mkdir()
    for file in files:
        shutil.copy(file.path, folder)
    done = store.run("import", folder, "--datastore", datastore)
    place = PLACE.search(done.stdout + done.stderr)
    if not place:
        raise RuntimeError(f"import: {done.returncode} {done.stderr}")
    by_name = {file.path.name: file for file in files}
    output = pathlib.Path(place.group(2))

    def told(line):
        return by_name[pathlib.PurePosixPath(urllib.parse.unquote(line["inputFile"])).name]

    for line in lines(output / "FAILURE/failure.ndjson"):
        told(line).wrong(f"refused: {line['exception']['message']}")
    codes = collections.defaultdict(set)
    for line in lines(output / "WARNING/warning.ndjson"):
        codes[told(line).name] |= {warning["type"] for warning in line["importResponse"]["warnings"]}
    for line in lines(output / "SUCCESS/success.ndjson"):
        file = told(line)
        file.stored = Stored(store, place.group(1), line["importResponse"]["imageSetId"], codes[file.name])
    refused = [file for file in files if not file.stored]
    if done.returncode != (0 if not refused else 1 if len(refused) == len(files) else 3):
        for file in files:
            file.wrong(f"exit code {done.returncode} of the import, with {len(refused)} refused")
    for file in files:
        if file.stored:
            check_warnings(file)
        elif not file.problems:
            file.wrong("neither imported nor refused")


def check_warnings(file):
    found, must = file.stored.warnings, file.case.warnings
    if missing := must - found:
        file.wrong(f"no warning {sorted(missing)}")
    if unknown := found - must - file.case.other_warnings:
        file.wrong(f"warnings {sorted(unknown)} that nothing calls for")


def check_search(file):
    """By Patient ID as the file has it, and by what the table adds."""
    filters = [{"values": [{"DICOMPatientId": str(file.original().PatientID)}], "operator": "EQUAL"}]
    answer = file.stored.store.by_command(
        "search_image_sets", datastore_id=file.stored.ids["datastore_id"], search_criteria={"filters": filters})
    found = {row["image_set_id"]: row for row in answer["image_sets_metadata_summaries"]}
    row = found.get(file.stored.ids["image_set_id"])
    if row is None:
        return file.wrong("not found by its Patient ID")
    for key, value in file.case.summary.items():
        if row["dicom_tags"].get(key) != value:
            file.wrong(f"{key} is {row['dicom_tags'].get(key)!r} in the search")
    return None


class Web:
    """DICOMweb of a data store."""

    def __init__(self, address, file):
        self.base = f"http://{address}/datastore/{file.stored.ids['datastore_id']}"
        data = file.original()
        self.uids = [str(data[name].value).strip("\0 ") for name in (
            "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")]
        study, series, instance = (urllib.parse.quote(uid, safe="") for uid in self.uids)
        self.instance = f"{self.base}/studies/{study}/series/{series}/instances/{instance}"

    def search(self, level, **keys):
        answer = requests.get(f"{self.base}/{level}", params=keys, timeout=60)
        if answer.status_code == 204:
            return []
        answer.raise_for_status()
        return [row["00080018" if level == "instances" else "0020000E"]["Value"][0] for row in answer.json()]

    def part10(self, syntax):
        """The file in this transfer syntax; nothing when it cannot be had in it."""
        accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
        answer = requests.get(self.instance, headers={"Accept": accept}, timeout=60)
        if answer.status_code == 406 and syntax != "*":
            return None
        if answer.status_code != 200:
            raise ValueError(f"{answer.status_code} {answer.text[:150]}")
        boundary = answer.headers["Content-Type"].split("boundary=")[1].strip('"').encode()
        return answer.content.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--" + boundary, 1)[0]


def check_web(file, address, scratch):
    """Found by QIDO-RS, and the same when it comes back by WADO-RS."""
    web = Web(address, file)
    # A list of UIDs is separated by commas or backslashes; these have none.
    keys = {"StudyInstanceUID": web.uids[0], "SOPInstanceUID": web.uids[2]}
    if web.uids[2] not in web.search("instances", **keys):
        file.wrong("not found by QIDO-RS by its UIDs")
    for level, found in file.case.found_by:
        if web.uids[2 if level == "instances" else 1] not in web.search(level, **found):
            file.wrong(f"not found by QIDO-RS by {found}")
    for syntax in ("*", EXPLICIT):
        try:
            back = web.part10(syntax)
        except ValueError as error:
            file.wrong(f"not retrieved: {error}")
            continue
        if back is None:
            if file.case.explicit and str(file.original().file_meta.TransferSyntaxUID) not in KEPT:
                file.wrong("not to be had in Explicit VR Little Endian")
            continue
        path = scratch / "back.dcm"
        path.write_bytes(back)
        check_back(file, path, syntax)
    return None


def check_back(file, path, what):
    """A file of ours is read by dcmtk, and holds what the original does."""
    done = subprocess.run(["dcmdump", "-q", path], capture_output=True, check=False)
    if done.returncode:
        file.wrong(f"{what}: dcmtk: {done.stderr.decode(errors='replace').strip()[:150]}")
    original, back = file.original(), pydicom.dcmread(path)
    try:
        found = differences(original, back)
    except Exception as error:  # noqa: BLE001 - whatever the stranger says
        return file.wrong(f"{what}: pydicom: {type(error).__name__} {error}")
    for keyword, value in file.case.values.items():
        if str(back.get(keyword)) != value:
            file.wrong(f"{what}: {keyword} is {back.get(keyword)}")
    named = {str(pydicom.tag.Tag(keyword)) for keyword in file.case.values}
    found = [tag for tag in found if tag not in named]
    if found:
        file.wrong(f"{what}: comes back with other {found[:6]}")
    elif back.file_meta.TransferSyntaxUID == EXPLICIT and file.case.pixels is not None:
        for keyword, value in file.case.attributes.items():
            setattr(back, keyword, value)
        problem = pixels_differ(file.described(), back)
        if problem and not problem.endswith(f"up to {file.case.pixels}"):
            file.wrong(f"{what}: {problem}")
    return None


def check_picture(file, scratch):
    frames = file.case.frames
    if frames is None:
        frames = int(file.original().get("NumberOfFrames") or 1)
    uid = str(file.original().SOPInstanceUID).strip("\0 ")
    if not frames or "PixelData" not in file.original() and "FloatPixelData" not in file.original():
        return
    compared = 0
    for frame in sorted({0, frames // 2, frames - 1}):
        picture, told = ours(file.stored, uid, frame, scratch)
        if picture is None:
            file.wrong(f"no picture of frame {frame + 1}: {told}")
            continue
        for name, wanted in references(file, frame, scratch):
            far = apart(picture, np.asarray(wanted, "float64"))
            compared += 1
            if isinstance(far, str) or far > file.case.levels:
                file.wrong(f"frame {frame + 1}: {far if isinstance(far, str) else f'{far:.1f} levels'} from {name}")
    if not compared and not any("no picture" in problem for problem in file.problems):
        file.wrong("nothing to compare its picture with")


def references(file, frame, scratch):
    """The pictures of others that this file's case names; of those that it does not exclude, all that there are."""
    if file.case.shown:
        yield "PS3.3", file.case.shown(file.described(), frame)
        return
    path = file.readable
    if file.case.attributes:
        path = scratch / "described.dcm"
        file.described().save_as(path)
    if "pydicom" not in file.case.not_by:
        with contextlib.suppress(Exception):  # Whatever the stranger says: it shows no picture.
            yield "pydicom", by_pydicom(file.described(), path, frame)
    if "dcmtk" not in file.case.not_by:
        with contextlib.suppress(AttributeError):
            wanted = by_dcmtk(file.described(), path, frame, scratch)
            if not isinstance(wanted, str):
                yield "dcmtk", wanted


def check_export(store, files, datastore, scratch):
    out = scratch / f"export-{datastore}"
    done = store.run("export", "--out", out, "--datastore", datastore)
    if done.returncode:
        for file in files:
            file.wrong(f"exit code {done.returncode} of the export: {done.stderr.strip()[-200:]}")
    (told,) = out.glob("*-DicomExport-*")
    by_uid = {}
    for line in lines(told / "SUCCESS/success.ndjson"):
        path = pathlib.Path(line["outputFile"])
        by_uid[str(pydicom.dcmread(path, force=True, stop_before_pixels=True).SOPInstanceUID)] = path
    for file in files:
        path = by_uid.get(str(file.original().SOPInstanceUID).strip("\0 "))
        if path is None:
            file.wrong("not exported")
        else:
            check_back(file, path, "exported")


def check_resent(first, second):
    """A file that is sent again, corrected: version 1 has the values of the first, version 2 those of the second."""
    if not (first and second and first.stored and second.stored):
        return
    was, now = first.original(), second.original()
    words = [e.keyword for e in now if e.keyword in was and e.value != was.get(e.keyword) and e.keyword != "PixelData"]
    assert words, "the second file corrects nothing"
    for version, file, data in (("1", first, was), ("2", second, now)):
        found = file.stored.store.call("get_image_set_metadata", **second.stored.ids, version_id=version)
        text = json.dumps(found["metadata"], ensure_ascii=False)
        for word in words:
            wanted = json.dumps(str(data.get(word)), ensure_ascii=False)
            if f'"{word}": {wanted}' not in text and f'"{word}": [{wanted}]' not in text:
                file.wrong(f"version {version} has another {word}")


def main(folder, only):
    warnings.simplefilter("ignore")
    paths = sorted(pathlib.Path(folder).glob("*.dcm"))
    unknown = set(CASES) - {path.stem for path in paths}
    assert not unknown, f"files that are missing: {sorted(unknown)}"
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as scratch, Store(data) as store:
        scratch = pathlib.Path(scratch)
        files = [File(path, scratch) for path in paths if not only or path.stem in only]
        by_name = {file.name: file for file in files}
        first, second = by_name.get("g01_sent_1_wrong"), by_name.get(LATER)
        for number, members in enumerate(rounds_of(files)):
            datastore = f"round-{number + 1}"
            take_in(store, [file for file in members if file is not second], datastore, scratch)
            if second in members:
                take_in(store, [second], datastore, scratch)
                check_resent(first, second)
            stored = [file for file in members if file.stored]
            for file in stored:
                check_search(file)
                check_picture(file, scratch)
            with served(data=data) as address:
                for file in stored:
                    if file is not first or second is None:
                        check_web(file, address, scratch)
            check_export(store, [file for file in stored if file is not first or second is None], datastore, scratch)
    wrong = [file for file in files if file.problems]
    for file in wrong:
        for problem in dict.fromkeys(file.problems):
            print(f"{file.name}: {problem}")
    print(f"{len(files) - len(wrong)} of {len(files)} as they must be")
    return 1 if wrong or not files else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], set(sys.argv[2:])))
