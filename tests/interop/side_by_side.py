"""Each tool of the Python server `awslabs.healthimaging-mcp-server`: what it answers, and what we answer on the same data.

`side_by_side.py PAGE FOLDER [--write]`: with `--write` the table goes into PAGE between its markers; without, the
verdict of each tool must be that of the table there. What a tool says it did is looked up with boto3.
"""

import asyncio
import base64
import datetime
import gzip
import importlib.metadata
import json
import pathlib
import sys
import uuid

from sdk import ROLE, awaited, image_sets, medical_imaging, unlocked
from served import served
from sides import Refused, Wrong, both, left_out, mentions

BEGIN, END = "<!-- side by side: begin -->", "<!-- side by side: end -->"
DESCRIPTION = "CORRECTED"
CASES = {}


def case(function):
    """A tool of this name is tried so; the answer says in some words what came of it."""
    CASES[function.__name__] = function
    return function


def expect(condition, otherwise):
    if not condition:
        raise Wrong(otherwise)


def document(side, image_set):
    answer = side.ahi.get_image_set_metadata(datastoreId=side.datastore, imageSetId=image_set)
    return json.loads(gzip.decompress(answer["imageSetMetadataBlob"].read()))


# Data stores and tags.


@case
async def create_datastore(side):
    got = await side.call("create_datastore", datastore_name=f"made-{uuid.uuid4()}", tags={"team": "x"})
    side.spare = got["datastore_id"]
    look = lambda: side.ahi.get_datastore(datastoreId=side.spare)["datastoreProperties"]
    assert awaited(look, lambda found: found["datastoreStatus"] != "CREATING")["datastoreStatus"] == "ACTIVE"
    return got["datastore_status"]


@case
async def get_datastore(side):
    got = await side.ask("get_datastore")
    truth = side.ahi.get_datastore(datastoreId=side.datastore)
    expect(mentions(got, side.datastore, "ACTIVE", truth["datastoreProperties"]["datastoreArn"]), "other properties")
    return "its properties" + left_out(got, truth)


@case
async def list_datastores(side):
    got = await side.call("list_datastores")
    truth = side.ahi.list_datastores()
    expect(mentions(got, *(row["datastoreId"] for row in truth["datastoreSummaries"])), "not all data stores")
    return "all data stores" + left_out(got, truth)


@case
async def delete_datastore(side):
    return (await side.call("delete_datastore", datastore_id=side.spare))["datastore_status"]


def arn(side):
    return side.ahi.get_datastore(datastoreId=side.datastore)["datastoreProperties"]["datastoreArn"]


@case
async def tag_resource(side):
    await side.call("tag_resource", resource_arn=arn(side), tags={"team": "imaging", "site": "a/b"})
    expect(side.ahi.list_tags_for_resource(resourceArn=arn(side))["tags"] == {"team": "imaging", "site": "a/b"}, "no tags")
    return "tags are there"


@case
async def list_tags_for_resource(side):
    got = await side.call("list_tags_for_resource", resource_arn=arn(side))
    expect(got["tags"] == {"team": "imaging", "site": "a/b"}, "other tags")
    return "the tags"


@case
async def untag_resource(side):
    await side.call("untag_resource", resource_arn=arn(side), tag_keys=["site"])
    expect(side.ahi.list_tags_for_resource(resourceArn=arn(side))["tags"] == {"team": "imaging"}, "tags as before")
    return "the tag is gone"


# Import and export.


@case
async def start_dicom_import_job(side):
    got = await side.ask("start_dicom_import_job", data_access_role_arn=ROLE, job_name="side-by-side",
                         input_s3_uri=f"file://{side.output}/nothing/", output_s3_uri=f"file://{side.output}/")
    side.job = got["job_id"]
    return got["job_status"]


@case
async def get_dicom_import_job(side):
    truth = side.ahi.get_dicom_import_job(datastoreId=side.datastore, jobId=side.job)
    got = await side.ask("get_dicom_import_job", job_id=side.job)
    expect(mentions(got, side.job, "side-by-side"), "another job")
    return "the job" + left_out(got, truth)


@case
async def list_dicom_import_jobs(side):
    truth = side.ahi.list_dicom_import_jobs(datastoreId=side.datastore)
    got = await side.ask("list_dicom_import_jobs")
    expect(mentions(got, *(row["jobId"] for row in truth["jobSummaries"])), "not all jobs")
    return "all jobs" + left_out(got, truth)


