"""Orthanc with its DICOMweb plugin (Debian's packages) as a client: it stores to our server, searches it and retrieves from it.

`orthanc_client.py FOLDER`: everything that has been to our server and back has the pixels and the UIDs that pydicom reads in the files.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import pydicom

from rendered import create_datastore
from served import served
from store import files_of

PLUGIN = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"


@contextlib.contextmanager
def orthanc(root):
    """A function that asks a running Orthanc, which has our server under the name `ours`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as data:
        settings = pathlib.Path(data) / "orthanc.json"
        settings.write_text(json.dumps({
            "StorageDirectory": data, "IndexDirectory": data, "HttpPort": port, "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False, "DicomServerEnabled": False, "Plugins": [PLUGIN],
            "DicomWeb": {"Servers": {"ours": [root + "/"]}}}), encoding="ascii")
        path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
        process = subprocess.Popen(["Orthanc", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "PATH": path})

        def ask(address, body=None, method=None):
            if isinstance(body, (dict, list)):
                body = json.dumps(body).encode()
            request = urllib.request.Request(f"http://127.0.0.1:{port}{address}", body, method=method)
            with urllib.request.urlopen(request, timeout=100) as answer:
                found = answer.read()
            return json.loads(found) if found[:1] in (b"{", b"[") else found

        try:
            for _ in range(600):
                with contextlib.suppress(OSError):
                    ask("/system")
                    break
                time.sleep(0.1)
            yield ask
        finally:
            process.terminate()
            process.wait(60)


def main(scans):
    files = [pathlib.Path(path) for path in files_of([scans])][:12]
    sources = {found.SOPInstanceUID: found for found in map(pydicom.dcmread, files)}
    with served() as address:
        made = create_datastore(f"http://{address}")
        with orthanc(f"http://{address}/datastore/{made}") as ask:
            for path in files:
                ask("/instances", path.read_bytes(), "POST")
            sent = ask("/dicom-web/servers/ours/stow", {"Resources": ask("/studies"), "Synchronous": True})
            assert "error" not in json.dumps(sent).lower(), sent
            study = next(iter(sources.values())).StudyInstanceUID
            found = ask("/dicom-web/servers/ours/qido", {"Uri": "/studies", "Arguments": {"StudyInstanceUID": study}})
            assert study in json.dumps(found), found
            found = ask("/dicom-web/servers/ours/qido", {"Uri": "/instances", "Arguments": {"limit": "1000"}})
            assert all(uid in json.dumps(found) for uid in sources), "every instance is found"
            for one in ask("/studies"):
                ask(f"/studies/{one}", method="DELETE")
            assert ask("/instances") == []
            wanted = sorted({(one.StudyInstanceUID, one.SeriesInstanceUID) for one in sources.values()})
            whole = {"Study": wanted[0][0]}
            others = [{"Study": study, "Series": series} for study, series in wanted if study != whole["Study"]]
            ask("/dicom-web/servers/ours/retrieve", {"Resources": [whole, *others], "Synchronous": True})
            back = {}
            for one in ask("/instances"):
                with tempfile.NamedTemporaryFile() as file:
                    file.write(ask(f"/instances/{one}/file"))
                    file.flush()
                    found = pydicom.dcmread(file.name)
                    back[found.SOPInstanceUID] = (found.pixel_array, str(found.PatientName))
            assert set(back) == set(sources), "everything came back"
            for uid, (pixels, name) in back.items():
                assert (pixels == sources[uid].pixel_array).all() and name == str(sources[uid].PatientName), uid
    print(f"Orthanc as a client: {len(sources)} instances stored, found and retrieved")


if __name__ == "__main__":
    main(sys.argv[1])
