"""Our server beside the Python server `awslabs.healthimaging-mcp-server`, both over stdio, both on our HTTP face.

PYTHON_SERVER names the Python server's program. Ours runs with `--backend aws`, and unpaced: the face has no quotas.
"""

import contextlib
import gzip
import json
import os
import subprocess
import time

from rig import BINARY, DIVISOR, FOLDER, archive, ask, ask_json, folder, imported, resident, serving, table, verdict

STARTS = 5
CALLS = max(5, 40 // DIVISOR)
INITIALIZE = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class Server:
    """A server of MCP over stdio."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen([str(word) for word in command], env=environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.number = 0

    def ask(self, method, params):
        """The milliseconds until the answer is here, before this client takes it apart; its bytes."""
        self.number += 1
        request = json.dumps({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})
        began = time.perf_counter()
        self._say(request)
        while line := self.process.stdout.readline():
            took = (time.perf_counter() - began) * 1000
            answer = json.loads(line)
            if answer.get("id") == self.number:
                assert not answer["result"].get("isError"), answer
                return took, len(line)
        raise RuntimeError("the server is gone")

    def start(self):
        self.ask("initialize", INITIALIZE)
        self._say(json.dumps({"jsonrpc": "2.0", "method": "notifications/initialized"}))

    def call(self, name, arguments):
        return self.ask("tools/call", {"name": name, "arguments": arguments})

    def _say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def close(self):
        self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.process.kill()
        self.process.wait()


def median(times):
    return sorted(times)[len(times) // 2]


def start_time(command, environment):
    """Milliseconds from the start to the answer of `initialize`."""
    began = time.perf_counter()
    server = Server(command, environment)
    server.ask("initialize", INITIALIZE)
    took = (time.perf_counter() - began) * 1000
    server.close()
    return took


def in_turn(works):
    """The medians of works that are done in turn, and the bytes of their last answers."""
    times, sizes = [[] for _ in works], [0] * len(works)
    for work in works:
        work()
    for _ in range(CALLS):
        for number, work in enumerate(works):
            took, sizes[number] = work()
            times[number].append(took)
    return [median(one) for one in times], sizes


def calls(theirs, ours, datastore, image_set, frame):
    """What is called: its name, by the Python server, by ours."""
    here = {"datastore_id": datastore}
    set_of = {**here, "image_set_id": image_set}
    # The Python server knows no other format than this one, and ignores the argument.
    frame_of = {**set_of, "image_frame_information": {"imageFrameId": frame}, "format": "stored"}
    uri = f"healthimaging://datastores/{datastore}/image-sets/{image_set}/metadata"
    for name, arguments in (("list_datastores", {}), ("search_image_sets", {**here, "search_criteria": {}}),
                            ("get_image_set_metadata", set_of), ("get_image_frame", frame_of)):
        yield name, [lambda s=server, n=name, a=arguments: s.call(n, a) for server in (theirs, ours)]
        if name == "get_image_set_metadata":
            yield "the whole document (ours as a resource)", [
                lambda: theirs.call("get_image_set_metadata", set_of),
                lambda: ours.ask("resources/read", {"uri": uri})]


def first_frame(address, datastore):
    search = ask_json(address, "POST", f"/datastore/{datastore}/searchImageSets", "{}")
    image_set = search["imageSetsMetadataSummaries"][0]["imageSetId"]
    path = f"/datastore/{datastore}/imageSet/{image_set}/getImageSetMetadata"
    document = json.loads(gzip.decompress(ask(address, "POST", path, "{}")))
    (series,) = document["Study"]["Series"].values()
    return image_set, next(iter(series["Instances"].values()))["ImageFrames"][0]["ID"]


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    files = archive(1, 1, 1, max(1, 300 // DIVISOR), 512)
    rows = []
    with folder("ours") as data, folder("ours-aws") as ledger:
        datastore = imported(data, files)
        with serving(data) as (address, _):
            image_set, frame = first_frame(address, datastore)
            environment = {**os.environ, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1",
                           "AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench",
                           "AWS_ENDPOINT_URL_MEDICAL_IMAGING": f"http://{address}",
                           "AWS_DISABLE_HOST_PREFIX_INJECTION": "true"}
            python = [os.environ["PYTHON_SERVER"]]
            own = [BINARY, "--backend", "aws", "--data-dir", ledger, "--rate-factor", "1000",
                   "--endpoint-url", f"http://u@{address}"]
            starts = [[start_time(command, environment) for command in (python, own)] for _ in range(STARTS)]
            theirs, ours = (median(times) for times in zip(*starts))
            rows.append(["start to the answer of initialize, ms", f"{theirs:.0f}", f"{ours:.1f}",
                         verdict(theirs / ours, 100)])
            servers = [Server(python, environment), Server(own, environment)]
            for server in servers:
                server.start()
                server.ask("tools/list", {})
            theirs, ours = (resident(server.process) for server in servers)
            rows.append(["memory after tools/list, MiB", f"{theirs:.0f}", f"{ours:.0f}", f"{theirs / ours:.1f} times"])
            for name, works in calls(*servers, datastore, image_set, frame):
                (theirs, ours), sizes = in_turn(works)
                rows.append([f"{name}, ms (bytes)", f"{theirs:.1f} ({sizes[0]:,})", f"{ours:.2f} ({sizes[1]:,})",
                             verdict(theirs / ours, 5)])
            theirs, ours = (resident(server.process) for server in servers)
            rows.append(["memory after these calls, MiB", f"{theirs:.0f}", f"{ours:.0f}", f"{theirs / ours:.1f} times"])
            for server in servers:
                server.close()
    table("MCP over stdio, both on our HTTP face, an image set of 300 CT instances; medians",
          ["what", "the Python server", "ours", "ours is"], rows)


if __name__ == "__main__":
    main()
