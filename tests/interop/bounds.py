"""Hostile and defective clients against `serve --http`: bodies without end, thousands of parts, senders and readers
that fall asleep. The server's memory stays bounded, each gets a clear error, and all others are served.
"""

import http.client
import io
import json
import pathlib
import socket
import sys
import threading
import time
import urllib.request

import pydicom
from pydicom.uid import generate_uid
from served import served

MEBI = 1 << 20
# What the process may hold at most, in MiB: far below any of the bodies that are sent.
MOST_MEMORY = 400
# The server's patience with silence is a minute.
PATIENCE = 60


def server():
    """The process of the server: the child of this one that serves."""
    children = pathlib.Path(f"/proc/self/task/{threading.main_thread().native_id}/children").read_text().split()
    return next(child for child in children if b"serve" in pathlib.Path(f"/proc/{child}/cmdline").read_bytes())


def peak(process):
    """Largest resident memory so far, in MiB."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


def connect(address):
    host, port = address.split(":")
    connection = socket.create_connection((host, int(port)), timeout=180)
    return connection


def head(address, store, *headers):
    lines = [f"POST /datastore/{store}/studies HTTP/1.1", f"Host: {address}", "Accept: application/dicom+json",
             *headers, "", ""]
    return "\r\n".join(lines).encode()


def datastore(address):
    """A new data store; on loopback no signature is required."""
    asked = json.dumps({"clientToken": "bounds"}).encode()
    request = urllib.request.Request(
        f"http://{address}/datastore", data=asked, headers={"Content-Type": "application/json"})
    return json.load(urllib.request.urlopen(request))["datastoreId"]


MULTIPART = 'Content-Type: multipart/related; type="application/dicom"; boundary=part'
PART = b"--part\r\nContent-Type: application/dicom\r\n\r\n"


def answer(connection):
    """Status and body of the answer."""
    found = http.client.HTTPResponse(connection)
    found.begin()
    return found.status, found.read()


def send(connection, pieces):
    """Sends until the server has had enough; how many bytes it took."""
    taken = 0
    try:
        for piece in pieces:
            connection.sendall(piece)
            taken += len(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    return taken


def chunks(pieces):
    for piece in pieces:
        yield b"%x\r\n" % len(piece) + piece + b"\r\n"
    yield b"0\r\n\r\n"


def declared_too_long(address, store):
    connection = connect(address)
    connection.sendall(head(address, store, MULTIPART, f"Content-Length: {2048 * MEBI}"))
    status, body = answer(connection)
    assert status == 413 and b"1 GiB" in body, (status, body)
    return "refused before a byte of it was sent"


def too_long(address, store, template):
    """Two gigabytes in one part, a real header before it, no length declared."""
    def pieces():
        yield PART + template
        nothing = bytes(MEBI)
        for _ in range(2048):
            yield nothing
        yield b"\r\n--part--\r\n"

    connection = connect(address)
    connection.sendall(head(address, store, MULTIPART, "Transfer-Encoding: chunked"))
    taken = send(connection, chunks(pieces()))
    status, body = answer(connection)
    assert status in (400, 413) and json.loads(body)["message"], (status, body)
    assert taken < 1100 * MEBI, taken
    return f"{status} after {taken // MEBI} MiB: {json.loads(body)['message']}"


def many_parts(address, store, template):
    """Ten thousand parts, one in a hundred of them a file."""
    def pieces():
        for number in range(10_000):
            if number % 100:
                yield PART + b"this is no DICOM file\r\n"
            else:
                yield PART + instance(template) + b"\r\n"
        yield b"--part--\r\n"

    connection = connect(address)
    connection.sendall(head(address, store, MULTIPART, "Transfer-Encoding: chunked"))
    send(connection, chunks(pieces()))
    status, body = answer(connection)
    outcome = json.loads(body)
    # What names no instance is in Other Failures Sequence (PS3.18 table 10.5.3-1).
    counts = len(outcome["00081199"]["Value"]), len(outcome["0008119A"]["Value"])
    assert (status, *counts) == (202, 100, 9900), (status, counts)
    return "100 stored, 9,900 refused, each with its outcome"


def instance(template):
    found = pydicom.dcmread(io.BytesIO(template))
    found.SOPInstanceUID = generate_uid()
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    written = io.BytesIO()
    found.save_as(written)
    return written.getvalue()


def part_without_end(address, store, template):
    connection = connect(address)
    connection.sendall(head(address, store, MULTIPART, f"Content-Length: {512 * MEBI}"))
    connection.sendall(PART + template[:2000])
    start = time.monotonic()
    status, body = answer(connection)
    waited = time.monotonic() - start
    assert status in (400, 408) and b"no more of the body arrived" in body, (status, body)
    assert waited < 1.5 * PATIENCE, waited
    return f"{status} after {waited:.0f} s of silence"


def slow_reader(address, url):
    """Asks for a great deal and reads none of it."""
    connection = connect(address)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    asked = f"GET {url} HTTP/1.1\r\nHost: {address}\r\nAccept: application/dicom; transfer-syntax=*\r\n\r\n".encode()
    # Requests on one connection, one after the other: many megabytes of answers.
    send(connection, [asked] * 40)
    start = time.monotonic()
    time.sleep(PATIENCE + 10)
    read = 0
    try:
        connection.settimeout(5)
        while piece := connection.recv(65536):
            read += len(piece)
    except (ConnectionResetError, TimeoutError):
        pass
    assert read < 40 * LARGE, "all of it was sent to a reader that slept"
    return f"cut off within {time.monotonic() - start:.0f} s, {read // 1024} KiB read"


LARGE = 8 * MEBI


def large(template):
    """An instance of 8 MiB that is kept as it is: a document of many bytes."""
    found = pydicom.dcmread(io.BytesIO(template))
    found.SOPInstanceUID, found.SeriesInstanceUID = generate_uid(), generate_uid()
    found.file_meta.MediaStorageSOPInstanceUID = found.SOPInstanceUID
    block = found.private_block(0x0099, "INTEROP", create=True)
    block.add_new(0x01, "OB", bytes(range(256)) * (LARGE // 256))
    written = io.BytesIO()
    found.save_as(written)
    return found, written.getvalue()


def put(address, store, file):
    request = urllib.request.Request(
        f"http://{address}/datastore/{store}/studies", data=file,
        headers={"Content-Type": "application/dicom", "Accept": "application/dicom+json"})
    assert urllib.request.urlopen(request).status == 200


def main(folder):
    first = sorted(path for path in pathlib.Path(folder).rglob("*.dcm"))[0]
    template = first.read_bytes()
    with served() as address:
        process = server()
        store = datastore(address)
        found, file = large(template)
        put(address, store, file)
        url = (f"/datastore/{store}/studies/{found.StudyInstanceUID}/series/{found.SeriesInstanceUID}"
               f"/instances/{found.SOPInstanceUID}")
        outcomes, slowest, over = {}, [], threading.Event()

        def others():
            """An ordinary client at the same time."""
            while not over.is_set():
                start = time.monotonic()
                asked = urllib.request.urlopen(f"http://{address}/datastore/{store}/studies?limit=1", timeout=30)
                assert asked.status == 200
                slowest.append(time.monotonic() - start)
                time.sleep(0.1)

        def run(name, case, *arguments):
            try:
                outcomes[name] = case(address, *arguments)
            except Exception as error:  # noqa: BLE001 - reported below
                outcomes[name] = error

        asleep = [threading.Thread(target=run, args=("a part that never ends", part_without_end, store, template)),
                  threading.Thread(target=run, args=("a reader that sleeps", slow_reader, url))]
        other = threading.Thread(target=others)
        for thread in [*asleep, other]:
            thread.start()
        run("2 GiB, declared", declared_too_long, store)
        run("2 GiB, not declared", too_long, store, template)
        run("10,000 parts", many_parts, store, template)
        for thread in asleep:
            thread.join()
        over.set()
        other.join()
        for name, outcome in outcomes.items():
            print(f"{name}: {outcome}")
        assert not any(isinstance(outcome, Exception) for outcome in outcomes.values())
        slowest.sort()
        print(f"others: {len(slowest)} searches, slowest {slowest[-1]:.2f} s; peak memory {peak(process)} MiB")
        assert peak(process) < MOST_MEMORY, peak(process)


if __name__ == "__main__":
    main(sys.argv[1])
