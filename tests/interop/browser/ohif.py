"""OHIF as npm has it, served by `serve --viewer`, in Chromium: ohif.mjs.

`ohif.py PLACE [--full | WORD]`: PLACE is where the packages were installed. Without --full only the study list and a CT are opened,
or the steps whose names have the word. Pictures of the pages are left in PLACE/pictures.
"""

import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import ohif_files
from served import BINARY, served

TOKEN = "a-token-of-the-browser-tests"
SAMPLE = ["study list", "CT scroll"]


def main(place, *words):
    place = pathlib.Path(place)
    dist = place / "ohif/package/dist"
    steps = [""] if "--full" in words else list(words) or SAMPLE

    def run(address, token):
        for step in steps:
            subprocess.run([place / "node_modules/.bin/node", "ohif.mjs", address, token, step], cwd=place, check=True, timeout=900)

    (place / "pictures").mkdir(exist_ok=True)
    # Modules are looked for beside the script.
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, place)
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as scans:
        ohif_files.write(pathlib.Path(scans))
        subprocess.run([BINARY, "--backend", "local", "--data-dir", data, "import", "--datastore", "page", scans], check=True,
                       capture_output=True)
        with served("--viewer", str(dist), data=data) as address:
            run(address, "-")
        if "--full" in words:
            with served("--viewer", str(dist), data=data, HEALTHIMAGING_HTTP_TOKEN=TOKEN) as address:
                run(address, TOKEN)


main(*sys.argv[1:])
