#!/usr/bin/env python3
"""Writes how each assistant is configured: docs/install.md, and the part of the README between its marks.

`packaging/clients.py` writes them, `packaging/clients.py --check` fails if they differ, or if a block in them is not what an
assistant reads: JSON, TOML, YAML or a link whose configuration is the one below.
"""

import base64
import json
import pathlib
import re
import shlex
import sys
import tomllib
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parent.parent
NAME = "healthimaging"
COMMAND = "uvx"
ARGUMENTS = ["healthimaging-mcp-server@latest"]
LOCAL = {"command": COMMAND, "args": ARGUMENTS}
# Cursor offers a model at most 40 tools, of all servers together.
FEW = [*ARGUMENTS, "--toolsets", "core"]
AWS = {"command": COMMAND, "args": ARGUMENTS, "env": {"AWS_REGION": "us-east-1", "AWS_PROFILE": "imaging"}}
LOCAL_FEW = {**LOCAL, "args": FEW}
AWS_FEW = {**AWS, "args": FEW}
MARKS = ("<!-- assistants: written by packaging/clients.py -->", "<!-- end of assistants -->")


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def encoded(value):
    return urllib.parse.quote(compact(value), safe="")


def link_kiro(server):
    return f"https://kiro.dev/launch/mcp/add?name={NAME}&config={encoded(server)}"


def link_cursor(server):
    config = urllib.parse.quote(base64.b64encode(compact(server).encode()).decode(), safe="")
    return f"https://cursor.com/en/install-mcp?name={NAME}&config={config}"


def link_code(server, insiders=False):
    link = f"https://insiders.vscode.dev/redirect/mcp/install?name={NAME}&config={encoded(server)}"
    return link + "&quality=insiders" * insiders


def link_goose(server):
    arguments = "".join(f"&arg={urllib.parse.quote(each, safe='')}" for each in server["args"])
    return (f"goose://extension?cmd={server['command']}{arguments}&id={NAME}&name=AWS%20HealthImaging"
            "&description=Medical%20images")


def line(server, *before, variable="-e", separator=("--",), last=()):
    """A command that adds the server."""
    variables = [word for name, value in server.get("env", {}).items() for word in (variable, f"{name}={value}")]
    words = [*before, *variables, *last, *separator, server["command"], *server["args"]]
    return "$ " + shlex.join(words)


def under(key, server, **more):
    text = json.dumps({key: {NAME: {**more, **server}}}, indent=2)
    # Short lists and variables on one line.
    text = re.sub(r"\[\s+([^\[\]]*?)\s+\]", r"[\1]", text)
    return re.sub(r'("env": )\{\s+([^{}]*?)\s+\}', lambda found: found[1] + "{ " + re.sub(r"\s+", " ", found[2]) + " }", text)


def toml(server):
    text = f"[mcp_servers.{NAME}]\ncommand = {json.dumps(server['command'])}\nargs = {json.dumps(server['args'])}\n"
    if environment := server.get("env"):
        text += f"\n[mcp_servers.{NAME}.env]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in environment.items())
    return text.strip()


def yaml(server):
    """JSON strings and lists are YAML too."""
    text = (f"extensions:\n  {NAME}:\n    name: {NAME}\n    type: stdio\n    enabled: true\n    cmd: {server['command']}\n"
            f"    args: {json.dumps(server['args'])}\n    timeout: 300\n")
    if environment := server.get("env"):
        text += f"    envs: {json.dumps(environment)}\n"
    return text.strip()


def fenced(kind, text):
    return f"```{kind}\n{text}\n```"


def both(kind, write, local=LOCAL, aws=AWS):
    """A block for the embedded store, and one for AWS."""
    return f"{fenced(kind, write(local))}\n\nWith AWS:\n\n{fenced(kind, write(aws))}"


def servers(server):
    return under("mcpServers", server)


def sections():
    """Title → text; the order is that of docs/install.md."""
    return {
        "Kiro": f"[Add to Kiro]({link_kiro(LOCAL)}), or `.kiro/settings/mcp.json` of a project, or "
                f"`~/.kiro/settings/mcp.json`:\n\n{both('json', servers)}",
        "Cursor": "Cursor offers a model at most 40 tools, of all servers together, so that these offer the tools of `core`. "
                  f"[Add to Cursor]({link_cursor(LOCAL_FEW)}), or `.cursor/mcp.json` of a project, or `~/.cursor/mcp.json`:\n\n"
                  f"{both('json', servers, LOCAL_FEW, AWS_FEW)}",
        "VS Code": f"[Install in VS Code]({link_code(LOCAL)}), [in VS Code Insiders]({link_code(LOCAL, True)}), or "
                   "`.vscode/mcp.json` of a project:\n\n"
                   f"{both('json', lambda server: under('servers', server, type='stdio'))}",
        "Claude Code": fenced("console", "\n".join(line(each, "claude", "mcp", "add", NAME) for each in (LOCAL, AWS))),
        "Claude Desktop": "Open the bundle `healthimaging-mcp-server-VERSION-PLATFORM.mcpb` of a release, or write "
                          "`claude_desktop_config.json` (Settings, Developer, Edit Config). An app that was not started from a "
                          f"shell may need the full path of `uvx`:\n\n{both('json', servers)}",
        "Cline": "`cline_mcp_settings.json` (MCP Servers, Configure):\n\n" + both("json", servers),
        "Windsurf": "`~/.codeium/windsurf/mcp_config.json`:\n\n" + both("json", servers),
        "Codex": "`~/.codex/config.toml`:\n\n" + both("toml", toml) + "\n\nOr on the command line:\n\n" + fenced(
            "console", "\n".join(line(each, "codex", "mcp", "add", NAME, variable="--env") for each in (LOCAL, AWS))),
        "Gemini CLI": "`~/.gemini/settings.json`, or `.gemini/settings.json` of a project:\n\n" + both("json", servers)
                      + "\n\nOr on the command line:\n\n" + fenced("console", "\n".join(
                          line(each, "gemini", "mcp", "add", "-s", "user", separator=(), last=(NAME,)) for each in (LOCAL, AWS))),
        "Zed": "`settings.json` (the action `zed: open settings`):\n\n"
               + both("json", lambda server: under("context_servers", server, source="custom")),
        "Goose": f"Paste `{link_goose(LOCAL)}` into the address bar of a browser, or write `~/.config/goose/config.yaml`:\n\n"
                 + both("yaml", yaml),
    }