@case
async def start_dicom_export_job(side):
    person = side.person()
    place = side.output / f"export-{uuid.uuid4()}"
    place.mkdir()
    side.export = "0" * 32
    got = await side.ask("start_dicom_export_job", data_access_role_arn=ROLE, study_instance_uid=person.study,
                         output_s3_uri=f"file://{place}/")
    side.export = got["job_id"]
    count = lambda: len(list(place.rglob("*.dcm")))
    expect(awaited(count, lambda files: files == 4) == 4, "files are missing")
    return "a job that wrote the 4 instances of the study as DICOM files"


@case
async def get_dicom_export_job(side):
    got = await side.ask("get_dicom_export_job", job_id=side.export)
    expect(mentions(got, side.export), "another job")
    return "the job"


@case
async def list_dicom_export_jobs(side):
    got = await side.ask("list_dicom_export_jobs")
    expect(mentions(got, side.export), "not all jobs")
    return "the jobs"


# Image sets.


@case
async def search_image_sets(side):
    side.read = person = side.person()
    criteria = {"filters": [{"values": [{"DICOMPatientId": person.patient}], "operator": "EQUAL"}]}
    truth = side.ahi.search_image_sets(datastoreId=side.datastore, searchCriteria=criteria)
    got = await side.ask("search_image_sets", search_criteria=criteria)
    expect(mentions(got, *(row["imageSetId"] for row in truth["imageSetsMetadataSummaries"])), "not all image sets")
    return "2 image sets" + left_out(got, truth)


async def search_by(side, what, **wanted):
    tag = {"patient_id": "DICOMPatientId", "study_instance_uid": "DICOMStudyInstanceUID",
           "series_instance_uid": "DICOMSeriesInstanceUID"}
    rows = side.sets(**{tag[name]: value for name, value in wanted.items()})
    got = await side.ask(what, **wanted)
    expect(rows and mentions(got, *(row["imageSetId"] for row in rows)), "not all image sets")
    return f"{len(rows)} image set{'s' * (len(rows) > 1)}"


@case
async def search_by_patient_id(side):
    return await search_by(side, "search_by_patient_id", patient_id=side.read.patient)


@case
async def search_by_study_uid(side):
    return await search_by(side, "search_by_study_uid", study_instance_uid=side.read.study)


@case
async def search_by_series_uid(side):
    return await search_by(side, "search_by_series_uid", series_instance_uid=next(iter(side.read.series)))


@case
async def get_image_set(side):
    image_set, _ = side.one_set(side.read)
    truth = side.ahi.get_image_set(datastoreId=side.datastore, imageSetId=image_set)
    got = await side.ask("get_image_set", image_set_id=image_set)
    expect(mentions(got, image_set, "ACTIVE"), "another image set")
    return "its state" + left_out(got, truth)


@case
async def get_image_set_metadata(side):
    image_set, _ = side.one_set(side.read)
    got = await side.ask("get_image_set_metadata", image_set_id=image_set)
    truth = document(side, image_set)
    if "image_set_metadata_blob" in got:
        unpacked = gzip.decompress(base64.b64decode(got["image_set_metadata_blob"]))
        expect(json.loads(unpacked) == truth, "another document")
        return "the document as base64 of gzip"
    expect(got["metadata"] == truth, "another document")
    return "the document as JSON"


@case
async def get_image_frame(side):
    image_set, series = side.one_set(side.read)
    instance = next(iter(document(side, image_set)["Study"]["Series"][series]["Instances"].values()))
    wanted = {"imageFrameId": instance["ImageFrames"][0]["ID"]}
    truth = side.ahi.get_image_frame(datastoreId=side.datastore, imageSetId=image_set, imageFrameInformation=wanted)
    # The Python server knows no other format than this one, and ignores the argument.
    got = await side.ask("get_image_frame", image_set_id=image_set, image_frame_information=wanted, format="stored")
    expect(base64.b64decode(got["image_frame_blob"]) == truth["imageFrameBlob"].read(), "another frame")
    return "the stored frame as base64"


