"""What the benches of the wire share: our server, wrk, JSON over HTTP, a table."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
BINARY = os.environ["HEALTHIMAGING_BIN"]
#: Where files, stores and indexes are made.
FOLDER = pathlib.Path(os.environ["BENCH_FOLDER"])
#: Seconds of each load.
SECONDS = int(os.environ.get("BENCH_SECONDS", "10"))
#: By what the number of files is divided, to try the benches out.
DIVISOR = int(os.environ.get("BENCH_DIVISOR", "1"))
STORED = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
EXPLICIT = 'multipart/related; type="application/octet-stream"; transfer-syntax=1.2.840.10008.1.2.1'
JSON = "application/dicom+json"


@dataclass
class Request:
    """One request of a load."""

    path: str
    accept: str = "*/*"
    method: str = "GET"
    body: str = ""


@dataclass
class Load:
    """What a load came to: answers a second, milliseconds."""

    rate: float
    p50: float
    p99: float

    def __str__(self):
        return f"{self.p50:.2f} / {self.p99:.2f} ms, {self.rate:,.0f}/s"


def load(address, requests, connections):
    """Plays requests in random order over so many connections; an answer that is no success stops the bench."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.writelines(f"{r.method}\t{r.path}\t{r.accept}\t{r.body}\n" for r in requests)
        file.flush()

        def run(seconds):
            command = ["wrk", f"-t{min(connections, 2)}", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
                       "-s", str(HERE / "wrk.lua"), f"http://{address}", "--", file.name]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            answers, took, p50, p99, failures = map(int, re.search(r"RESULT (.*)", told).group(1).split())
            assert answers and not failures, told
            return Load(answers / took * 1e6, p50 / 1000, p99 / 1000)

        run(1)
        return run(SECONDS)


def ask(address, method, path, body=None, accept="*/*", headers=None):
    """The body of one answer, which must be a success."""
    connection = http.client.HTTPConnection(address, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Accept": accept, "Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        read = answer.read()
        assert answer.status < 300, (method, path, answer.status, read[:500])
        return read


def ask_json(*arguments, **named):
    return json.loads(ask(*arguments, **named))


@contextlib.contextmanager
def folder(name):
    """An empty folder that is gone afterwards."""
    path = FOLDER / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running(command, **named):
    """A process that is told to end."""
    process = subprocess.Popen([str(word) for word in command], **named)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextlib.contextmanager
def serving(data):
    """Our server over the store in `data`: its address, and its process."""
    command = [BINARY, "--backend", "local", "--data-dir", data, "--log-level", "warn", "serve", "--http", "127.0.0.1:0"]
    # Nothing reads the log, and a full pipe would stop the server.
    with running(command, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stderr:
            if found := re.search(r"MCP at http://(\S+)/mcp", line):
                yield found.group(1), process
                return
        raise RuntimeError("our server did not start")


def new_datastore(address):
    """The id of a new data store that is active."""
    made = ask_json(address, "POST", "/datastore", json.dumps({"datastoreName": "bench", "clientToken": "bench"}))
    path = f"/datastore/{made['datastoreId']}"
    until(lambda: ask_json(address, "GET", path)["datastoreProperties"]["datastoreStatus"] == "ACTIVE")
    return made["datastoreId"]


def until(done):
    """Waits at most a minute."""
    end = time.monotonic() + 60
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def bring_in(data, files):
    """Imports a folder with the command line."""
    command = [BINARY, "--backend", "local", "--data-dir", data, "import", "--datastore", "bench", files]
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


def imported(data, files):
    """Imports a folder; the id of the data store."""
    bring_in(data, files)
    with serving(data) as (address, _):
        return ask_json(address, "GET", "/datastore")["datastoreSummaries"][0]["datastoreId"]


def archive(patients, studies, series, instances, size):
    """A folder of CT files, made once; see the example `archive` of healthimaging-phantoms."""
    numbers = [str(number) for number in (patients, studies, series, instances, size)]
    path = FOLDER / "archives" / "-".join(numbers)
    if not path.exists():
        made = path.with_name("unfinished")
        shutil.rmtree(made, ignore_errors=True)
        subprocess.run([os.environ["ARCHIVE_BIN"], made, *numbers], check=True, stdout=subprocess.DEVNULL)
        made.rename(path)
    return path


def resident(process):
    """Resident memory in MiB."""
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s*(\d+)", text).group(1)) / 1024


def table(title, columns, rows):
    """Prints rows as Markdown."""
    print(f"\n{title}\n\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    for row in rows:
        print(f"| {' | '.join(str(cell) for cell in row)} |")
    print(flush=True)


def verdict(ratio, target):
    """`7.1 times (5 wanted: met)`."""
    return f"{ratio:.1f} times ({target:g} wanted: {'met' if ratio >= target else 'NOT met'})"
