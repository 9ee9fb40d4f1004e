"""Our built binary on a store of its own, as a shell user drives it. HEALTHIMAGING_BIN names it."""

import base64
import json
import os
import re
import subprocess
from pathlib import Path

BINARY = os.environ["HEALTHIMAGING_BIN"]
# How answers show characters that nobody sees (docs/tools.md).
HIDDEN = re.compile(r"\\u\{([0-9A-F]+)\}")
PLACE = re.compile(r"image sets? in data store \S+ \(([0-9a-z]{32})\).* in file://(\S+/)")


class Store:
    """Each file goes into a data store of its own, so that none merges with another."""

    def __init__(self, folder):
        self.folder = folder
        self.count = 0

    def run(self, *words):
        command = [BINARY, "--backend", "local", "--data-dir", self.folder, *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def call(self, tool, **arguments):
        """The result of a tool; an error of the tool is an exception."""
        done = self.run("call", tool, json.dumps(arguments))
        if done.returncode:
            raise RuntimeError(f"{tool}: {(done.stdout or done.stderr).strip()}")
        return json.loads(done.stdout)

    def take_in(self, path):
        """Imports one file: what is known of it, or the reason why it was refused."""
        self.count += 1
        done = self.run("import", path, "--datastore", f"file-{self.count}")
        place = PLACE.search(done.stdout + done.stderr)
        if done.returncode not in (0, 3) or not place:
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
        return Stored(self, datastore, success["importResponse"]["imageSetId"], warnings)


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
        return base64.b64decode(found["image_frame_blob"])


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
