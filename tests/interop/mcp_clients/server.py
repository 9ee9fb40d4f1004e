"""Our server for clients under test: its command, the tools it lists, and how schemas are compared.

What it lists is read here without any client library.
"""

import json
import os
import subprocess

BINARY = os.environ["HEALTHIMAGING_BIN"]
VERSION = "2025-11-25"
# The conversation's store: its one data store, and a patient of it.
PATIENT = os.environ.get("MCP_CLIENTS_PATIENT", "")


def command(data):
    """Program and arguments of a server on the store in `data`."""
    return BINARY, ["--backend", "local", "--data-dir", data, "stdio"]


def listed(data):
    """The tools as the server lists them."""
    hello = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "interop", "version": "1"}}
    messages = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    program, arguments = command(data)
    done = subprocess.run(
        [program, *arguments], input="".join(json.dumps(message) + "\n" for message in messages),
        capture_output=True, text=True, check=True, timeout=120)
    answers = {answer.get("id"): answer for answer in map(json.loads, done.stdout.splitlines())}
    return {tool["name"]: tool for tool in answers[2]["result"]["tools"]}


def parameters(schema, path=""):
    """The parameters that a schema names, at every depth, as paths."""
    found = set()
    if not isinstance(schema, dict):
        return found
    properties = schema.get("properties")
    for name, part in (properties if isinstance(properties, dict) else {}).items():
        found |= {f"{path}/{name}"} | parameters(part, f"{path}/{name}")
    for key in ("items", "additionalProperties", "additional_properties"):
        found |= parameters(schema.get(key), f"{path}/*")
    for key in ("anyOf", "oneOf", "allOf", "any_of", "one_of"):
        for part in schema.get(key) or []:
            found |= parameters(part, path)
    return found


def resolved(schema, definitions=None):
    """A schema without references into itself."""
    definitions = definitions or (schema.get("$defs") if isinstance(schema, dict) else None) or {}
    if isinstance(schema, list):
        return [resolved(part, definitions) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return resolved(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions)
    return {key: resolved(part, definitions) for key, part in schema.items() if key != "$defs"}


def compare(name, original, converted, depth=100):
    """What a conversion lost: tools, and parameters of tools."""
    lost = [f"{tool}: the tool is lost" for tool in original if tool not in converted]
    count = 0
    for tool, schema in converted.items():
        wanted = {path for path in parameters(original[tool]["inputSchema"]) if path.count("/") <= depth}
        missing = wanted - parameters(resolved(schema))
        count += len(wanted) - len(missing)
        lost += [f"{tool}: lost {path}" for path in sorted(missing)]
    for line in lost:
        print(f"  {name}: {line}")
    print(f"{name}: {len(converted)} tools, {count} parameters, {len(lost)} lost")
    return not lost
