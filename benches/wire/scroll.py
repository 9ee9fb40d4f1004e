"""The viewer at `/` in headless Chromium: milliseconds until its first picture, and pictures a second while it scrolls.

A series of 300 CT slices of 512 by 512 pixels in the local store. Chromium and its Node packages are those of the interop tests.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess

from rig import DIVISOR, HERE, archive, ask_json, folder, imported, serving, table

BROWSER = HERE.parents[1] / "tests/interop/browser"
ROUNDS = 5


def value(found, tag):
    return found[tag]["Value"][0]


def main():
    place = pathlib.Path(subprocess.run([BROWSER / "install"], check=True, capture_output=True, text=True).stdout.strip())
    for script in (BROWSER / "chromium.mjs", HERE / "scroll.mjs"):
        # Modules are looked for beside the script.
        shutil.copy(script, place)
    count = max(20, 300 // DIVISOR)
    with folder("scrolled") as data:
        datastore = imported(data, archive(1, 1, 1, count, 512))
        with serving(data) as (address, _):
            series = ask_json(address, "GET", f"/datastore/{datastore}/series")[0]
            url = f"http://{address}/#{datastore}/{value(series, '0020000D')}/{value(series, '0020000E')}"
            node = [place / "node_modules/.bin/node", "scroll.mjs", url, str(count), str(ROUNDS)]
            found = json.loads(subprocess.run(node, cwd=place, check=True, capture_output=True, text=True).stdout)
    rows = []
    for name, words in (("first", "first picture of a new browser"), ("again", "first picture in an open browser")):
        first = statistics.median(found[name])
        rows.append([words, f"{first:.0f} ms", f"under 300 ms: {'met' if first < 300 else 'NOT met'}"])
    for name, words in (("cold", "scrolling, nothing loaded"), ("warm", "scrolling, all loaded")):
        painted = statistics.median(one["painted"] for one in found[name])
        repaints = statistics.median(one["repaints"] for one in found[name])
        rows.append([words, f"{painted:.0f} pictures/s of {repaints:.0f} repaints/s", f"30 or more: {'met' if painted >= 30 else 'NOT met'}"])
    load = os.getloadavg()[0]
    table(f"The viewer in headless Chromium, {count} CT slices, median of {ROUNDS} browsers, load {load:.1f}", ["what", "measured", "wanted"], rows)


main()
