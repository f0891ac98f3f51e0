"""SIGHUP: bihuan.conf, words, words of packs, TLS and keys are read anew; what cannot change is named in the log."""
import json
import pathlib
import shutil
import subprocess
import tempfile

import bihuan
from bihuan import ROOT, Server, check, done, until

# The program with words of its own, which the test may change.
home = pathlib.Path(tempfile.mkdtemp(prefix='bihuan-e2e-home-'))
shutil.copy(bihuan.BIN, home / 'bihuan')
shutil.copytree(ROOT / 'words', home / 'words')
for name in ('packs', 'web'):
    (home / name).symlink_to(ROOT / name)
OWN = str(home / 'bihuan')


def change(path, key, text):
    words = json.loads(path.read_text())
    words[key] = text
    path.write_text(json.dumps(words, ensure_ascii=False))


with Server(conf='log-level = info\nworkers = 4\nbody-kb = 64\n', binary=OWN) as server:
    pack = pathlib.Path(server.data, 'packs', 'tiny')
    pack.mkdir(parents=True)
    (pack / 'words').mkdir()
    (pack / 'pack.json').write_text(json.dumps({'name': 'tiny', 'version': '1.0', 'title': {'zh-CN': '小', 'en': 'tiny'}}))
    for lang in ('zh-CN', 'en'):
        (pack / 'words' / f'{lang}.json').write_text('{"tiny.hello": "before"}')
    server.stop()
    server.start()
    admin = server.login_first()
    conf = pathlib.Path(server.data, 'bihuan.conf')
    log = pathlib.Path(server.data, 'serve.log')

    reload = server.reload

    def words(lang='en'):
        return server.client().get(f'core/words?lang={lang}').json

    said = reload()
    check('a reload without a change says so and names nothing', 'serve.reloaded' in said and 'serve.conf_' not in said, said)

    # ---- what can change ----
    def big():
        return admin.ask('POST', 'core/roles', raw=b'{"code":"q","name":"' + b'x' * 70000 + b'"}',
                         headers={'Content-Type': 'application/json'}).status

    def metrics(token=None):
        return server.client(token).get('/metrics').status
    check('before: a large body is 413, metrics are shown', big() == 413 and metrics() == 200)
    conf.write_text('log-level = debug\nworkers = 4\nbody-kb = 128\nmetrics-from = 192.0.2.0/24\nmetrics-token = let-me\n'
                    'deadline-s = 20\n')
    said = reload()
    for name in ('log-level', 'body-kb', 'metrics-from', 'metrics-token', 'deadline-s'):
        check(f'{name} is taken and named', f'serve.conf_changed' in said and name in said, said)
    check('body-kb acts', big() == 422, big())
    check('metrics-from acts', metrics() == 403)
    check('metrics-token acts', metrics('let-me') == 200 and metrics('let-mx') == 403)
    check('log-level acts', until(lambda: server.client().get('core/x').status == 401 and 'http.refused' in log.read_text()))
    check('the session goes on', admin.get('core/session').status == 200)

    # ---- what cannot ----
    conf.write_text('log-level = info\nworkers = 9\nqueue = 99\nhost = 0.0.0.0\nbody-kb = 128\n')
    said = reload()
    for name in ('workers', 'queue', 'host'):
        check(f'{name} needs a restart: said by name', any('serve.conf_restart' in line and name in line
                                                           for line in said.splitlines()), said)
    check('and what can change is taken beside it', metrics() == 200 and metrics('let-mx') == 200)
    said = reload()
    check('what needs a restart is said again until it is done', 'serve.conf_restart' in said and 'workers' in said, said)

    # ---- a bad file ----
    conf.write_text('log-level = info\nbody-kb = nonsense\n')
    said = reload()
    check('a bad bihuan.conf is refused with its line', '"conf.number"' in said and '"line":2' in said, said)
    check('and everything stays', big() == 422 and metrics() == 200)
    conf.write_text('log-level = info\n')
    reload()
    check('a key that is gone has its default again', big() == 422 and metrics() == 200)

    # ---- words ----
    change(home / 'words' / 'en.json', 'http.no_login', 'who goes there')
    change(pack / 'words' / 'en.json', 'tiny.hello', 'after')
    check('words stay until they are read anew', words()['http.no_login'] == 'please log in' and words()['tiny.hello'] == 'before')
    reload()
    check('words are read anew', words()['http.no_login'] == 'who goes there', words()['http.no_login'])
    answer = server.client().get('core/roles', headers={'Accept-Language': 'en'})
    check('and used in answers', 'who goes there' in answer.json['detail'], answer)
    check("a pack's words too", words()['tiny.hello'] == 'after', words()['tiny.hello'])
    (pack / 'words' / 'en.json').write_text('{"tiny.hello": 3}')
    said = reload()
    check('a bad file of words is told', 'base.words_value' in said, said)
    check('and the old words stay', words()['tiny.hello'] == 'after')
    (pack / 'words' / 'en.json').write_text('{"tiny.hello": "after"}')

    # ---- keys ----
    contact = admin.post('ops/contact', {'name': 'c', 'phone': '13800000000'}).json
    key_file = pathlib.Path(server.data, 'keys', 'master.key')
    line = f'{int(key_file.read_text().splitlines()[-1].split()[0]) + 1}'
    other = tempfile.mkdtemp(prefix='bihuan-e2e-key-')
    subprocess.run([OWN, 'user', 'list', '--data', other], capture_output=True)  # makes a key file of its own
    secret = pathlib.Path(other, 'keys', 'master.key').read_text().splitlines()[-1].split()[1]
    with key_file.open('a') as file:
        file.write(f'{line} {secret}\n')
    shutil.rmtree(other)
    reload()
    fresh = admin.post('ops/contact', {'name': 'd', 'phone': '13900000000'}).json
    check('a key that was put into the file is taken', until(lambda: admin.get(f"ops/contact/{fresh['id']}").status == 200)
          and admin.get(f"ops/contact/{contact['id']}").json['phone'] == '13800000000')
    server.stop()
    if not server.database:
        import sqlite3
        with sqlite3.connect(f'{server.data}/bihuan.db') as db:
            sealed = dict(db.execute('SELECT id, phone FROM ops_contact'))
        check('and seals what is written from then on', sealed[int(fresh['id'])].split('.')[1] == line
              and sealed[int(contact['id'])].split('.')[1] != line, sealed)
    server.start()
    check('a start with the same file is well', admin.get(f"ops/contact/{fresh['id']}").json['phone'] == '13900000000')
shutil.rmtree(home)
done()
