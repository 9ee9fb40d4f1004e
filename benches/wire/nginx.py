"""`getImageFrame` of about 256 KiB beside nginx (Debian's package) serving files of the same bytes."""

import contextlib
import gzip
import json
import os

from rig import (FOLDER, Request, archive, ask, ask_json, folder, imported, load, running, serving, table, until)

NGINX = "127.0.0.1:18043"
SIZE = 256 << 10
SETTINGS = """
user root;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  server {{ listen {address}; root {folder}/files; }}
}}
"""


@contextlib.contextmanager
def nginx(data):
    """nginx over `data`/files."""
    settings = data / "nginx.conf"
    text = SETTINGS.format(folder=data, address=NGINX)
    settings.write_text(text if os.getuid() == 0 else text.replace("user root;", ""), encoding="ascii")
    with running(["nginx", "-p", data, "-c", settings, "-g", "daemon off;"]):
        def answers():
            with contextlib.suppress(OSError):
                return ask(NGINX, "GET", "/0")
        until(answers)
        yield


def frames(address, datastore):
    """Path, body and bytes of every frame."""
    search = ask_json(address, "POST", f"/datastore/{datastore}/searchImageSets", "{}")
    for found in search["imageSetsMetadataSummaries"]:
        path = f"/datastore/{datastore}/imageSet/{found['imageSetId']}"
        document = json.loads(gzip.decompress(ask(address, "POST", f"{path}/getImageSetMetadata", "{}")))
        for series in document["Study"]["Series"].values():
            for instance in series["Instances"].values():
                body = json.dumps({"imageFrameId": instance["ImageFrames"][0]["ID"]})
                yield f"{path}/getImageFrame", body, ask(address, "POST", f"{path}/getImageFrame", body)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    # At this size the frames of the phantoms, stored as HTJ2K, come closest.
    files = archive(1, 1, 2, 50, 550)
    rows = []
    with folder("ours") as ours, folder("nginx") as data:
        datastore = imported(ours, files)
        with serving(ours) as (address, _):
            known = sorted(frames(address, datastore), key=lambda frame: abs(len(frame[2]) - SIZE))[:50]
            (data / "files").mkdir()
            for number, (_, _, content) in enumerate(known):
                (data / "files" / str(number)).write_bytes(content)
            sizes = [len(content) for _, _, content in known]
            with nginx(data):
                for connections in (1, 8):
                    theirs = load(NGINX, [Request(f"/{number}") for number in range(len(known))], connections)
                    own = load(address, [Request(path, method="POST", body=body) for path, body, _ in known],
                               connections)
                    share = 100 * own.rate / theirs.rate
                    told = f"{share:.0f} % (60 wanted: {'met' if share >= 60 else 'NOT met'})"
                    if connections == 8:
                        told += f"; p99 under 5 ms wanted: {'met' if own.p99 < 5 else 'NOT met'}"
                    rows.append([connections, theirs, own, told])
    table(f"getImageFrame of {min(sizes) >> 10} to {max(sizes) >> 10} KiB: p50 / p99, answers a second",
          ["connections", "nginx", "ours", "ours does"], rows)


if __name__ == "__main__":
    main()
