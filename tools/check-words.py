"""The words check: every key stands in both languages, with the same placeholders, and every error id
that the C sources use, and every key that the browser uses, is there.

usage: tools/check-words.py      prints each offence; exit 1 when there is one
"""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACEHOLDER = re.compile(r"\{[A-Za-z_][A-Za-z_0-9]*\}")
ERR_ID = re.compile(r'\b(?:err_set|fail|finding)\w*\(\s*[^;"]*?ERR_[A-Z_]+,\s*"([a-z_0-9]+\.[a-z_0-9.]+)"', re.S)
WEB_KEY = re.compile(r"""(?<![\w$.])\$?t\(\s*['"]([a-zA-Z_0-9]+(?:\.[a-zA-Z_0-9]+)+)['"]""")


def load(path, problems):
    def no_twins(pairs):
        keys = [key for key, _ in pairs]
        for key in sorted({key for key in keys if keys.count(key) > 1}):
            problems.append(f"{path}: {key} stands twice")
        return dict(pairs)
    return json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=no_twins)


def main():
    problems = []
    for folder in [ROOT / "words", *sorted(ROOT.glob("packs/*/words")), *sorted(ROOT.glob("tests/packs/*/words"))]:
        zh, en = folder / "zh-CN.json", folder / "en.json"
        if not zh.is_file() or not en.is_file():
            problems.append(f"{folder}: one of the two languages is missing")
            continue
        a, b = load(zh, problems), load(en, problems)
        for key in sorted(a.keys() ^ b.keys()):
            problems.append(f"{folder.relative_to(ROOT)}: {key} is missing in {'en' if key in a else 'zh-CN'}")
        for key in sorted(a.keys() & b.keys()):
            if sorted(set(PLACEHOLDER.findall(a[key]))) != sorted(set(PLACEHOLDER.findall(b[key]))):
                problems.append(f"{folder.relative_to(ROOT)}: {key} has other placeholders in the two languages")
        if folder == ROOT / "words":
            known = set(a)
    for pattern, globs in ((ERR_ID, ["src/**/*.c"]), (WEB_KEY, ["web/src/**/*.ts", "web/src/**/*.vue"])):
        for glob in globs:
            for file in sorted(ROOT.glob(glob)):
                if file.name.endswith(("_test.c", ".test.ts")):
                    continue
                for key in sorted(set(pattern.findall(file.read_text(encoding="utf-8")))):
                    if key not in known:
                        problems.append(f"{file.relative_to(ROOT)}: {key} is in no language")
    for problem in problems:
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
