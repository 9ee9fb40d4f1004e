"""Two MCP servers over one served store: that of AWS Labs (Python) and ours, each with a data store of its own."""

import contextlib
import json
import os
import pathlib
import re
import sys
import tempfile

import pydicom
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from sdk import REGION, image_sets, imported, unlocked
from served import BINARY, KEY, SECRET

PYTHON_SERVER = pathlib.Path(sys.executable).parent / "awslabs.healthimaging-mcp-server"
ID = re.compile(r"\b[0-9a-f]{32}\b")
# The Python server answers `Error executing tool …` alone; what went wrong is in its log.
RAISED = re.compile(r"^\W*((?:\w+\.)*\w*(?:Error|Exception): .*(?:\n {10,}\w.*)*)", re.MULTILINE)
CALLED = re.compile(r"^\w+: An error occurred \((\w+)\) when calling the (\w+) operation: ")
UID = re.compile(r"\b[12](\.\d+){3,}")


class Refused(Exception):
    """A tool answered with an error."""


class Wrong(Exception):
    """A tool answered, but not what was asked for."""


class Person:
    """A patient with one study of two series of two instances."""

    def __init__(self, data_sets):
        self.patient, self.study = data_sets[0].PatientID, data_sets[0].StudyInstanceUID
        self.series = {}
        for one in data_sets:
            self.series.setdefault(one.SeriesInstanceUID, []).append(one.SOPInstanceUID)


def people(folder):
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*.dcm")):
        one = pydicom.dcmread(path, stop_before_pixels=True)
        found.setdefault(one.PatientID, []).append(one)
    return [Person(sets) for sets in found.values()]


class Side:
    """One of the two servers, and what is true about its data store."""

    def __init__(self, session, log, ahi, folder, output):
        self.session, self.log, self.ahi, self.output = session, log, ahi, output
        self.people = iter(people(folder))
        self.datastore = imported(ahi, folder, output)

    async def call(self, tool, **arguments):
        """What the tool answered, as JSON."""
        self.log.seek(0, os.SEEK_END)
        result = await self.session.call_tool(tool, arguments)
        text = "\n".join(part.text for part in result.content if part.type == "text")
        if result.is_error:
            raise Refused(told(text, self.log.read()))
        return result.structured_content or json.loads(text)

    async def ask(self, tool, **arguments):
        """The same, of this side's data store."""
        return await self.call(tool, datastore_id=self.datastore, **arguments)

    def person(self):
        """A patient whom no other case touches."""
        return next(self.people)

    def sets(self, **tags):
        """The summaries of this patient, study or series."""
        found = image_sets(self.ahi, self.datastore)
        return [row for row in found if all(row["DICOMTags"].get(name) == value for name, value in tags.items())]

    def one_set(self, person):
        """The image set of the patient's first series: its id, and the series."""
        series = next(iter(person.series))
        return self.sets(DICOMSeriesInstanceUID=series)[0]["imageSetId"], series

    def settled(self):
        """Waits until nothing is written any more."""
        for row in image_sets(self.ahi, self.datastore):
            unlocked(self.ahi, datastoreId=self.datastore, imageSetId=row["imageSetId"])


def told(text, log):
    """An error in one line, without ids."""
    try:
        error = json.loads(text)
        text = f"{error['type']}: {error['message']}"
    except ValueError:
        if raised := RAISED.search(log):
            text = raised.group(1)
    text = UID.sub("UID", ID.sub("ID", " ".join(text.split())))
    text = CALLED.sub(r"\1 of \2: ", text)
    return text if len(text) <= 150 else text[:149].rstrip() + "…"


def mentions(answer, *values):
    """Whether the answer holds all of these values."""
    text = json.dumps(answer)
    return all(json.dumps(value).strip('"') in text for value in values)


def left_out(answer, truth):
    """Members of what AWS answered of which nothing is in this answer."""
    def names(value, found):
        for name, inner in value.items() if isinstance(value, dict) else ():
            if inner is not None and name != "ResponseMetadata":
                found.setdefault(name.replace("_", "").lower(), name)
                if name != "DICOMTags":
                    names(inner, found)
        for inner in value if isinstance(value, list) else ():
            names(inner, found)
        return found
    had, given = names(truth, {}), names(answer, {})
    missing = sorted(name for key, name in had.items() if key not in given)
    return f"; left out: {', '.join(missing)}" if missing else ""


@contextlib.asynccontextmanager
async def session(command, *words, **environment):
    server = StdioServerParameters(command=str(command), args=list(words), env=environment)
    with tempfile.NamedTemporaryFile("a") as written, open(written.name, encoding="utf-8") as log:
        async with stdio_client(server, errlog=written) as (read, write):
            async with ClientSession(read, write) as opened:
                await opened.initialize()
                yield opened, log


@contextlib.asynccontextmanager
async def both(address, ahi, folder, output):
    """The Python server and ours."""
    account = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_DEFAULT_REGION": REGION,
               "AWS_ENDPOINT_URL_MEDICAL_IMAGING": f"http://{address}", "AWS_EC2_METADATA_DISABLED": "true"}
    with tempfile.TemporaryDirectory() as data:
        ours = ("--backend", "aws", "--data-dir", data, "--allow-path", str(output), "--confirm", "never",
                "--rate-factor", "1000")
        async with (
            session(PYTHON_SERVER, AWS_DISABLE_HOST_PREFIX_INJECTION="true", HOME=data, COLUMNS="500", **account) as theirs,
            session(BINARY, *ours, HOME=data, **account) as own,
        ):
            yield Side(*theirs, ahi, folder, output), Side(*own, ahi, folder, output)
