"""Adds up the cases of Meson test logs: TAP cases where there are any, else one a test.

usage: count-tests.py [--failed] LOG...     of a test that stands in several logs the last one counts;
--failed prints the names of the tests that failed instead.
"""
import json
import re
import sys


def cases(test):
    out = test.get("stdout", "")
    good = len(re.findall(r"^\s*ok \d+", out, re.M))
    bad = len(re.findall(r"^\s*not ok \d+", out, re.M))
    summary = re.findall(r"^(\d+) passed, (\d+) failed$", out, re.M)
    if summary:
        good, bad = int(summary[-1][0]), int(summary[-1][1])
    if test["result"] in ("OK", "EXPECTEDFAIL", "SKIP"):
        return good + (not good and test["result"] != "SKIP"), bad
    return good, bad or 1


def main(arguments):
    only_failed = arguments[:1] == ["--failed"]
    last = {}
    for log in arguments[only_failed:]:
        for line in open(log, encoding="utf-8"):
            test = json.loads(line)
            last[test["name"].split(" / ")[-1]] = test
    counted = {name: cases(test) for name, test in last.items()}
    if only_failed:
        print(" ".join(name for name, (_, bad) in counted.items() if bad))
        return 0
    passed, failed = (sum(one[i] for one in counted.values()) for i in (0, 1))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
