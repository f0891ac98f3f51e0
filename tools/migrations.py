#!/usr/bin/env python3
"""Embeds src/ROOM/migrations/NNNN-name.sql into one C file, in the order of floors.
usage: migrations.py SOURCE_ROOT OUT.c      (writes only when something changed)"""
import os
import re
import sys

FLOORS = ['store', 'feel', 'dmn', 'net'] + [
    'platform/' + m for m in ('bus', 'audit', 'settings', 'identity', 'jobs', 'files', 'pack', 'decision', 'entity', 'query', 'notify')
] + ['platform', 'subject', 'observe', 'judge', 'warn', 'handle', 'learn', 'hub', 'app']


def literal(text):
    out = []
    for line in text.splitlines(keepends=True):
        line = line.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n').replace('?', '\\?')
        out.append('        "%s"' % line)
    return '\n'.join(out) or '        ""'


def folders(root, room):
    """The room's own migrations, then those of its modules (below platform they are rooms of their own)."""
    base = os.path.join(root, 'src', room)
    found = [(room, os.path.join(base, 'migrations'))]
    if room.count('/') == 0 and room != 'platform' and os.path.isdir(base):
        for module in sorted(os.listdir(base)):
            found.append((room + '/' + module, os.path.join(base, module, 'migrations')))
    return [(r, d) for r, d in found if os.path.isdir(d)]


def main():
    root, out = sys.argv[1:3]
    rows = []
    for floor in FLOORS:
        for room, folder in folders(root, floor):
            numbers = set()
            for name in sorted(os.listdir(folder)):
                match = re.fullmatch(r'(\d{4})-[a-z0-9-]+\.sql', name)
                if not match:
                    sys.exit('%s/%s: a migration is named NNNN-name.sql' % (folder, name))
                if match.group(1) in numbers:
                    sys.exit('%s/%s: the number is taken' % (folder, name))
                numbers.add(match.group(1))
                with open(os.path.join(folder, name), encoding='utf-8') as f:
                    rows.append('    { "%s", "%s",\n%s },\n' % (room, name[:-4], literal(f.read())))
    text = ('/* Made by tools/migrations.py; do not edit. */\n#pragma GCC diagnostic ignored "-Woverlength-strings"\n#include "store/migrate.h"\n\n'
            'const struct store_migration STORE_MIGRATIONS[] = {\n' + ''.join(rows) +
            '    { 0 },\n};\nconst int STORE_MIGRATIONS_COUNT = %d;\n' % len(rows))
    try:
        with open(out, encoding='utf-8') as f:
            if f.read() == text:
                return
    except OSError:
        pass
    with open(out, 'w', encoding='utf-8') as f:
        f.write(text)


main()
