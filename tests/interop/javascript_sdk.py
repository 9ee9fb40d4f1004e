"""`@aws-sdk/client-medical-imaging` against `serve --http`; what it does is in javascript/wire.mjs.

`javascript_sdk.py PLACE FOLDER`: PLACE is where the packages were installed.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from served import KEY, SECRET, served


def main(place, folder):
    place, folder = pathlib.Path(place), pathlib.Path(folder).resolve()
    output = folder.parent / "javascript-output"
    output.mkdir(exist_ok=True)
    # Modules are looked for beside the script.
    script = shutil.copy(pathlib.Path(__file__).parent / "javascript/wire.mjs", place)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    known = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with served(allow=[folder, output], HEALTHIMAGING_HTTP_ACCESS_KEYS=f"{KEY}:{SECRET}") as address:
        subprocess.run([place / "node_modules/.bin/node", script, f"http://{address}", folder, output],
                       env=kept | known, check=True, timeout=300)


main(*sys.argv[1:])