def install_document():
    parts = [
        "# Configuring an assistant",
        "<!-- written by packaging/clients.py -->",
        "Each block starts the server with [uv](https://docs.astral.sh/uv/), which fetches the package of this platform. The "
        "program on your `PATH` does the same: write `healthimaging-mcp-server` as the command, without arguments. So does npm: "
        "`npx` with the arguments `-y healthimaging-mcp-server@latest`.",
        "The first block of each assistant uses the embedded store of this machine; with a region or a profile, the server uses "
        "AWS HealthImaging. `--read-only` or `--no-delete` as a further argument limits what the assistant may do, and "
        "`--toolsets` how many tools it reads ([docs/tools.md](tools.md#toolsets)).",
    ]
    for title, text in sections().items():
        parts += [f"## {title}", text]
    return "\n\n".join(parts) + "\n"


def button(alt, image, link):
    return f"[![{alt}]({image})]({link})"


def readme_part():
    shields = "https://img.shields.io/badge"
    buttons = [
        button("Add to Kiro", "https://kiro.dev/images/add-to-kiro.svg", link_kiro(LOCAL)),
        button("Add to Cursor", "https://cursor.com/deeplink/mcp-install-light.svg", link_cursor(LOCAL_FEW)),
        button("Install in VS Code", f"{shields}/VS_Code-Install-0098FF?style=flat-square", link_code(LOCAL)),
        button("Install in VS Code Insiders", f"{shields}/VS_Code_Insiders-Install-24bfa5?style=flat-square",
               link_code(LOCAL, True)),
    ]
    lines = [
        line(LOCAL, "claude", "mcp", "add", NAME),
        line(AWS, "claude", "mcp", "add", NAME),
        line(LOCAL, "codex", "mcp", "add", NAME),
        line(LOCAL, "gemini", "mcp", "add", "-s", "user", separator=(), last=(NAME,)),
    ]
    return "\n\n".join([
        " ".join(buttons),
        fenced("console", "\n".join(lines)),
        "Kiro, Claude Desktop, Cline, Windsurf and Gemini CLI read this JSON:",
        both("json", servers),
        "Cursor reads the same JSON. It offers a model at most 40 tools, of all servers together, so that its block has "
        "`--toolsets core`:",
        fenced("json", servers(LOCAL_FEW)),
        "[docs/install.md](docs/install.md) has the file and the block of each assistant, also VS Code, Codex, Zed and Goose.",
    ])


def readme():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return f"{before}{MARKS[0]}\n{readme_part()}\n{MARKS[1]}{after}"


def check_block(kind, text):
    if kind == "json":
        (content,) = json.loads(text).values()
    elif kind == "toml":
        content = tomllib.loads(text)["mcp_servers"]
    elif kind == "console":
        for each in text.splitlines():
            words = shlex.split(each.removeprefix("$ "))
            assert words[-len(ARGUMENTS) - 1:] == [COMMAND, *ARGUMENTS], each
        return
    else:
        return
    server = {key: value for key, value in content[NAME].items() if key not in ("type", "source")}
    assert server in (LOCAL, AWS, LOCAL_FEW, AWS_FEW), text


def check_link(link):
    parts = urllib.parse.urlsplit(link)
    query = urllib.parse.parse_qs(parts.query)
    if parts.scheme == "goose":
        assert (query["cmd"], query["arg"]) == ([COMMAND], ARGUMENTS), link
        return
    (config,) = query["config"]
    text = base64.b64decode(config) if parts.hostname == "cursor.com" else config
    wanted = LOCAL_FEW if parts.hostname == "cursor.com" else LOCAL
    assert json.loads(text) == wanted and query["name"] == [NAME], link


def check(text):
    blocks = re.findall(r"```(\w+)\n(.*?)\n```", text, re.S)
    for kind, block in blocks:
        check_block(kind, block)
    links = re.findall(r"(?:https|goose)://[^\s)`]*(?:config|cmd)=[^\s)`]*", text)
    for link in links:
        check_link(link)
    return len(blocks), len(links)


def main():
    written = {"docs/install.md": install_document(), "README.md": readme()}
    for name, text in written.items():
        path = ROOT / name
        if sys.argv[1:] == ["--check"]:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                sys.exit(f"{name} differs from what packaging/clients.py writes: run it")
        else:
            path.write_text(text, encoding="utf-8")
    part = written["README.md"].split(MARKS[0])[1].split(MARKS[1])[0]
    blocks, links = (sum(each) for each in zip(check(written["docs/install.md"]), check(part)))
    print(f"{blocks} blocks and {links} links are what assistants read")


if __name__ == "__main__":
    main()
