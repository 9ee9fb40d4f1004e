"""Storing files over DICOMweb: `senders.py ADDRESS PATH FILES_A_REQUEST`, the files' names on stdin.

With no files a request, each file is a body of its own, as Orthanc's own `/instances` takes them.
Waits for a line after the names, stores them over one connection, and prints the milliseconds of each request as JSON.
"""

import http.client
import json
import pathlib
import socket
import subprocess
import sys
import time

BOUNDARY = "bench-boundary"


def send(address, path, batch, names):
    connection = http.client.HTTPConnection(address, timeout=120)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    media = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}' if batch else "application/dicom"
    accept = "application/dicom+json" if batch else "application/json"
    times = []
    for start in range(0, len(names), batch or 1):
        files = [pathlib.Path(name).read_bytes() for name in names[start:start + (batch or 1)]]
        body = multipart(files) if batch else files[0]
        began = time.perf_counter()
        connection.request("POST", path, body, {"Content-Type": media, "Accept": accept})
        answer = connection.getresponse()
        told = answer.read()
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, (answer.status, told[:500])
    return times


def multipart(files):
    parts = []
    for file in files:
        parts += [f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode(), file, b"\r\n"]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def store(address, path, files, connections, batch):
    """Stores files over so many connections at once, every n-th file by one: seconds, and sorted milliseconds."""
    command = [sys.executable, __file__, address, path, str(batch)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    senders = [subprocess.Popen(command, **pipes) for _ in range(connections)]
    for number, sender in enumerate(senders):
        sender.stdin.write(json.dumps([str(file) for file in files[number::connections]]) + "\n")
        sender.stdin.flush()
        assert sender.stdout.readline() == "ready\n"
    began = time.perf_counter()
    for sender in senders:
        sender.stdin.write("\n")
        sender.stdin.flush()
    told = [sender.communicate()[0] for sender in senders]
    took = time.perf_counter() - began
    assert all(sender.returncode == 0 for sender in senders)
    return took, sorted(time for text in told for time in json.loads(text))


if __name__ == "__main__":
    NAMES = json.loads(sys.stdin.readline())
    print("ready", flush=True)
    sys.stdin.readline()
    print(json.dumps(send(sys.argv[1], sys.argv[2], int(sys.argv[3]), NAMES)))
