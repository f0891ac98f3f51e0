"""`bihuan pack check`: a pack full of mistakes, each found at its place; the shipped packs have none."""
import json
import pathlib
import subprocess
import tempfile

from bihuan import BIN, ROOT, check, done

TITLE = {'zh-CN': '标题', 'en': 'title'}
TYPE = {
    'type': 'object', 'x-title': TITLE, 'required': ['code', 'name'], 'x-key': ['code'], 'x-scope': {'everyone': True},
    'properties': {
        'code': {'type': 'string', 'maxLength': 8, 'x-title': TITLE},
        'name': {'type': 'string', 'x-title': TITLE},
        'size': {'type': 'integer', 'maximum': 9, 'x-title': TITLE},
        'level': {'type': 'string', 'enum': ['a', 'b'], 'x-labels': {'a': TITLE, 'b': TITLE}, 'x-title': TITLE},
        'parent': {'type': 'string', 'x-ref': 'bad.thing', 'x-title': TITLE},
        'near': {'type': 'array', 'items': {'type': 'string', 'x-ref': 'bad.thing'}, 'x-title': TITLE},
    },
}
PACK = '''{"name": "bad", "version": "1.0.0", "title": {"zh-CN": "x", "en": "x"}, "needs": ["core"],
 "menu": [
  {"title": {"zh-CN": "x", "en": "x"}, "permission": "bad.thing.reed", "items": [
   {"type": "bad.nothing"},
   {"page": "bad.nowhere"},
   {"page": "bad.good", "permission": "core.alarm.read"},
   {"type": "bad.thing", "permission": "bad.thing.sensitive"}
 ]}]}
'''
GOOD = '{"title": {"zh-CN": "x", "en": "x"}, "widgets": [{"widget": "text", "text": {"zh-CN": "x", "en": "x"}}]}'
PAGE = '''{"title": {"zh-CN": "x"},
 "permission": "bad.else.read",
 "colour": "red",
 "widgets": [
  {"widget": "number", "query": "all"},
  {"widget": "table", "query": "none"},
  {"widget": "records", "type": "bad.thing", "columns": ["code", "nope"], "limit": 900},
  {"widget": "records", "type": "bad.other"},
  {"widget": "dance"},
  {"widget": "chart", "query": "all", "x": "code", "y": []}
 ]}
'''
QUERY = '-- title zh-CN: x\n-- title en: x\n-- permission bad.thing.look\nSELECT code FROM @thing t\n'
DATA = ('code,name,size,level,parent,near\n'
        'a,甲,1,a,,\n'
        'b,乙,many,a,,\n'
        'c,丙,10,c,,\n'
        'd,,1,a,zz,\n'
        'e,戊,1,b,a,a;b\n'
        'f,己,1,b,,a;yy\n'
        'a,庚,1,a,,\n'
        'too-long-code,辛,1,a,,\n'
        'g,壬,1,a,,,x\n')
HEADER = 'code,colour\nx,red\n'
OPEN = 'code,name\nh,"x\n'


def run(folder):
    out = subprocess.run([BIN, 'pack', 'check', str(folder)], capture_output=True, text=True, check=False,
                         env={'LANG': 'en_US.UTF-8', 'PATH': '/usr/bin:/bin'})
    return out.returncode, out.stdout.splitlines()


with tempfile.TemporaryDirectory(prefix='bihuan-packcheck-') as root:
    pack = pathlib.Path(root, 'bad')
    for path, text in (('pack.json', PACK), ('types/thing.json', json.dumps(TYPE, ensure_ascii=False)),
                       ('pages/good.json', GOOD), ('pages/wrong.json', PAGE), ('queries/all.sql', QUERY),
                       ('data/10-thing.csv', DATA), ('demo/20-thing.csv', HEADER), ('demo/30-thing.csv', OPEN),
                       ('demo/40-none.csv', 'a\n1\n')):
        file = pack / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    status, lines = run(pack)
    check('the answer is no', status == 1, (status, lines))
    for where, what in (('pack.json:3:', 'bad.thing.reed'), ('pack.json:4:', 'bad.nothing'), ('pack.json:5:', 'bad.nowhere'),
                        ('pages/wrong.json:2:', 'bad.else.read'), ('pages/wrong.json:3:', 'colour'),
                        ('pages/wrong.json:1:', ''), ('pages/wrong.json:5:', 'value'), ('pages/wrong.json:6:', 'none'),
                        ('pages/wrong.json:7:', 'nope'), ('pages/wrong.json:7:', '1..200'),
                        ('pages/wrong.json:8:', 'bad.other'), ('pages/wrong.json:9:', ''),
                        ('pages/wrong.json:10:', '1..5'), ('queries/all.sql:3:1', 'bad.thing.look'),
                        ('data/10-thing.csv:3:5', ''), ('data/10-thing.csv:4:5', ''), ('data/10-thing.csv:4:8', ''),
                        ('data/10-thing.csv:5:8', 'zz'), ('data/10-thing.csv:7:10', 'yy'),
                        ('data/10-thing.csv:8:1', 'a'), ('data/10-thing.csv:9:1', ''), ('data/10-thing.csv:10:11', ''),
                        ('demo/20-thing.csv:1:6', 'colour'), ('demo/30-thing.csv:2:3', ''), ('demo/40-none.csv', '40-none')):
        found = [line for line in lines if f'bad/{where}' in line and what in line]
        check(f'{where} {what}', found, '\n        '.join(lines))
    check('and nothing else', len(lines) == 25, '\n        '.join([str(len(lines)), *lines]))
    for path, text in (('pack.json', PACK.replace('reed', 'read').replace('bad.nothing', 'bad.thing')
                        .replace('bad.nowhere', 'bad.good')),
                       ('queries/all.sql', QUERY.replace('look', 'read')), ('pages/wrong.json', GOOD),
                       ('data/10-thing.csv', 'code,name,parent\nb,乙,a\na,甲,\n')):
        (pack / path).write_text(text)
    for path in ('demo/20-thing.csv', 'demo/30-thing.csv', 'demo/40-none.csv'):
        (pack / path).unlink()
    status, lines = run(pack)
    check('mended, it has no faults', status == 0, (status, lines))
for shipped in ('packs/core', 'packs/ops', 'packs/catalogue', 'tests/packs/hotline'):
    status, lines = run(ROOT / shipped)
    check(f'{shipped} has none', status == 0, (status, lines))
done()
