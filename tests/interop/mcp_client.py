"""The official Python MCP client talks to the built binary over stdio, on an embedded store of its own."""

import asyncio
import json
import os
import tempfile

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

BINARY = os.environ["HEALTHIMAGING_BIN"]
PICTURES = {"get_image_frame", "get_report", "get_series_contact_sheet", "view_series"}
TOOLS = {
    "create_datastore", "delete_datastore", "get_datastore", "list_datastores",
    "start_dicom_import_job", "get_dicom_import_job", "list_dicom_import_jobs",
    "search_image_sets", "get_image_set", "get_image_set_metadata", "list_image_set_versions",
    "update_image_set_metadata", "delete_image_set", "copy_image_set", "get_image_frame",
    "list_tags_for_resource", "tag_resource", "untag_resource",
}


async def main():
    with tempfile.TemporaryDirectory() as data:
        await talk(["--backend", "local", "--data-dir", data])
        await read_only(["--backend", "local", "--data-dir", data, "--read-only"])


async def talk(arguments):
    async with stdio_client(StdioServerParameters(command=BINARY, args=arguments)) as (read, write):
        async with ClientSession(read, write) as session:
            hello = await session.initialize()
            print("server:", hello.server_info.name, hello.server_info.version, hello.protocol_version)
            tools = (await session.list_tools()).tools
            names = {tool.name for tool in tools}
            assert TOOLS <= names, TOOLS - names
            for tool in tools:
                assert tool.title and tool.description and tool.annotations, tool.name
                # What may answer with pictures has no structured content, which clients would show in their place.
                assert bool(tool.output_schema) == (tool.name not in PICTURES), tool.name
                text = json.dumps([tool.input_schema, tool.output_schema])
                assert "$ref" not in text and "anyOf" not in tool.input_schema, tool.name

            made = await call(session, "create_datastore", {"datastore_name": "first"})
            listed = await call(session, "list_datastores", {})
            assert [s["datastore_id"] for s in listed["datastore_summaries"]] == [made["datastore_id"]]
            resources = (await session.list_resources()).resources
            assert any(made["datastore_id"] in str(resource.uri) for resource in resources), resources

            for arguments_, word in [
                ({"datastore_id": "short"}, "datastore_id"),
                ({"datastore": made["datastore_id"]}, "datastore"),
                ({"datastore_id": 7}, "datastore_id"),
            ]:
                error = await refused(session, "get_datastore", arguments_)
                assert error["type"] == "validation_error" and word in error["message"], error
            missing = await refused(session, "get_datastore", {"datastore_id": "0" * 32})
            assert missing["type"] == "not_found", missing

            plan = await call(session, "delete_datastore", {"datastore_id": made["datastore_id"]})
            token = plan["confirmation_token"]
            await call(session, "delete_datastore", {
                "datastore_id": made["datastore_id"], "confirmation_token": token,
            })
            print(f"{len(names)} tools; create, list, refuse, plan and delete as described")


async def read_only(arguments):
    async with stdio_client(StdioServerParameters(command=BINARY, args=arguments)) as (read, write):
        async with ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            assert tools and all(tool.annotations.read_only_hint for tool in tools)
            print(f"--read-only offers {len(tools)} tools, each of which only reads")


async def call(session, tool, arguments):
    result = await session.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.structured_content


async def refused(session, tool, arguments):
    result = await session.call_tool(tool, arguments)
    assert result.is_error, result
    assert result.structured_content is None, result
    error = json.loads(result.content[0].text)
    assert error["error"] is True, error
    return error


asyncio.run(main())
