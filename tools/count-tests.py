"""Adds up the cases of a Meson test log: TAP cases where there are any, else one a test."""
import json
import re
import sys

passed = failed = 0
for line in open(sys.argv[1], encoding="utf-8"):
    test = json.loads(line)
    out = test.get("stdout", "")
    summary = re.findall(r"^(\d+) passed, (\d+) failed$", out, re.M)
    good = len(re.findall(r"^\s*ok \d+", out, re.M))
    bad = len(re.findall(r"^\s*not ok \d+", out, re.M))
    if summary:
        good, bad = int(summary[-1][0]), int(summary[-1][1])
    if test["result"] in ("OK", "EXPECTEDFAIL", "SKIP"):
        good += not good and test["result"] != "SKIP"
    else:
        bad = bad or 1
    passed += good
    failed += bad
print(f"{passed} passed, {failed} failed")
sys.exit(failed > 0)
