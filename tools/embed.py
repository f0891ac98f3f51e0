#!/usr/bin/env python3
"""Writes a file into a C source: const unsigned char NAME[] and const unsigned NAME_SIZE.

usage: tools/embed.py FILE NAME OUT
"""
import pathlib
import sys

source, name, out = sys.argv[1:]
data = pathlib.Path(source).read_bytes()
lines = [', '.join(str(byte) for byte in data[at:at + 24]) for at in range(0, len(data), 24)]
pathlib.Path(out).write_text(
    f'/* {pathlib.Path(source).name}, by tools/embed.py */\n'
    f'extern const unsigned char {name}[];\nextern const unsigned {name}_SIZE;\n'
    f'const unsigned char {name}[] = {{\n    ' + ',\n    '.join(lines) + '\n};\n'
    f'const unsigned {name}_SIZE = {len(data)};\n')
