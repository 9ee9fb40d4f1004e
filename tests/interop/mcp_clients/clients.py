"""One client library of Python: its conversion of our tools, and a conversation of which it shows the model the texts.

    clients.py NAME DATA

DATA is a store with one data store and a patient, whom `MCP_CLIENTS_PATIENT` names. Each library lists our tools and
converts them for the model of a provider: none may lose a parameter. Where it also calls tools, the model is to find an
image set, plan its deletion, confirm it with the token, and see that it is gone, from the texts alone.
"""

import asyncio
import contextlib
import json
import logging
import sys

from server import PATIENT, command, compare, listed, parameters

logging.disable(logging.WARNING)


def texts(content):
    """The text blocks of a result, joined."""
    found = []
    for block in content:
        text = block.get("text") if isinstance(block, dict) else getattr(block, "text", None)
        if text:
            found.append(text)
    return "\n".join(found)


def read(text):
    """The JSON that a text begins with: what the model would read."""
    found, _ = json.JSONDecoder().raw_decode(text[text.index("{"):])
    # Some wrap each block of a result.
    while isinstance(found, dict) and set(found) <= {"type", "text", "annotations", "meta"} and "text" in found:
        found = json.loads(found["text"])
    return found


async def converse(name, call):
    """Finds an image set and deletes it: `call` answers with the text that the model is shown."""
    (store,) = read(await call("list_datastores", {}))["datastore_summaries"]
    store = store["datastore_id"]
    criteria = {"filters": [{"values": [{"DICOMPatientId": PATIENT}], "operator": "EQUAL"}]}
    search = {"datastore_id": store, "search_criteria": criteria}
    found = read(await call("search_image_sets", search))["image_sets_metadata_summaries"]
    ids = {"datastore_id": store, "image_set_id": found[0]["image_set_id"]}
    plan = read(await call("delete_image_set", ids))
    assert plan["plan"] and plan["confirmation_token"], plan
    still = read(await call("search_image_sets", search))["image_sets_metadata_summaries"]
    assert len(still) == len(found), "the plan deleted something"
    await call("delete_image_set", {**ids, "confirmation_token": plan["confirmation_token"]})
    for _ in range(100):
        if read(await call("get_image_set", ids)).get("image_set_state") != "LOCKED":
            break
        await asyncio.sleep(0.05)
    left = read(await call("search_image_sets", search))["image_sets_metadata_summaries"]
    assert ids["image_set_id"] not in [one["image_set_id"] for one in left], left
    unknown = await call("get_image_set", {"datastore_id": store, "image_set_id": "0" * 32})
    assert "not_found" in unknown, unknown
    print(f"{name}: found, planned, confirmed, gone; an unknown id is not_found")


