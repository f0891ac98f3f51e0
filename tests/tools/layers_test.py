"""The layer check passes on the tree, and fails on each planted offence (TAP)."""
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CHECK = ROOT / "tools/check-layers.py"
PLANTS = [
    ("an upward include", "store/plant.c", '#include "net/plant.h"', "net/plant.h"),
    ("an upward include inside platform", "platform/bus/plant.c", '#include "platform/entity/plant.h"',
     "platform/entity/plant.h"),
    ("one with ..", "store/plant.c", '#include "../base/err.h"', None),
    ("a bare name", "store/plant.c", '#include "plant.h"', "store/plant.h"),
    ("a bare name at the root of src", "store/plant.c", '#include "plant.h"', "plant.h"),
    ("angle brackets around one of ours", "store/plant.c", "#include <net/plant.h>", "net/plant.h"),
    ("a folder that is no room", "attic/plant.c", "", None),
]


def run(src):
    return subprocess.run([sys.executable, CHECK, src], capture_output=True, text=True)


print(f"1..{len(PLANTS) + 1}")
clean = run(ROOT / "src")
failed = clean.returncode != 0
print(f"{'not ' if failed else ''}ok 1 the tree itself")
print("".join(f"# {line}\n" for line in clean.stdout.splitlines()), end="")
for number, (name, file, text, other) in enumerate(PLANTS, 2):
    with tempfile.TemporaryDirectory() as folder:
        src = pathlib.Path(folder) / "src"
        shutil.copytree(ROOT / "src", src)
        for path, content in ((other, "\n"), (file, text + "\n")):
            if path:
                (src / path).parent.mkdir(parents=True, exist_ok=True)
                (src / path).write_text(content, encoding="utf-8")
        good = run(src).returncode == 1 and file in run(src).stdout
        failed |= not good
        print(f"{'' if good else 'not '}ok {number} {name} is refused")
sys.exit(failed)
