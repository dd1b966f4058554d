"""Stands in for apt-get, apt-cache, apt-config and dpkg-deb: a mirror in a folder.

The folder, named by FAKE_APT, holds ``packages.json`` (name, version and the files of each
package; ``gone`` where the mirror lists it but does not hold it), ``sources`` (what
``apt-get update --print-uris`` prints) and ``log`` of what was asked.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

FOLDER = Path(os.environ.get("FAKE_APT", "."))


def packages() -> list[dict[str, object]]:
    found = json.loads((FOLDER / "packages.json").read_text())
    assert isinstance(found, list)
    return found


def log(*words: str) -> None:
    configuration = os.environ.get("APT_CONFIG")
    read = Path(configuration).read_text() if configuration else ""
    sources = Path(configuration).parent / "sources.list" if configuration else None
    entry = {
        "words": words,
        "configuration": read,
        "sources": sources.read_text() if sources else "",
    }
    with (FOLDER / "log").open("a") as out:
        out.write(json.dumps(entry) + "\n")


def apt_get(*words: str) -> None:
    log("apt-get", *words)
    if "install" in words:
        for each in packages():
            file = f"{each['name']}_{quote(str(each['version']))}_arm64.deb"
            print(f"'http://mirror/{file}' {file} 7 SHA256:x")
    elif "--print-uris" in words:
        print((FOLDER / "sources").read_text())
    elif "update" in words:
        print("W: Failed to fetch some suite", file=sys.stderr)
    else:
        for wanted in words[words.index("download") + 1 :]:
            name, _, version = wanted.partition("=")
            found = next(p for p in packages() if (p["name"], p["version"]) == (name, version))
            if found.get("gone"):
                sys.exit(f"E: Failed to fetch {name}: 404  Not Found")
            Path(f"{name}_{version}.deb").write_text(json.dumps(found["files"]))


def apt_cache(command: str, *names: str) -> None:
    for package in packages():
        if command == "pkgnames":
            print(package["name"])
        elif package["name"] in names:
            print(f" {package['name']} | {package['version']} | http://mirror trixie/main")


def apt_config(*words: str) -> None:
    print('Acquire::http::Proxy "http://proxy:3128";')
    print('Acquire::AllowInsecureRepositories "1";')
    print('Acquire::IndexTargets::deb::Packages::MetaKey "x";')


def dpkg_deb(option: str, package: str) -> None:
    assert option == "--fsys-tarfile"
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as out:
        for name, content in json.loads(Path(package).read_text()).items():
            member = tarfile.TarInfo("./" + name)
            if content.startswith("-> "):
                member.type, member.linkname = tarfile.SYMTYPE, content[3:]
                out.addfile(member)
                continue
            data = content.encode("latin1")
            member.size = len(data)
            member.mode = 0o755 if "/bin/" in name else 0o644
            out.addfile(member, io.BytesIO(data))


TOOLS: dict[str, Callable[..., None]] = {
    "apt-get": apt_get,
    "apt-cache": apt_cache,
    "apt-config": apt_config,
    "dpkg-deb": dpkg_deb,
}

if __name__ == "__main__":
    TOOLS[sys.argv[1]](*sys.argv[2:])
