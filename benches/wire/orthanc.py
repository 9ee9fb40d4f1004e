"""Our server beside Orthanc with its DICOMweb plugin (Debian's packages): the same files, in turn, in one run.

Orthanc stores files as they come; ours encodes each frame as HTJ2K, decodes it again, compares, and syncs before it
answers.
"""

import contextlib
import json
import random
import subprocess
import time

from rig import (DIVISOR, EXPLICIT, JSON, STORED, Request, archive, ask, ask_json, bring_in, folder, imported, load,
                 new_datastore, resident, running, serving, table, until, verdict)
from senders import store

ORTHANC = "127.0.0.1:18042"


@contextlib.contextmanager
def orthanc(data):
    """A running Orthanc with an index and storage in `data`."""
    settings = data / "orthanc.json"
    settings.write_text(json.dumps({
        "StorageDirectory": str(data / "storage"), "IndexDirectory": str(data / "storage"),
        "HttpPort": int(ORTHANC.split(":")[1]), "RemoteAccessAllowed": False, "AuthenticationEnabled": False,
        "DicomServerEnabled": False, "KeepAlive": True, "StorageCompression": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
    }), encoding="ascii")
    with running(["Orthanc", settings], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        def answers():
            with contextlib.suppress(OSError):
                return ask(ORTHANC, "GET", "/system")
        until(answers)
        yield process


def storing(files):
    rows = []
    for batch in (1, 20):
        for connections in (1, 4):
            rates = []
            with folder("orthanc") as data, orthanc(data):
                rates.append(stored(ORTHANC, "/dicom-web/studies", files, connections, batch))
            with folder("ours") as data, serving(data) as (address, _):
                path = f"/datastore/{new_datastore(address)}/studies"
                rates.append(stored(address, path, files, connections, batch))
            (theirs, told), (ours, told_ours) = rates
            rows.append([batch, connections, told, told_ours, verdict(ours / theirs, 1)])
    table(f"STOW-RS of {len(files)} CT instances of 512×512: instances a second; p50 / p99 of a request",
          ["files a request", "connections", "Orthanc", "ours", "ours is"], rows)


def importing(files):
    """Our import by the command line beside both ways into Orthanc, over four connections."""
    rows = []
    for name, path, batch in (("STOW-RS", "/dicom-web/studies", 1), ("POST /instances", "/instances", 0)):
        with folder("orthanc") as data, orthanc(data):
            took, _ = store(ORTHANC, path, files, 4, batch)
            rows.append([f"Orthanc, {name}", len(files) / took, disk(data)])
    with folder("ours") as data:
        began = time.perf_counter()
        bring_in(data, files[0].parents[3])
        rows.append(["ours, import", len(files) / (time.perf_counter() - began), disk(data)])
    ours = rows[-1][1]
    table(f"{len(files)} CT instances of 512×512 stored: instances a second, disk",
          ["how", "instances a second", "MB of disk", "our import is"],
          [[name, f"{rate:.0f}", megabytes, "" if rate == ours else verdict(ours / rate, 1)]
           for name, rate, megabytes in rows])


def disk(path):
    """Megabytes that a folder takes."""
    told = subprocess.run(["du", "-s", "--block-size=1", path], check=True, capture_output=True, text=True).stdout
    return f"{int(told.split()[0]) / 1e6:.0f}"


def stored(address, path, files, connections, batch):
    took, times = store(address, path, files, connections, batch)
    rate = len(files) / took
    return rate, f"{rate:.0f}/s; {times[len(times) // 2]:.1f} / {times[len(times) * 99 // 100]:.1f} ms"


def instances(address, root):
    """Study, series and instance UIDs of everything, as QIDO-RS tells them."""
    found = []
    while page := ask_json(address, "GET", f"{root}/instances?limit=1000&offset={len(found)}", accept=JSON):
        found += [tuple(row[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")) for row in page]
    return found


def searching(files):
    """QIDO-RS over small instances."""
    with folder("orthanc") as data, folder("ours") as ours, orthanc(data):
        store(ORTHANC, "/dicom-web/studies", files, 4, 20)
        datastore = imported(ours, files[0].parents[3])
        with serving(ours) as (address, _):
            root = f"/datastore/{datastore}"
            studies = ask_json(address, "GET", f"{root}/studies?limit=1000", accept=JSON)
            values = {name: sorted({study[tag]["Value"][0] for study in studies})
                      for name, tag in (("PatientID", "00100020"), ("StudyInstanceUID", "0020000D"))}
            rows = []
            for name, known in values.items():
                asked = [f"/studies?{name}={value}" for value in random.Random(1).sample(known, min(200, len(known)))]
                for connections in (1, 8):
                    theirs = load(ORTHANC, [Request(f"/dicom-web{path}", JSON) for path in asked], connections)
                    own = load(address, [Request(root + path, JSON) for path in asked], connections)
                    rows.append([f"by {name}", connections, theirs, own, verdict(theirs.p50 / own.p50, 20)])
    table(f"QIDO-RS for studies among {len(files):,} instances: p50 / p99, answers a second",
          ["search", "connections", "Orthanc", "ours", "p50 is shorter by"], rows)


def retrieving(files):
    """WADO-RS of frames and of the metadata of a series."""
    with folder("orthanc") as data, folder("ours") as ours, orthanc(data) as their_process:
        store(ORTHANC, "/dicom-web/studies", files, 4, 20)
        datastore = imported(ours, files[0].parents[3])
        with serving(ours) as (address, process):
            root = f"/datastore/{datastore}"
            known = instances(address, root)
            picked = random.Random(2).sample(known, min(200, len(known)))
            frames = [f"/studies/{study}/series/{series}/instances/{sop}/frames/1" for study, series, sop in picked]
            series = sorted({f"/studies/{study}/series/{series}/metadata" for study, series, _ in known})
            rows = []
            for connections in (1, 8):
                theirs = load(ORTHANC, [Request(f"/dicom-web{path}", EXPLICIT) for path in frames], connections)
                for name, accept, wanted in (("stored HTJ2K", STORED, 5), ("Explicit LE", EXPLICIT, 2)):
                    own = load(address, [Request(root + path, accept) for path in frames], connections)
                    told = verdict(own.rate / theirs.rate, wanted if connections == 8 else 1)
                    rows.append([f"frame, ours {name}", connections, theirs, own, told])
                theirs = load(ORTHANC, [Request(f"/dicom-web{path}", JSON) for path in series], connections)
                own = load(address, [Request(root + path, JSON) for path in series], connections)
                met = "" if connections == 8 else f"; under 5 ms wanted: {'met' if own.p50 < 5 else 'NOT met'}"
                rows.append([f"metadata of {len(files) // len(series)} instances", connections, theirs, own,
                             f"{own.rate / theirs.rate:.1f} times{met}"])
            memory = f"Orthanc {resident(their_process):.0f} MiB, ours {resident(process):.0f} MiB"
    table(f"WADO-RS of {len(files):,} instances: p50 / p99, answers a second; resident afterwards: {memory}",
          ["what", "connections", "Orthanc", "ours", "ours is"], rows)


def main():
    large = sorted(archive(5, 2, 2, max(1, 100 // DIVISOR), 512).rglob("*.dcm"))
    importing(large)
    storing(large)
    retrieving(large)
    searching(sorted(archive(250, 2, 2, max(1, 50 // DIVISOR), 64).rglob("*.dcm")))


if __name__ == "__main__":
    main()
