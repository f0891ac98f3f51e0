#!/usr/bin/env python3
"""Runs `bihuan dmn tck` over the conformance cases that lie beside the project; none may fail.

usage: dmn_tck.py BIHUAN        Skipped (exit 77) where the cases are not.  SHARED=DIR looks for them there.
"""
import os
import subprocess
import sys

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
cases = os.path.join(os.environ.get("SHARED", os.path.join(root, "..", "shared")), "conformance", "dmn")
if not os.path.isdir(cases):
    print("1..0 # SKIP no conformance cases at", cases)
    sys.exit(77)
run = subprocess.run([sys.argv[1], "dmn", "tck", cases], stdout=subprocess.PIPE, text=True, check=False)
lines = run.stdout.splitlines()
print("1..2")
for line in lines[:-1][:100]:
    print("#", line)
passed, failed = (int(part.split()[0]) for part in lines[-1].split(", "))
print("ok" if failed == 0 and run.returncode == 0 else "not ok", "1 - none fails:", lines[-1])
print("ok" if passed >= 1417 else "not ok", "2 - all cases are there")
