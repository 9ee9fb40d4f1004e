#!/usr/bin/env python3
"""Installs each package of dist/ into an empty folder and holds a conversation with what was installed.

`packaging/test.py [KIND…]` tests the kinds named, or all that lie in dist/. Prints the time from the start of the program
to its answer to `initialize`.
"""

import json
import os
import pathlib
import re
import select
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "healthimaging-mcp-server"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
OUT = pathlib.Path(os.environ.get("PACKAGES", ROOT / "dist")).resolve()
# Seconds that an answer may take on a busy machine.
TIMEOUT = 60


class Conversation:
    """A server on stdio, without the caller's AWS settings and with a store of its own."""

    def __init__(self, command, folder, environment=None):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "HEALTHIMAGING_"))}
        # Empty values are what a bundle passes for settings that a user left out.
        clean |= environment or {}
        clean["HEALTHIMAGING_DATA_DIR"] = str(folder / "store")
        self.began = time.perf_counter()
        self.process = subprocess.Popen(command, cwd=folder, env=clean, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)
        self.number = 0
        self.read = b""

    def send(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, params):
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        while True:
            message = json.loads(self.line())
            if message.get("id") == self.number:
                assert "result" in message, message
                return message["result"]

    def line(self):
        until = time.monotonic() + TIMEOUT
        while b"\n" not in self.read:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, until - time.monotonic()))
            part = os.read(self.process.stdout.fileno(), 1 << 16) if ready else b""
            if not part:
                self.process.kill()
                sys.exit(f"the server did not answer: {self.process.stderr.read().decode(errors='replace')}")
            self.read += part
        line, _, self.read = self.read.partition(b"\n")
        return line


def converse(command, folder, environment=None):
    """Returns the seconds from the start to the answer of `initialize`."""
    server = Conversation(command, folder, environment)
    answer = server.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {},
                                       "clientInfo": {"name": "package-test", "version": "1"}})
    took = time.perf_counter() - server.began
    assert answer["serverInfo"]["version"] == version(), answer["serverInfo"]
    server.send({"method": "notifications/initialized"})
    tools = server.ask("tools/list", {})["tools"]
    assert any(tool["name"] == "list_datastores" for tool in tools)
    made = server.ask("tools/call", {"name": "create_datastore", "arguments": {"datastore_name": "packaged"}})
    assert not made.get("isError"), made
    listed = server.ask("tools/call", {"name": "list_datastores", "arguments": {}})
    assert "packaged" in listed["content"][0]["text"], listed
    server.process.stdin.close()
    assert server.process.wait(TIMEOUT) == 0
    return took


def version():
    return re.search(r'^version = "(.+)"', (ROOT / "Cargo.toml").read_text(encoding="utf-8"), re.M)[1]


def one(pattern):
    found = sorted(OUT.glob(pattern))
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def npm(folder):
    packed = [OUT / f"{NAME}-{version()}.tgz", one(f"{NAME}-*-*-{version()}.tgz")]
    # Both files are named, because npm would look for the package of the platform in its registry.
    (folder / "package.json").write_text('{"private": true}', encoding="utf-8")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--omit=optional", *packed], cwd=folder,
                   check=True)
    return converse(["npx", "--no-install", NAME], folder)


def mcpb(folder):
    bundle = one(f"*-{version()}-*.mcpb")
    with zipfile.ZipFile(bundle) as packed:
        for entry in packed.infolist():
            path = pathlib.Path(packed.extract(entry, folder))
            path.chmod(entry.external_attr >> 16 & 0o777)
    checked = subprocess.run(["npx", "--yes", "@anthropic-ai/mcpb@2.1.2", "validate", folder / "manifest.json"],
                             capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    config = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["server"]["mcp_config"]
    place = lambda text: text.replace("${__dirname}", str(folder))
    settings = {name: re.sub(r"\$\{user_config\.[a-z_]+\}", "", text) for name, text in config["env"].items()}
    return converse([place(config["command"]), *map(place, config["args"])], folder, settings)


def archive(folder):
    with tarfile.open(one(f"*-{version()}-*.tar.gz")) as tar:
        tar.extractall(folder, filter="data")
    (inside,) = (path for path in folder.iterdir() if path.is_dir())
    bill = json.loads((inside / "sbom.cdx.json").read_text(encoding="utf-8"))
    assert {"rmcp", "aws-sdk-medicalimaging"} <= {each["name"] for each in bill["components"]}
    assert "OpenJPH" in (inside / "THIRD-PARTY-LICENSES.txt").read_text(encoding="utf-8")
    return converse([inside / NAME], folder)


def wheel(folder):
    packed = one(f"*-{version()}-*.whl")
    assert "manylinux2014" in packed.name or "linux" not in packed.name, packed.name
    uvx = TARGET / "packaging/bin/uvx"
    cached = {"UV_CACHE_DIR": str(folder / "cache"), "UV_TOOL_DIR": str(folder / "tools"), "UV_NO_PROGRESS": "1"}
    command = [uvx, "--from", packed, NAME]
    # The first run unpacks the wheel.
    subprocess.run([*command, "--version"], cwd=folder, env={**os.environ, **cached}, check=True, stdout=subprocess.DEVNULL)
    return converse(command, folder, cached)


def server(_folder):
    content = json.loads((OUT / "server.json").read_text(encoding="utf-8"))
    # The registry compares the image's label with the name.
    label = f'LABEL io.modelcontextprotocol.server.name="{content["name"]}"'
    assert label in (ROOT / "Dockerfile").read_text(encoding="utf-8"), label
    assert re.fullmatch(r"[a-zA-Z0-9.-]+/[a-zA-Z0-9._-]+", content["name"]), content["name"]
    assert len(content["description"]) <= 100
    with tarfile.open(OUT / f"{NAME}-{version()}.tgz") as tar:
        assert json.load(tar.extractfile("package/package.json"))["mcpName"] == content["name"]
    for package in content["packages"]:
        assert package["transport"] == {"type": "stdio"}, package
        assert package["registryType"] != "mcpb" or re.fullmatch("[0-9a-f]{64}", package["fileSha256"])
    return None


KINDS = {"npm": ("*.tgz", npm), "mcpb": ("*.mcpb", mcpb), "archive": ("*.tar.gz", archive), "wheel": ("*.whl", wheel),
         "server": ("server.json", server)}


def main():
    for kind in sys.argv[1:] or [kind for kind, (pattern, _) in KINDS.items() if list(OUT.glob(pattern))]:
        with tempfile.TemporaryDirectory() as folder:
            took = KINDS[kind][1](pathlib.Path(folder))
        print(f"ok  {kind}" + (f": {took * 1000:.0f} ms to the answer of initialize" if took else ""))


if __name__ == "__main__":
    main()