@contextlib.asynccontextmanager
async def session_of(data):
    """A session of the `mcp` package, of either line."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client

    program, arguments = command(data)
    async with stdio_client(StdioServerParameters(command=program, args=arguments)) as (source, sink):
        async with ClientSession(source, sink) as session:
            await session.initialize()
            yield session


async def openai_agents(data, original):
    from agents.mcp import MCPServerStdio, MCPUtil
    from agents.tool_context import ToolContext
    from agents.usage import Usage

    program, arguments = command(data)
    kept = True
    async with MCPServerStdio(params={"command": program, "args": arguments}, client_session_timeout_seconds=120) as server:
        tools = await server.list_tools()
        for strict in (False, True):
            made = [MCPUtil.to_function_tool(tool, server, strict) for tool in tools]
            name = f"openai-agents, strict schemas {'asked for' if strict else 'not asked for'}"
            kept &= compare(name, original, {tool.name: tool.params_json_schema for tool in made})
            if strict:
                print(f"  {sum(tool.strict_json_schema for tool in made)} of {len(made)} are strict")
        by_name = {tool.name: tool for tool in made}

        async def call(name, arguments):
            text = json.dumps(arguments)
            context = ToolContext(context=None, usage=Usage(), tool_name=name, tool_call_id="1", tool_arguments=text)
            answer = await by_name[name].on_invoke_tool(context, text)
            return texts(answer) if isinstance(answer, list) else answer["text"] if isinstance(answer, dict) else str(answer)

        await converse("openai-agents", call)
    return kept


async def anthropic(data, original):
    from anthropic.lib.tools.mcp import async_mcp_tool

    async with session_of(data) as session:
        tools = (await session.list_tools()).tools
        made = {tool.name: async_mcp_tool(tool, session) for tool in tools}
        kept = compare("anthropic", original, {name: tool.to_dict()["input_schema"] for name, tool in made.items()})

        async def call(name, arguments):
            try:
                answer = await made[name].call(arguments)
            except Exception as error:  # noqa: BLE001 - the library raises what the model is shown
                answer = getattr(error, "content", str(error))
            return answer if isinstance(answer, str) else texts(answer)

        await converse("anthropic", call)
    return kept


async def google_genai(data, original):
    from google.genai._mcp_utils import mcp_to_gemini_tools

    async with session_of(data) as session:
        tools = (await session.list_tools()).tools
    for tool in tools:
        # Its reader takes `false` there for a schema, which docs/tools.md says how to go around.
        schema = getattr(tool, "input_schema", None) or tool.inputSchema
        schema.pop("additionalProperties", None)
    converted = {}
    for tool in mcp_to_gemini_tools(tools):
        (declared,) = tool.function_declarations
        converted[declared.name] = json.loads(declared.parameters.model_dump_json(exclude_none=True))
    return compare("google-genai", original, converted)


async def strands(data, original):
    from mcp import StdioServerParameters
    from mcp.client.stdio import stdio_client
    from strands.tools.mcp import MCPClient

    program, arguments = command(data)
    client = MCPClient(lambda: stdio_client(StdioServerParameters(command=program, args=arguments)))

    def work():
        with client:
            tools = client.list_tools_sync()
            # What goes to Amazon Bedrock's Converse as `toolSpec`.
            specs = {tool.tool_name: tool.tool_spec for tool in tools}
            kept = compare("strands-agents", original, {name: spec["inputSchema"]["json"] for name, spec in specs.items()})
            kept &= bedrock(specs)

            async def call(name, arguments):
                answer = await client.call_tool_async(tool_use_id="1", name=name, arguments=arguments)
                return texts(answer["content"])

            asyncio.run(converse("strands-agents", call))
            return kept

    return await asyncio.to_thread(work)


def bedrock(specs):
    """boto3 takes the list as the tools of a Converse request, by the model of that API."""
    import boto3
    from botocore.validate import ParamValidator

    client = boto3.client("bedrock-runtime", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
    shape = client.meta.service_model.operation_model("Converse").input_shape
    tools = [{"toolSpec": {key: spec[key] for key in ("name", "description", "inputSchema")}} for spec in specs.values()]
    request = {"modelId": "m", "messages": [{"role": "user", "content": [{"text": "x"}]}], "toolConfig": {"tools": tools}}
    report = ParamValidator().validate(request, shape)
    problems = report.generate_report() if report.has_errors() else ""
    print(f"Bedrock Converse by boto3: {len(tools)} tools, {problems or 'valid'}")
    return not problems


async def langchain(data, original):
    from langchain_core.utils.function_calling import convert_to_openai_tool
    from langchain_mcp_adapters.tools import load_mcp_tools

    async with session_of(data) as session:
        tools = {tool.name: tool for tool in await load_mcp_tools(session)}
        converted = {name: convert_to_openai_tool(tool)["function"]["parameters"] for name, tool in tools.items()}
        kept = compare("langchain-mcp-adapters", original, converted)

        async def call(name, arguments):
            try:
                answer = await tools[name].ainvoke(arguments)
            except Exception as error:  # noqa: BLE001 - as its agents show errors
                answer = str(error)
            return answer if isinstance(answer, str) else texts(answer)

        await converse("langchain-mcp-adapters", call)
    return kept


async def llama_index(data, original):
    from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

    program, arguments = command(data)
    made = await McpToolSpec(client=BasicMCPClient(program, args=arguments)).to_tool_list_async()
    tools = {tool.metadata.name: tool for tool in made}
    converted = {name: tool.metadata.to_openai_tool()["function"]["parameters"] for name, tool in tools.items()}
    # It makes a dictionary of anything of every object within, unless that is a reference, which others do not follow.
    return compare("llama-index-tools-mcp (parameters of tools)", original, converted, depth=1)


async def pydantic_ai(data, original):
    from fastmcp.client.transports import StdioTransport
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer

    program, arguments = command(data)
    async with MCPToolset(StdioTransport(program, arguments), tool_error_behavior="error") as tools:
        schemas = {tool.name: tool.input_schema for tool in await tools.list_tools()}
        kept = compare("pydantic-ai", original, schemas)
        for strict in (None, True):
            converted = {
                name: OpenAIJsonSchemaTransformer(schema, strict=strict).walk() for name, schema in schemas.items()}
            kept &= compare(f"pydantic-ai for OpenAI, strict {strict}", original, converted)

        async def call(name, arguments):
            try:
                answer = await tools.direct_call_tool(name, arguments)
            except Exception as error:  # noqa: BLE001 - the library raises what the model is shown
                return str(error)
            return answer if isinstance(answer, str) else json.dumps(answer)

        await converse("pydantic-ai", call)
    return kept


async def autogen(data, original):
    from autogen_core import CancellationToken
    from autogen_ext.tools.mcp import StdioServerParams, create_mcp_server_session, mcp_server_tools

    program, arguments = command(data)
    server = StdioServerParams(command=program, args=arguments, read_timeout_seconds=120)
    # One session, since a confirmation token is of one server.
    async with create_mcp_server_session(server) as session:
        await session.initialize()
        tools = {tool.name: tool for tool in await mcp_server_tools(server, session)}
        kept = compare("autogen-ext", original, {name: tool.schema["parameters"] for name, tool in tools.items()})

        async def call(name, arguments):
            try:
                answer = await tools[name].run_json(arguments, CancellationToken())
            except Exception as error:  # noqa: BLE001 - its agents show the model the error
                return str(error)
            return tools[name].return_value_as_string(answer)

        await converse("autogen-ext", call)
    return kept


CLIENTS = {
    "openai-agents": openai_agents, "anthropic": anthropic, "google-genai": google_genai, "strands": strands,
    "langchain": langchain, "llama-index": llama_index, "pydantic-ai": pydantic_ai, "autogen": autogen,
}


def main(name, data):
    original = listed(data)
    assert original and all(parameters(tool["inputSchema"]) for tool in original.values() if tool["inputSchema"].get("properties"))
    return 0 if asyncio.run(CLIENTS[name](data, original)) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
