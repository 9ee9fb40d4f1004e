"""The binary (HEALTHIMAGING_BIN) as an HTTP server on a store of its own."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile

BINARY = os.environ["HEALTHIMAGING_BIN"]
KEY, SECRET = "AKIDINTEROP", "a-secret-of-the-interop-tests"


@contextlib.contextmanager
def served(*words, allow=(), data=None, **environment):
    """The address of a running server, such as `127.0.0.1:40000`; its store is in `data`, or gone afterwards."""
    with contextlib.nullcontext(data) if data else tempfile.TemporaryDirectory() as data:
        command = [BINARY, "--backend", "local", "--data-dir", data]
        for folder in allow:
            command += ["--allow-path", str(folder)]
        command += ["serve", "--http", "127.0.0.1:0", *words]
        with open(os.path.join(data, "log"), "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment})
            try:
                for line in process.stderr:
                    log.write(line)
                    if found := re.search(r"MCP at http://(\S+)/mcp", line):
                        break
                else:
                    raise RuntimeError("the server did not start")
                # From here on its output is not read; a pipe would fill up.
                drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=log)
                yield found.group(1)
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0, "the server did not stop in order"
                drain.wait(10)
                log.seek(0)
                text = log.read()
                assert "panicked" not in text, text
