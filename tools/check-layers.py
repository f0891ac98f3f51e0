"""The layer check: an include goes down the house or stays on its floor, and is written from src/.

usage: tools/check-layers.py [SRC]      prints each offence as FILE:LINE: reason; exit 1 when there is one
The order of floors is that of src/meson.build, inside platform/ that of src/platform/meson.build's
comment `# floors: ...`.  Refused: an include of a floor above, one with `..`, a quoted include that is no
file below src/ (a bare name that bypasses the floors), and one of the tests' or generated folders.
"""
import pathlib
import re
import sys

PLATFORM = ["bus", "audit", "settings", "identity", "jobs", "files", "pack", "decision", "entity", "query", "notify",
            "rekey"]
ROOMS = ["base", "crypto", "store", "feel", "dmn", "net", "platform", "subject", "observe", "judge", "warn",
         "handle", "learn", "hub", "app", "cmd"]
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# What a unit test may include besides the house: the test helpers.
TEST_ONLY = {"test.h", "teststore.h", "rig.h"}


def floor(path):
    """(room, part of platform) of a file below src/, as numbers; main.c stands above all."""
    parts = path.split("/")
    if len(parts) == 1:
        return (len(ROOMS), 0)
    if parts[0] not in ROOMS:
        return None
    part = 0
    if parts[0] == "platform" and len(parts) > 2:
        if parts[1] not in PLATFORM:
            return None
        part = PLATFORM.index(parts[1])
    return (ROOMS.index(parts[0]), part)


def offences(src):
    for file in sorted(src.rglob("*.[ch]")):
        here = file.relative_to(src).as_posix()
        own = floor(here)
        if own is None:
            yield here, 1, "lies in a folder that is not a room of the house"
            continue
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            kind, name = match.groups()
            if ".." in name.split("/"):
                yield here, number, f'"{name}" climbs with ".."'
            elif kind == "<":
                if (src / name).is_file() or (file.parent / name).is_file():
                    yield here, number, f"<{name}> is ours: write it with quotes, from src/"
            elif here.endswith(("_test.c", "_test.h")) and name in TEST_ONLY:
                continue
            elif not (src / name).is_file():
                yield here, number, f'"{name}" is no file below src/: includes are written from there'
            elif "/" not in name:
                yield here, number, f'"{name}" bypasses the floors by a bare name'
            else:
                other = floor(name)
                if other is None or other > own:
                    yield here, number, f'"{name}" lies on a floor above {here}'


def main():
    src = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "src").resolve()
    found = list(offences(src))
    for here, number, reason in found:
        print(f"{src.name}/{here}:{number}: {reason}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
