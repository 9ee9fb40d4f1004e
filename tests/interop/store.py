"""The binary (HEALTHIMAGING_BIN) on a store of its own, used from a shell."""

import base64
import contextlib
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

BINARY = os.environ["HEALTHIMAGING_BIN"]
# How answers show invisible characters (docs/tools.md).
HIDDEN = re.compile(r"\\u\{([0-9A-F]+)\}")
PLACE = re.compile(r"image sets? in data store \S+ \(([0-9a-z]{32})\).* in file://(\S+/)")


class Store:
    """Each file goes into a data store of its own, so that none merges with another."""

    def __init__(self, folder):
        self.folder = Path(folder)
        # What became of each file, by its path: a store that several checks share knows what is in it.
        self.outcomes = Path(folder).with_name("outcomes-of-checks.json")
        self.server = None
        self.known = json.loads(self.outcomes.read_text()) if self.outcomes.exists() else {}

    def run(self, *words):
        command = [BINARY, "--backend", "local", "--data-dir", self.folder, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def by_command(self, tool, **arguments):
        """The result of a tool, by the command `call`; an error of the tool is an exception."""
        done = self.run("call", tool, json.dumps(arguments))
        if done.returncode:
            raise RuntimeError(f"{tool}: {(done.stdout or done.stderr).strip()}")
        return json.loads(done.stdout)

    def call(self, tool, **arguments):
        """The result of a tool, over MCP; an error of the tool is an exception."""
        answer, _ = self.answer(tool, **arguments)
        if answer.get("error") is True:
            raise RuntimeError(f"{tool}: {answer}")
        return answer

    def answer(self, tool, **arguments):
        """The JSON of a tool's answer or error, and the bytes of its picture, over MCP: one server answers all calls."""
        if self.server is None:
            self.server = Server(self.folder)
        content = self.server.request("tools/call", {"name": tool, "arguments": arguments})["content"]
        pictures = [base64.b64decode(block["data"]) for block in content if block["type"] == "image"]
        return json.loads(content[0]["text"]), next(iter(pictures), None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.server is not None:
            self.server.close()

    def take_in(self, path):
        """Imports one file, once: what is known of it, or the reason why it was refused."""
        key = str(Path(path).resolve())
        if key not in self.known:
            self.known[key] = self.imported(path)
            self.outcomes.write_text(json.dumps(self.known))
        found = self.known[key]
        return found if isinstance(found, str) else Stored(self, *found)

    def imported(self, path):
        done = self.run("import", path, "--datastore", f"file-{len(self.known) + 1}")
        place = PLACE.search(done.stdout + done.stderr)
        if done.returncode == 1 and "nothing was imported" in done.stderr:
            return "it is no DICOM instance"
        if done.returncode not in (0, 1, 3) or not place:
            raise RuntimeError(f"import of {path}: {done.stdout} {done.stderr}")
        datastore, output = place.group(1), Path(place.group(2))
        failures = lines(output / "FAILURE/failure.ndjson")
        if failures:
            return failures[0]["exception"]["message"]
        success = lines(output / "SUCCESS/success.ndjson")[0]
        warnings = [
            warning["type"]
            for line in lines(output / "WARNING/warning.ndjson")
            for warning in line["importResponse"]["warnings"]
        ]
        return [datastore, success["importResponse"]["imageSetId"], warnings]


@contextlib.contextmanager
def shared_store():
    """The store in INTEROP_STORE, which several checks of the same files share; without it, one of its own."""
    with tempfile.TemporaryDirectory() as folder:
        with Store(os.environ.get("INTEROP_STORE") or Path(folder) / "store") as store:
            yield store


class Server:
    """Our server over stdio, on a store."""

    def __init__(self, folder):
        command = [BINARY, "--backend", "local", "--data-dir", folder, "stdio"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = 0
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "interop", "version": "1"}}
        self.request("initialize", hello)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def request(self, method, params):
        self.count += 1
        self.send({"jsonrpc": "2.0", "id": self.count, "method": method, "params": params})
        for line in self.process.stdout:
            answer = json.loads(line)
            if answer.get("id") == self.count:
                return answer["result"]
        raise RuntimeError(f"the server ended: {self.process.wait()}")

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(60)


class Stored:
    """One file in the store."""

    def __init__(self, store, datastore, image_set, warnings):
        self.store, self.warnings = store, warnings
        self.ids = {"datastore_id": datastore, "image_set_id": image_set}

    def document(self):
        """The metadata document; nothing when it is longer than an answer may be."""
        found = self.store.call("get_image_set_metadata", **self.ids, max_bytes=10_000_000)
        assert found["image_set_id"] == self.ids["image_set_id"]
        return read_back(found.get("metadata"))

    def instance(self, keywords):
        """The frames of the one instance, and these of its attributes."""
        wanted = [*keywords, "ImageFrames"]
        found = self.store.call("get_image_set_metadata", **self.ids, attributes=wanted, max_bytes=10_000_000)
        series = next(iter(found["metadata"]["Study"]["Series"].values()))
        return next(iter(series["Instances"].values()))

    def frame(self, frame):
        """The stored bytes of a frame."""
        wanted = {"imageFrameId": frame}
        found = self.store.call("get_image_frame", **self.ids, image_frame_information=wanted, format="stored")
        if "image_frame_blob" in found:
            return base64.b64decode(found["image_frame_blob"])
        # A long one is a resource.
        read = self.store.server.request("resources/read", {"uri": found["resource_uri"]})
        return base64.b64decode(read["contents"][0]["blob"])


def read_back(value):
    """A value of an answer with its hidden characters as they are stored."""
    if isinstance(value, str):
        return HIDDEN.sub(lambda escape: chr(int(escape.group(1), 16)), value)
    if isinstance(value, list):
        return [read_back(one) for one in value]
    if isinstance(value, dict):
        return {key: read_back(one) for key, one in value.items()}
    return value


def lines(path):
    """The JSON values of a file, one a line; none when there is no file."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def files_of(paths):
    """All files below these paths."""
    for path in map(Path, paths):
        yield from sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
