"""The Dockerfile without an engine: is what its last stage installs all that the binary needs, and does it fit the rest?

The packages are looked for with apt-cache, the shared libraries with ldd, on a system like that of the image. Elsewhere
only what needs no system is checked.
"""

import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def output(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def stages(text):
    """The base image and the instructions of each stage."""
    lines = [line for line in re.sub(r"\\\n", " ", text).splitlines() if line.strip() and not line.startswith("#")]
    found = []
    for line in lines:
        word, rest = line.split(None, 1)
        if word == "FROM":
            found.append((rest.split()[0], []))
        else:
            found[-1][1].append((word, rest))
    return found


def packages(instructions):
    """What the RUN instructions install with apt-get."""
    found = []
    for word, rest in instructions:
        for command in rest.split("&&") if word == "RUN" else ():
            if "apt-get install" in command:
                words = command.split("apt-get install")[1].split()
                found += [name for name in words if not name.startswith("-")]
    return found


def release():
    """The code name of this system, such as bookworm."""
    try:
        return re.search(r"^VERSION_CODENAME=(\S+)$", pathlib.Path("/etc/os-release").read_text(), re.MULTILINE).group(1)
    except (OSError, AttributeError):
        return None


def depended_on(names):
    """These packages and, transitively, all that they cannot do without."""
    text = output("apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
                  "--no-replaces", "--no-enhances", *names)
    return {line.split(":")[0].strip() for line in text.splitlines() if line and not line.startswith((" ", "|", "<"))}


def essential():
    """What each Debian image holds: packages that are essential, or of the base system."""
    text = output("dpkg-query", "-W", "-f", "${Package} ${Essential} ${Priority}\n")
    return {line.split()[0] for line in text.splitlines() if " yes " in line or line.endswith(" required")}


def owner(path):
    """The package of a file, which may be known by its name before /lib became /usr/lib."""
    for name in (path, path.removeprefix("/usr")):
        found = subprocess.run(["dpkg", "-S", name], capture_output=True, text=True, check=False)
        if found.returncode == 0:
            return found.stdout.split(":")[0]
    return f"no package owns {path}"


def libraries(binary):
    """The packages that own the shared libraries of the binary."""
    found = {}
    for line in output("ldd", binary).splitlines():
        assert "not found" not in line, line
        if path := re.search(r"(/\S+) \(0x", line):
            real = os.path.realpath(path.group(1))
            found[real] = owner(real)
    assert any("libc" in name for name in found), found
    assert not any("openjph" in name for name in found), f"OpenJPH is to be linked statically: {found}"
    return found


def main(binary):
    (build_base, build), (base, last) = stages((ROOT / "Dockerfile").read_text())
    wanted = re.search(r'^rust-version = "([\d.]+)"', (ROOT / "Cargo.toml").read_text(), re.MULTILINE).group(1)
    version, system = re.fullmatch(r"rust:([\d.]+)-(\w+)", build_base).groups()
    number = lambda text: tuple(map(int, text.split(".")))
    assert number(version) >= number(wanted), f"the image builds with Rust {version}; {wanted} is needed"
    assert base == f"debian:{system}-slim", f"built on {system}, run on {base}"
    words = dict(last)
    assert words["USER"] not in ("root", "0", "0:0") and words["ENTRYPOINT"] == '["healthimaging-mcp-server"]', words
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[0] == "**", "all but what is named stays out of the image"
    for name in (line[1:] for line in ignored if line.startswith("!")):
        assert (ROOT / name).exists(), name
    print(f"Dockerfile: Rust {version}, {base}, user {words['USER']}")
    if release() != system:
        print(f"this is no {system}: packages and libraries were not compared")
        return
    for name in packages(build) + packages(last):
        assert "Package:" in output("apt-cache", "show", name), name
    present = depended_on(packages(last)) | essential()
    needed = libraries(binary)
    missing = {path: owner for path, owner in needed.items() if owner not in present}
    assert not missing, f"the image lacks {missing}"
    print(f"{len(needed)} shared libraries, all in {', '.join(packages(last))} and what those depend on")


main(sys.argv[1])
