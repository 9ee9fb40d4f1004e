"""De-identified exports of the program: import, export, and independent readers of what came out.

deidentified_export.py FOLDER [--full]

FOLDER is imported into a store, with files that have identifying values in unexpected places and a DICOMDIR, and exported
as it is and de-identified. The linkage file says which file became which; it is the only thing of the program's own that
the checks use. Without --full, some 60 files of FOLDER are taken.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import deidentify as checks

BINARY = os.environ["HEALTHIMAGING_BIN"]
SAMPLE = 60
OPTIONS = ["clean-pixel-data"]


def run(data, *words, codes=(0,)):
    done = subprocess.run([BINARY, "--backend", "local", "--data-dir", data, *map(str, words)], capture_output=True, text=True)
    if done.returncode not in codes:
        sys.exit(f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]


def chosen(folder, full):
    """The files to import; every modality in a sample, since neighbors are of one."""
    files = sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file())
    if full or len(files) <= SAMPLE:
        return files
    return files[:: -(-len(files) // SAMPLE)]


def gather(folder, full, scratch):
    taken = scratch / "taken"
    for number, path in enumerate(chosen(folder, full)):
        target = taken / f"{number:04}" / path.name
        target.parent.mkdir(parents=True)
        shutil.copy(path, target)
    source = next(
        path for path in sorted(pathlib.Path(folder).rglob("*"))
        if path.is_file() and is_plain(path)
    )
    checks.plant(str(scratch / "planted"), str(source))
    from pydicom.fileset import FileSet

    directory = FileSet()
    directory.add(str(source))
    directory.write(str(scratch / "planted" / "medium"))
    return taken, scratch / "planted"


def is_plain(path):
    try:
        data_set = checks.pydicom.dcmread(path)
    except Exception:
        return False
    return (
        data_set.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1" and data_set.get("Modality") in ("CT", "MR")
        and "PixelData" in data_set and all(data_set.get(uid) for uid in ("StudyInstanceUID", "SeriesInstanceUID", "PatientID"))
    )


def export(data, out, linkage, options, *more, codes=(0, 3)):
    words = ["export", "--out", out, "--deidentify", "basic", "--linkage", linkage, *more]
    if options:
        words += ["--deidentify-options", ",".join(options)]
    return run(data, *words, codes=codes)


def dicom_files(folder):
    return {str(path.relative_to(folder)): path for path in pathlib.Path(folder).rglob("*.dcm")}


def outcome(out):
    (folder,) = out.glob("*-DicomExport-*")
    return folder


def decoded(path, explicit, original):
    """The original with pixels that pydicom reads alone: as the store decodes it, or dcmtk where it keeps JPEG."""
    if explicit.exists():
        return checks.read(str(explicit))
    if str(original.file_meta.TransferSyntaxUID).startswith("1.2.840.10008.1.2.4."):
        target = f"{path}.decoded"
        if subprocess.run(["dcmdjpeg", str(path), target], capture_output=True).returncode:
            return None
        return checks.read(target)
    return original


def check_pairs(plain, explicit, out, linkage, reports):
    """Each file against the one that a plain export writes."""
    written, mapping, reverse, values, same, blanked, references = {}, {}, {}, 0, 0, 0, 0
    new_of = {line["sop_instance_uid"]: line["new_sop_instance_uid"] for line in linkage}
    originals, held, blobs = {}, 0, []
    for line in linkage:
        names = [line[f"{level}_instance_uid"] for level in ("study", "series", "sop")]
        path = plain / names[0] / names[1] / f"{names[2]}.dcm"
        if not path.exists():
            continue
        original = originals[str(path)] = checks.read(str(path))
        target = out / line["file"]
        if not target.exists():
            held += reports[line["file"]]["result"] == "held_back"
            continue
        data_set = checks.read(str(target))
        blob = checks.searchable(str(target), data_set)
        blobs.append(blob)
        values += checks.check_values(str(path), original, data_set, blob, set())
        checks.check_table(str(path), original, data_set)
        checks.check_statements(str(path), data_set, OPTIONS)
        pixels = reports[line["file"]]["pixels"]
        written[str(path)] = {"written": line["file"], "pixels": {"unchanged": "pass"}.get(pixels, pixels)}
        if pixels == "blanked":
            before = decoded(path, explicit / path.relative_to(plain), original)
            if before is None:
                checks.fail(f"{path}: blanked, and dcmtk cannot decode it")
                continue
            checks.check_blanked(str(path), before, data_set)
            blanked += 1
            syntax = original.file_meta.TransferSyntaxUID
            if syntax in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51") and data_set.LossyImageCompression != "01":
                checks.fail(f"{path}: lossy frames are said to be without loss")
            if data_set.file_meta.TransferSyntaxUID != "1.2.840.10008.1.2.1":
                checks.fail(f"{path}: blanked, and not Explicit VR Little Endian")
        else:
            same += checks.check_pixels(str(path), original, data_set)
            if pixels == "unchanged" and data_set.BurnedInAnnotation != "NO":
                checks.fail(f"{path}: BurnedInAnnotation")
        for where, before, after in checks.pairs(original, data_set):
            if after.VR != "UI":
                continue
            for old, new in zip(checks.texts(before), checks.texts(after)):
                if old == new:
                    continue
                if mapping.setdefault(old, new) != new or reverse.setdefault(new, old) != old:
                    checks.fail(f"{path}: UIDs are not replaced one by one")
                # A reference to an instance of the store leads to the new one, in whatever file it is.
                if old in new_of and len(where) > 1:
                    references += 1
                    if new_of[old] != new:
                        checks.fail(f"{path}: a reference leads nowhere")
    print(f"{len(written)} files against a plain export: {values} values looked for, {same} pixel data the same, "
          f"{blanked} blanked, {references} references, {held} held back")
    return originals, written, b"\n".join(blobs)


def check_everywhere(originals, out, everything):
    """No name, identifier or UID of any original in any file, in a name of a file, or in what is written beside them."""
    free = "\n".join(
        text for original in originals.values() for _, element, covered in checks.elements(original) if not covered
        for text in checks.texts(element)
    )
    people, uids = set(), set()
    for original in originals.values():
        for _, element, covered in checks.elements(original):
            found = checks.texts(element)
            if covered and (element.VR == "PN" or element.keyword in ("PatientID", "OtherPatientIDs", "AccessionNumber")):
                people |= {text for text in found if len(text) >= 6}
            if element.VR == "UI" and int(element.tag) in checks.ACTIONS:
                uids |= {uid for uid in found if uid and not checks.is_well_known(uid)}
    beside = b"\n".join(
        path.read_bytes() for path in out.rglob("*") if path.is_file() and path.suffix != ".dcm"
    ) + "\n".join(str(path.relative_to(out)) for path in out.rglob("*")).encode()
    # Some patients are named after attributes, which the report names.
    keywords = " ".join(checks.dictionary_keywords())
    for text in people:
        if text in keywords:
            continue
        if checks.holds(beside, text.encode()):
            checks.fail("a name or identifier is in a name of a file or in the report")
        if checks.holds(everything, text.encode()) and text not in free and not checks.is_stated(text):
            checks.fail("a name or identifier is left in some file")
    shaped = set(re.findall(rb"[0-9]+(?:\.[0-9]+){2,}", everything + beside))
    for uid in uids:
        if uid.encode() in shaped:
            checks.fail("an original UID is left in some file or name")
    for path in out.rglob("*"):
        if path.is_file() and checks.MARK.lower().encode() in path.read_bytes().lower():
            checks.fail(f"{path.relative_to(out)}: something planted is left")
    print(f"everywhere: {len(people)} names and identifiers and {len(uids)} UIDs looked for")


def check_report(out, linkage, codes):
    folder = outcome(out)
    report = lines(folder / "DEIDENTIFICATION/report.ndjson")
    summary = (folder / "DEIDENTIFICATION/summary.md").read_text()
    results = [line["result"] for line in report]
    files = dicom_files(out)
    if {line["file"] for line in report if line["result"] == "written"} != set(files):
        checks.fail("the report lists other files than there are")
    if f"| held back: not written | {results.count('held_back')} |" not in summary:
        checks.fail("the summary counts otherwise")
    if (codes == 3) != bool(results.count("held_back") + results.count("failed")):
        checks.fail(f"exit code {codes}")
    if (out / "..").resolve() != linkage.parent.resolve() or linkage.stat().st_mode & 0o077:
        checks.fail("others can read the linkage file")
    reasons = {}
    for line in report:
        if line["result"] == "held_back":
            reasons[line["reason"]] = reasons.get(line["reason"], 0) + 1
        elif line["result"] == "failed":
            reasons[line["message"][:60]] = reasons.get(line["message"][:60], 0) + 1
    print(f"{results.count('written')} written, {results.count('held_back')} held back, {results.count('failed')} failed: {reasons}")
    return {line["file"]: line for line in report}


def killed(data, scratch, expected):
    """An export that is killed in the middle is finished by the next process, with the same files."""
    out = scratch / "killed"
    words = [BINARY, "--backend", "local", "--data-dir", data, "export", "--out", str(out), "--deidentify", "basic",
             "--deidentify-options", ",".join(OPTIONS)]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while len(dicom_files(out)) < 5 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = len(dicom_files(out))
    jobs = json.loads(run(data, "call", "list_jobs").stdout)["jobs"]
    job = jobs[0]["job_id"]
    server = subprocess.Popen([BINARY, "--backend", "local", "--data-dir", data, "stdio"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        found = json.loads(run(data, "call", "get_job", json.dumps({"job_id": job})).stdout)["job"]
        if found["job_status"] not in ("SUBMITTED", "IN_PROGRESS") or time.monotonic() > deadline + 60:
            break
        time.sleep(0.2)
    server.stdin.close()
    server.wait()
    after = {name: path.read_bytes() for name, path in dicom_files(out).items()}
    if found["job_status"] != "COMPLETED" or after != expected:
        checks.fail(f"a killed export is {found['job_status']}, with {len(after)} of {len(expected)} files")
    print(f"killed after {before} files, then finished: {len(after)} files, byte for byte the same")


def main():
    folder, full = sys.argv[1], "--full" in sys.argv
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        data = str(scratch / "data")
        taken, planted = gather(folder, full, scratch)
        run(data, "import", taken, codes=(0, 3))
        run(data, "import", planted, codes=(0, 3))
        plain, out, linkage = scratch / "plain", scratch / "out", scratch / "linkage.ndjson"
        run(data, "export", "--out", plain, codes=(0, 3))
        explicit = scratch / "explicit"
        run(data, "export", "--out", explicit, "--transfer-syntax", "1.2.840.10008.1.2.1", codes=(0, 3))
        done = export(data, out, linkage, OPTIONS)
        reports = check_report(out, linkage, done.returncode)
        originals, written, everything = check_pairs(plain, explicit, out, lines(linkage), reports)
        check_everywhere(originals, out, everything)
        unreadable = checks.dcmdump(str(path) for path in dicom_files(out).values())
        plain_unreadable = checks.dcmdump(written)
        for path, result in written.items():
            if str(out / result["written"]) in unreadable and path not in plain_unreadable:
                checks.fail(f"{path}: dcmdump cannot read the result")
        checks.with_deid(written, str(out))
        # The same key elsewhere gives the same files.
        elsewhere = str(scratch / "elsewhere")
        run(elsewhere, "import", taken, codes=(0, 3))
        key = scratch / "key"
        shutil.copy(f"{data}/deidentify.key", key)
        export(elsewhere, scratch / "again", scratch / "again.ndjson", OPTIONS, "--deidentify-key", key)
        again = set(dicom_files(scratch / "again"))
        if not again or not again <= set(dicom_files(out)):
            checks.fail("the same key gives other names")
        every = scratch / "every"
        export(data, every, scratch / "every.ndjson", ["clean-pixel-data", "clean-descriptors", "clean-graphics",
               "clean-structured-content", "retain-modified-dates", "retain-safe-private"], "--include-non-primary")
        blobs = b"\n".join(checks.searchable(str(p), checks.read(str(p))) for p in dicom_files(every).values())
        check_everywhere(originals, every, blobs)
        killed(data, scratch, {name: path.read_bytes() for name, path in dicom_files(out).items()})
        values = sum(len(path.read_bytes()) for path in dicom_files(out).values())
        print(f"{len(dicom_files(out))} files of {values >> 20} MiB")
    print(f"{len(checks.failures)} failures")
    sys.exit(bool(checks.failures))


if __name__ == "__main__":
    main()