@case
async def update_image_set_metadata(side):
    image_set, _ = side.one_set(side.person())
    change = json.dumps({"SchemaVersion": "1.1", "Study": {"DICOM": {"StudyDescription": DESCRIPTION}}})
    got = await side.ask("update_image_set_metadata", image_set_id=image_set, latest_version_id="1",
                         update_image_set_metadata_updates={"DICOMUpdates": {"updatableAttributes": change}})
    unlocked(side.ahi, datastoreId=side.datastore, imageSetId=image_set)
    side.updated = image_set
    expect(document(side, image_set)["Study"]["DICOM"]["StudyDescription"] == DESCRIPTION, "nothing was changed")
    return f"version {got['latest_version_id']} with the change"


@case
async def list_image_set_versions(side):
    truth = side.ahi.list_image_set_versions(datastoreId=side.datastore, imageSetId=side.updated)
    got = await side.ask("list_image_set_versions", image_set_id=side.updated)
    expect(mentions(got, *(row["versionId"] for row in truth["imageSetPropertiesList"])), "not all versions")
    return "2 versions" + left_out(got, truth)


@case
async def copy_image_set(side):
    image_set, _ = side.one_set(side.person())
    before = len(image_sets(side.ahi, side.datastore))
    await side.ask("copy_image_set", source_image_set_id=image_set,
                   copy_image_set_information={"sourceImageSet": {"latestVersionId": "1"}})
    side.settled()
    expect(len(image_sets(side.ahi, side.datastore)) == before + 1, "no copy was made")
    return "a copy"


@case
async def delete_image_set(side):
    image_set, series = side.one_set(side.person())
    got = await side.ask("delete_image_set", image_set_id=image_set)
    gone(side, DICOMSeriesInstanceUID=series)
    return f"{got['image_set_state']}, then gone"


def gone(side, **tags):
    side.settled()
    expect(not side.sets(**tags), f"{len(side.sets(**tags))} image sets are still there")


# By patient, study and series.


@case
async def get_patient_studies(side):
    got = await side.ask("get_patient_studies", patient_id=side.read.patient)
    expect(mentions(got, side.read.study), "not the study")
    return "the study"


@case
async def get_patient_series(side):
    got = await side.ask("get_patient_series", patient_id=side.read.patient)
    expect(mentions(got, *side.read.series), "not the series")
    expect(mentions(got, "CT"), "the series without their modality")
    return "both series"


@case
async def get_study_primary_image_sets(side):
    rows = side.sets(DICOMStudyInstanceUID=side.read.study)
    got = await side.ask("get_study_primary_image_sets", study_instance_uid=side.read.study)
    expect(mentions(got, *(row["imageSetId"] for row in rows)), "none of the 2 image sets")
    return "both image sets"


@case
async def get_series_primary_image_set(side):
    image_set, series = side.one_set(side.read)
    got = await side.ask("get_series_primary_image_set", series_instance_uid=series)
    expect(mentions(got, image_set), "no image set")
    return "the image set"


@case
async def get_patient_dicomweb_studies(side):
    got = await side.ask("get_patient_dicomweb_studies", patient_id=side.read.patient)
    expect(mentions(got, side.read.study), "no study")
    return "the study"


@case
async def delete_patient_studies(side):
    person = side.person()
    await side.ask("delete_patient_studies", patient_id=person.patient)
    gone(side, DICOMPatientId=person.patient)
    return "2 image sets are gone"


@case
async def delete_study(side):
    person = side.person()
    await side.ask("delete_study", study_instance_uid=person.study)
    gone(side, DICOMStudyInstanceUID=person.study)
    return "2 image sets are gone"


@case
async def delete_series_by_uid(side):
    series = next(iter(side.person().series))
    await side.ask("delete_series_by_uid", series_instance_uid=series)
    gone(side, DICOMSeriesInstanceUID=series)
    return "the series is gone"


@case
async def remove_series_from_image_set(side):
    image_set, series = side.one_set(side.person())
    await side.ask("remove_series_from_image_set", image_set_id=image_set, series_instance_uid=series)
    gone(side, DICOMSeriesInstanceUID=series)
    return "the series is gone"


async def without_instance(side, tool, *names):
    person = side.person()
    image_set, series = side.one_set(person)
    instance = person.series[series][0]
    known = {"image_set_id": image_set, "study_instance_uid": person.study, "series_instance_uid": series}
    await side.ask(tool, sop_instance_uid=instance, **{name: known[name] for name in names})
    side.settled()
    left = document(side, image_set)["Study"]["Series"][series]["Instances"]
    expect(instance not in left and len(left) == 1, "the instance is still there")
    return "the instance is gone, the other is there"


