"""The page at `/` and as an MCP App, in Chromium: viewer.mjs and host.mjs, against the built binary.

`viewer.py PLACE`: PLACE is where the packages were installed. Pictures of the pages are left in PLACE/pictures.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import files
from served import BINARY, served

TOKEN = "a-token-of-the-browser-tests"


def fill(data, scans):
    """Imports a folder; some of the odd files of the cases are refused (exit code 3)."""
    command = [BINARY, "--backend", "local", "--data-dir", data, "import", "--datastore", "page", scans]
    assert subprocess.run(command, capture_output=True).returncode in (0, 3)


def run_lines(lines):
    """What the start page offers to copy works as it is."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    clean["PATH"] = f"{pathlib.Path(sys.executable).parent}:{clean['PATH']}"
    for command in ([sys.executable, "-c", lines["boto3"]], ["bash", "-c", lines["the AWS CLI"]]):
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=clean, timeout=100).stdout
        assert "datastoreSummaries" in answer and "ACTIVE" in answer, answer


def main(place):
    place = pathlib.Path(place)

    def run(script, *words):
        subprocess.run([place / "node_modules/.bin/node", script, *words], cwd=place, check=True, timeout=400)

    (place / "pictures").mkdir(exist_ok=True)
    # Modules are looked for beside the script.
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, place)
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as scans:
        files.write(pathlib.Path(scans))
        fill(data, scans)
        with served(data=data) as address:
            run("viewer.mjs", address)
            run_lines(json.loads((place / "lines.json").read_text()))
            run("host.mjs", address)
        with served(data=data, HEALTHIMAGING_HTTP_TOKEN=TOKEN) as address:
            run("token.mjs", address, TOKEN)
    if cases := os.environ.get("HEALTHIMAGING_CASES"):
        with tempfile.TemporaryDirectory() as data:
            fill(data, cases)
            with served(data=data) as address:
                run("pictures.mjs", address, "80")


main(*sys.argv[1:])
