"""A pack whose types change under data: what adds comes by itself, the rest stops serve with exit 3 and is done by
`bihuan migrate`, all or nothing."""
import json
import os
import pathlib
import subprocess
import tempfile

from bihuan import BIN, Server, check, done

packs = pathlib.Path(tempfile.mkdtemp(prefix='bihuan-e2e-packs-'))
title = {'zh-CN': '物', 'en': 'Thing'}
(packs / 'lab' / 'types').mkdir(parents=True)
(packs / 'lab' / 'migrations').mkdir()


def pack(version, required=(), **fields):
    (packs / 'lab' / 'pack.json').write_text(json.dumps({'name': 'lab', 'version': version, 'title': title}))
    kind = {'type': 'object', 'x-title': title, 'x-scope': {'everyone': True}, 'required': list(required),
            'properties': {name: dict(field, **{'x-title': title}) for name, field in fields.items()}}
    (packs / 'lab' / 'types' / 'thing.json').write_text(json.dumps(kind))


def run(server, *words):
    more = ['--database', server.database] if server.database else []
    return subprocess.run([BIN, *words, '--data', server.data, '--packs', str(packs)] + more, capture_output=True,
                          text=True, timeout=120, env=dict(os.environ, LANG='en_US.UTF-8'))


text, whole = {'type': 'string'}, {'type': 'integer'}
pack('1.0', name=text, level=text, fax=text)
server = Server('--packs', str(packs))
with server:
    admin = server.login_first()
    made = admin.post('lab/thing', {'name': '一号', 'level': '3', 'fax': '12'}).json
    server.stop()

    pack('1.1', name=text, level=text, fax=text, mark=dict(text, default='new'))
    server.start()
    admin.login('admin', Server.PASSWORD)
    check('a new field comes by itself, with its default', admin.get(f"lab/thing/{made['id']}").json['mark'] == 'new')
    server.stop()

    pack('2.0', name=text, level=whole, mark=text)
    answer = run(server, 'serve', '--port', '0')
    check('a field that goes stops serve: exit 3', answer.returncode == 3 and 'bihuan migrate' in answer.stderr, answer)
    answer = run(server, 'migrate', '--apply')
    check('migrate names what nobody wrote down', answer.returncode == 1 and 'fault' in answer.stdout
          and 'fax' in answer.stdout and 'level' in answer.stdout, answer)
    migration = packs / 'lab' / 'migrations' / '0001-level.json'
    migration.write_text(json.dumps({'steps': [{'type': 'thing', 'drop': 'fax'},
                                               {'type': 'thing', 'change': 'level', 'using': 'number(level) * 10'}]}))
    answer = run(server, 'serve', '--port', '0')
    check('serve waits for what is written', answer.returncode == 3 and 'bihuan migrate' in answer.stderr, answer)
    answer = run(server, 'migrate')
    check('migrate shows it and changes nothing: exit 1', answer.returncode == 1 and 'would' in answer.stdout
          and '0001-level.json' in answer.stdout and run(server, 'migrate').stdout == answer.stdout, answer)
    answer = run(server, 'migrate', '--apply')
    check('migrate does it: exit 0', answer.returncode == 0 and 'done' in answer.stdout, answer)
    answer = run(server, 'migrate')
    check('then there is nothing to do', answer.returncode == 0 and 'would' not in answer.stdout, answer)
    server.start()
    admin.login('admin', Server.PASSWORD)
    record = admin.get(f"lab/thing/{made['id']}").json
    check('the record is of the new type', record['level'] == 30 and 'fax' not in record, record)
    server.stop()

    pack('3.0', name=dict(text, maxLength=1), level=whole, mark=text)
    answer = run(server, 'serve', '--port', '0')
    check('a field that takes less stops serve', answer.returncode == 3, answer)
    answer = run(server, 'migrate', '--apply')
    check('and is refused while a record does not fit', answer.returncode == 1 and 'fault' in answer.stdout, answer)
    pack('3.0', name=dict(text, maxLength=2), level=whole, mark=text)
    answer = run(server, 'migrate', '--apply')
    check('and applied when all do', answer.returncode == 0, answer)
    migration.write_text('{"steps": []}')
    answer = run(server, 'serve', '--port', '0')
    check('a migration that was run and is another one now stops serve', answer.returncode != 0
          and '0001-level' in answer.stderr, answer)

# a pack that names what is not there is told so, with file and line
(packs / 'lab' / 'migrations' / '0001-level.json').unlink()
(packs / 'lab' / 'pack.json').write_text(json.dumps({
    'name': 'lab', 'version': '3.0', 'title': title,
    'menu': [{'title': title, 'items': [{'type': 'lab.thing'}, {'type': 'lab.nothing'}, {'page': 'lab.none'}]}]}, indent=1))
answer = run(server, 'pack', 'check', str(packs / 'lab'))
check('pack check names what the menu does not find', answer.returncode == 1 and 'lab.nothing' in answer.stdout
      and 'lab.none' in answer.stdout and answer.stdout.count('pack.json:') == 2 and 'lab.thing' not in answer.stdout, answer)
done()
