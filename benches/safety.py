"""What patient safety costs: de-identified exports beside dicom-anonymizer, the audit log, and scans for certificates.

safety.py deidentify FOLDER     files a second: import of FOLDER, its export, its de-identified export, dicom-anonymizer
safety.py audit                 milliseconds a call with and without the audit log
safety.py scan [PATIENTS...]    seconds of `certificate verify` by the size of the store: 10 studies of 10 slices a patient

HEALTHIMAGING_BIN is the program, and for all but `deidentify` ARCHIVE_BIN the example `archive`. `deidentify` runs in a Python
that has dicom-anonymizer 2.1.0. Medians of RUNS (3). BENCH_FOLDER is where stores are made; a disk, not memory.
"""

import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

BINARY = os.environ["HEALTHIMAGING_BIN"]
RUNS = int(os.environ.get("RUNS", "3"))


def run(data, *words, codes=(0,)):
    """Seconds and processor seconds of a command, and what it printed."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [BINARY, "--backend", "local", "--data-dir", data, *map(str, words)], capture_output=True, text=True
    )
    took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in codes:
        sys.exit(f"{words[0]} ended with {done.returncode}: {done.stderr[-2000:]}")
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def median(measure):
    """Medians of what `measure` returns in some runs."""
    return [statistics.median(values) for values in zip(*(measure() for _ in range(RUNS)))]


def archive(scratch, *words):
    files = scratch / "files"
    subprocess.run([os.environ["ARCHIVE_BIN"], files, *map(str, words)], check=True, stdout=subprocess.DEVNULL)
    return files


def anonymized(files, scratch):
    """dicom-anonymizer of every file, in this process, as its command does; how many it wrote."""
    from dicomanonymizer import anonymize_dicom_file

    out = scratch / "anonymized"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    began, cpu, written = time.perf_counter(), time.process_time(), 0
    for number, path in enumerate(files):
        try:
            anonymize_dicom_file(str(path), str(out / f"{number}.dcm"))
            written += 1
        except Exception:  # It refuses some files of a corpus in its own ways.
            pass
    return time.perf_counter() - began, time.process_time() - cpu, written


def deidentify(scratch, folder):
    from pydicom.misc import is_dicom

    files = [path for path in sorted(pathlib.Path(folder).rglob("*")) if path.is_file() and is_dicom(path)]
    data = scratch / "store"
    took, cpu, _ = run(data, "import", folder, codes=(0, 1, 3))
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.0f} MB")
    print(f"import: {took:.1f} s, processor {cpu:.1f} s")

    def exported(*words):
        def measure():
            out = scratch / "out"
            shutil.rmtree(out, ignore_errors=True)
            took, cpu, _ = run(data, "--allow-path", scratch, "export", "--out", out, *words, codes=(0, 3))
            return took, cpu, sum(1 for _ in out.rglob("*.dcm"))

        return measure

    options = "clean-pixel-data,clean-descriptors,retain-modified-dates"
    for name, measure in [
        ("export", exported()),
        ("export --deidentify basic", exported("--deidentify", "basic")),
        (f"export --deidentify basic, {options}", exported("--deidentify", "basic", "--deidentify-options", options)),
        ("dicom-anonymizer", lambda: anonymized(files, scratch)),
    ]:
        took, cpu, written = median(measure)
        print(f"{name}: {written:.0f} files in {took:.2f} s, {written / took:.0f} files/s, processor {cpu:.2f} s")


class Server:
    """The program over stdio."""

    def __init__(self, data, *flags):
        words = [BINARY, "--backend", "local", "--data-dir", data, "--confirm", "never", *flags]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self.number = 0
        hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}}
        self.ask("initialize", hello)
        self.say({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def say(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.number += 1
        self.say({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        while line := self.process.stdout.readline():
            answer = json.loads(line)
            if answer.get("id") == self.number:
                return answer["result"]
        sys.exit("the server is gone")

    def call(self, tool, **arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            sys.exit(f"{tool}: {result}")
        return result["structuredContent"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def audit(scratch):
    files = archive(scratch, 1, 30, 10, 1, 32)
    for level in ["off", "writes", "all"]:
        data = scratch / f"store-{level}"
        run(data, "import", files)
        server = Server(data, "--audit", level)
        store = server.call("list_datastores")["datastore_summaries"][0]
        named, arn = store["datastore_id"], store["datastore_arn"]
        sets, token = [], {}
        while token is not None:
            page = server.call("search_image_sets", datastore_id=named, max_results=100, **token)
            sets += [one["image_set_id"] for one in page["image_sets_metadata_summaries"]]
            token = {"next_token": page["next_token"]} if page.get("next_token") else None

        def times(calls):
            took = []
            for call in calls:
                began = time.perf_counter()
                call()
                took.append((time.perf_counter() - began) * 1000)
            return statistics.median(took)

        read = times([lambda: server.call("get_datastore", datastore_id=named)] * 500)
        write = times([lambda: server.call("tag_resource", resource_arn=arn, tags={"a": "b"})] * 300)
        destroy = times(
            [lambda one=one: server.call("delete_image_set", datastore_id=named, image_set_id=one) for one in sets[:200]]
        )
        server.close()
        print(f"--audit {level}: get_datastore {read:.3f} ms, tag_resource {write:.3f} ms, delete_image_set {destroy:.3f} ms")


def scan(scratch, *patients):
    for count in patients or ["1", "10", "100"]:
        here = scratch / count
        here.mkdir()
        files = archive(here, int(count) + 1, 10, 1, 10, 64)
        data = here / "store"
        run(data, "import", files)
        named = json.loads(run(data, "call", "list_datastores", "{}")[2])["datastore_summaries"][0]["datastore_id"]
        one = json.loads(run(data, "call", "search_image_sets", "{}")[2])["image_sets_metadata_summaries"][0]
        asked = {"datastore_id": named, "patient_id": one["dicom_tags"]["DICOMPatientId"]}
        erased, cpu, printed = run(data, "call", "delete_patient_studies", json.dumps(asked), "--yes")
        report = json.loads(printed)["report"]
        certificate = json.loads(printed)["job_id"]
        sets, size = int(count) * 10, sum(path.stat().st_size for path in data.rglob("*") if path.is_file())
        print(f"{sets} image sets are left, {sets * 10} instances, {size / 1e6:.0f} MB: {report['certificate']['verdict']}")
        print(f"  erasure with its certificate {erased:.2f} s, processor {cpu:.2f} s")
        for flags in [[], ["--full"]]:
            took, cpu = median(lambda: run(data, "certificate", "verify", certificate, *flags, codes=(0, 1))[:2])
            print(f"  certificate verify {' '.join(flags)}: {took:.2f} s, processor {cpu:.2f} s")
        shutil.rmtree(here)


def main():
    kind, *words = sys.argv[1:] or ["-"]
    measures = {"deidentify": deidentify, "audit": audit, "scan": scan}
    if kind not in measures:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_FOLDER")) as scratch:
        measures[kind](pathlib.Path(scratch), *words)


main()
