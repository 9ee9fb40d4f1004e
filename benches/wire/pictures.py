"""Pictures beside Orthanc with its DICOMweb plugin (Debian's packages): rendered frames and thumbnails; and our contact sheets.

No picture is asked for twice by design: each request has a window of its own, so that caches of pictures do not count. In the rows
"again", they do: a few pictures are asked for all the time, as by pages and lists that are opened again.
"""

import json
import statistics
import time

from orthanc import ORTHANC, instances, orthanc
from rig import DIVISOR, Request, archive, ask, folder, imported, load, serving, table, verdict
from senders import store

#: Windows that each frame is asked for with.
WINDOWS = 40

#: Instances whose pictures are asked for again, with one window.
AGAIN = 40


def pictures(root, known, resource, query, windows=WINDOWS):
    """Requests for a picture of each instance through each of so many windows."""
    return [Request(f"{root}/studies/{study}/series/{series}/instances/{sop}/{resource}?window={40 + step},{400 + step},linear{query}",
                    "image/png") for study, series, sop in known for step in range(windows)]


def sheet(address, datastore, series):
    """Milliseconds of each of ten contact sheets, with a window of its own."""
    took = []
    for step in range(10):
        name, method = "get_series_contact_sheet", "tools/call"
        arguments = {"datastore_id": datastore, "series_instance_uid": series, "window_center": 40 + step, "window_width": 400}
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
                "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": name, "arguments": arguments, "_meta": meta}})
        began = time.perf_counter()
        answer = ask(address, "POST", "/mcp", body, "application/json, text/event-stream",
                     {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": method, "Mcp-Name": name})
        took.append((time.perf_counter() - began) * 1000)
        assert b"image/png" in answer or b"image/jpeg" in answer, answer[:500]
    return took


def main():
    files = sorted(archive(1, 1, 1, max(10, 300 // DIVISOR), 512).rglob("*.dcm"))
    with folder("orthanc") as data, folder("ours") as ours, orthanc(data):
        store(ORTHANC, "/dicom-web/studies", files, 4, 20)
        datastore = imported(ours, files[0].parents[3])
        with serving(ours) as (address, _):
            root = f"/datastore/{datastore}"
            known = instances(address, root)
            rows = []
            for name, resource, query, wanted, some, windows in (
                    ("PNG of 512×512", "rendered", "", 5, known, WINDOWS),
                    ("again", "rendered", "", 5, known[:AGAIN], 1),
                    ("thumbnail of 128×128", "thumbnail", "", 2, known, WINDOWS),
                    ("again", "thumbnail", "", 2, known[:AGAIN], 1)):
                for connections in (1, 4):
                    # Orthanc 1.7 of the plugin has no thumbnails: it scales rendered instances.
                    their = ("rendered", "&viewport=128,128") if resource == "thumbnail" else (resource, query)
                    theirs = load(ORTHANC, pictures("/dicom-web", some, *their, windows), connections)
                    own = load(address, pictures(root, some, resource, query, windows), connections)
                    met = "" if connections > 1 else f"; under {wanted} ms wanted: {'met' if own.p50 < wanted else 'NOT met'}"
                    rows.append([name, connections, theirs, own, verdict(theirs.p50 / own.p50, 8 if resource == "rendered" else 1) + met])
            took = sheet(address, datastore, known[0][1])
    table(f"Pictures of {len(files)} CT instances: p50 / p99, answers a second", ["what", "connections", "Orthanc", "ours", "p50 is shorter by"], rows)
    print(f"contact sheet of {len(files)} slices (16 shown): median {statistics.median(took):.0f} ms, first {took[0]:.0f} ms; "
          f"under 300 ms wanted")


if __name__ == "__main__":
    main()