@case
async def delete_instance_in_study(side):
    return await without_instance(side, "delete_instance_in_study", "study_instance_uid")


@case
async def delete_instance_in_series(side):
    return await without_instance(side, "delete_instance_in_series", "series_instance_uid")


@case
async def remove_instance_from_image_set(side):
    return await without_instance(side, "remove_instance_from_image_set", "image_set_id", "series_instance_uid")


def corrected(side, person, level, keyword, value):
    side.settled()
    documents = [document(side, row["imageSetId"]) for row in side.sets(DICOMStudyInstanceUID=person.study)]
    done = sum(one[level]["DICOM"].get(keyword, "").strip() == value for one in documents)
    expect(done == len(documents) == 2, f"{done} of 2 image sets changed")


@case
async def update_patient_study_metadata(side):
    person = side.person()
    await side.ask("update_patient_study_metadata", study_instance_uid=person.study, patient_updates={"PatientSex": "O"},
                   study_updates={"StudyDescription": DESCRIPTION})
    corrected(side, person, "Patient", "PatientSex", "O")
    corrected(side, person, "Study", "StudyDescription", DESCRIPTION)
    return "both image sets of the study changed"


@case
async def bulk_update_patient_metadata(side):
    person = side.person()
    await side.ask("bulk_update_patient_metadata", patient_id=person.patient, metadata_updates={"PatientSex": "O"})
    corrected(side, person, "Patient", "PatientSex", "O")
    return "both image sets of the patient changed"


@case
async def bulk_delete_by_criteria(side):
    person = side.person()
    await side.ask("bulk_delete_by_criteria", criteria={"DICOMPatientId": person.patient})
    gone(side, DICOMPatientId=person.patient)
    return "2 image sets are gone"


async def verdict(side, tool):
    """What came of it: `works`, `wrong` or `fails`, and some words."""
    try:
        return "works", await CASES[tool](side)
    except Wrong as error:
        return "wrong", str(error)
    except Refused as error:
        return "fails", str(error)


async def rows(folder, output):
    with served(allow=[folder, output]) as address:
        ahi = medical_imaging(f"http://{address}", inject_host_prefix=False)
        async with both(address, ahi, folder, output) as (theirs, ours):
            offered = {tool.name for tool in (await theirs.session.list_tools()).tools}
            assert offered == set(CASES), offered ^ set(CASES)
            return [(tool, *await verdict(theirs, tool), *await verdict(ours, tool)) for tool in CASES]


def table(found):
    version = importlib.metadata.version
    count = lambda column: sum(row[column] == "works" for row in found)
    lines = [f"Asked on {datetime.date.today()}; boto3 {version('boto3')}, mcp {version('mcp')}.", "",
             f"| tool | Python server {version('awslabs.healthimaging-mcp-server')} | this server |", "|---|---|---|",
             f"| of {len(found)} tools work | **{count(1)}** | **{count(3)}** |"]
    cell = lambda kind, text: f"{kind}: {text}".replace("|", "\\|")
    return "\n".join(lines + [f"| `{tool}` | {cell(a, b)} | {cell(c, d)} |" for tool, a, b, c, d in found])


def verdicts(text):
    """Tool and both verdicts of each line of the table."""
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines() if line.startswith("| `")]
    return [(line[1].strip("`"), line[2].split(":")[0], line[3].split(":")[0]) for line in cells]


def main(page, folder, *flags):
    page, folder = pathlib.Path(page), pathlib.Path(folder).resolve()
    output = folder.parent / "side-by-side"
    output.mkdir(exist_ok=True)
    found = asyncio.run(rows(folder, output))
    made = table(found)
    before, rest = page.read_text().split(BEGIN)
    old, after = rest.split(END)
    if "--write" in flags:
        page.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")
    else:
        differ = set(verdicts(made)) ^ set(verdicts(old))
        assert not differ, f"{page} is out of date; run with --write: {sorted(differ)}"
    broken = [row for row in found if row[3] != "works"]
    assert not broken, broken
    print(f"{len(found)} tools on both sides; {sum(row[1] == 'works' for row in found)} work there, all work here")


main(*sys.argv[1:])
