"""`bihuan key rotate`: everything sealed anew while the server serves, and without a server."""
import base64
import hashlib
import hmac
import pathlib
import signal
import sqlite3
import struct
import subprocess
import threading
import time

from bihuan import BIN, Server, check, done, until

CONTACTS = 300


def totp(secret, step):
    digest = hmac.new(base64.b32decode(secret), struct.pack('>Q', step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return '%06d' % ((struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000)


def key(server, *words):
    got = subprocess.run([BIN, 'key', 'rotate', '--data', server.data, *words],
                         capture_output=True, text=True, timeout=120)
    lines = dict(line.split(' ', 1) for line in got.stdout.splitlines() if ' ' in line)
    return got.returncode, lines, got.stdout + got.stderr


def sealed_by(server):
    """The ids of the keys that seal something, as the database holds it."""
    with sqlite3.connect(f'file:{server.data}/bihuan.db?mode=ro', uri=True, timeout=20) as db:
        texts = [row[0] for row in db.execute('SELECT phone FROM ops_contact WHERE phone IS NOT NULL')]
        texts += [row[0] for row in db.execute("SELECT totp_sealed FROM user_secret WHERE totp_sealed <> ''")]
    return {text.split('.')[1] for text in texts}, len(texts)


def phones(client):
    out, after = {}, ''
    while True:
        page = client.get('ops/contact?limit=200' + (f'&after={after}' if after else '')).json
        out.update({item['id']: (item['phone'], item['version']) for item in page['items']})
        after = page['next']
        if not after:
            return out


with Server(store='sqlite') as server:
    admin = server.login_first()
    made = {}
    for i in range(CONTACTS):
        answer = admin.post('ops/contact', {'name': f'c{i}', 'phone': f'138{i:08d}'})
        if answer.status != 201:
            check('a contact is made', False, answer)
            break
        made[answer.json['id']] = (f'138{i:08d}', 1)
    secret = admin.post('core/session/totp').json['secret']
    step = int(time.time()) // 30
    check('a second factor is on', admin.post('core/session/totp/confirm', {'code': totp(secret, step)}).status == 200)
    check('all is sealed by the first key', sealed_by(server) == ({'1'}, CONTACTS + 1), sealed_by(server))

    # ---- with the server, while somebody reads and writes ----
    stop, bad, changed = threading.Event(), [], {}
    target = list(made)[-1]

    def work():
        n = 0
        while not stop.is_set():
            n += 1
            version = changed.get(target, ('', 1))[1]
            answer = admin.patch(f'ops/contact/{target}', {'phone': f'139{n:08d}'}, version)
            if answer.status == 200:
                changed[target] = (f'139{n:08d}', answer.json['version'])
            else:
                bad.append(answer)
            one = admin.get(f'ops/contact/{list(made)[n % CONTACTS]}')
            if one.status != 200 or not one.json['phone'].startswith('13'):
                bad.append(one)
            time.sleep(0.005)
    worker = threading.Thread(target=work)
    worker.start()
    status, lines, text = key(server)
    stop.set()
    worker.join()
    check('the server makes the new key and does the work', status == 0 and lines.get('key') == '2', text)
    check('the counts tell of every value', int(lines.get('seen', 0)) == CONTACTS + 1
          and 0 < int(lines.get('resealed', 0)) <= CONTACTS + 1 and lines.get('missing') == '0'
          and lines.get('broken') == '0', text)
    check('nothing is sealed by the old key any more', sealed_by(server) == ({'2'}, CONTACTS + 1), sealed_by(server))
    check('who reads and writes meanwhile notices nothing', not bad and changed, bad[:2])
    want = {**made, **changed}
    check('every number reads as before, with its version; the last change of a writer stays',
          phones(admin) == want)
    history = admin.get(f'ops/contact/{list(made)[0]}/history').json['items']
    check('the history says nothing of it', [h['action'] for h in history] == ['create'], history)
    answer = server.client().login('admin', Server.PASSWORD, totp(secret, max(step + 1, int(time.time()) // 30)))
    check('the second factor still works', answer.status == 200, answer)
    jobs = [j for j in admin.get('core/jobs').json['items'] if j['kind'] == 'core.rekey']
    check('the job stands in the list', jobs and jobs[0]['state'] == 'done', jobs)
    lines = pathlib.Path(server.data, 'keys', 'master.key').read_text().splitlines()
    check('the old key stays in the file', [line.split()[0] for line in lines[1:]] == ['1', '2'], len(lines))

    # ---- killed in the work: the next start goes on ----
    status, lines, text = key(server, '--no-wait')
    check('--no-wait ends when the job is made', status == 0 and lines.get('key') == '3' and 'seen' not in lines, text)
    server.stop(signal.SIGKILL)
    server.start()
    check('a server killed meanwhile goes on after its next start', until(lambda: sealed_by(server) == ({'3'}, CONTACTS + 1), 60),
          sealed_by(server))

    # ---- without a server ----
    server.stop()
    status, lines, text = key(server)
    check('without a server it is done here', status == 0 and lines.get('key') == '4'
          and lines.get('resealed') == str(CONTACTS + 1), text)
    check('and all of it', sealed_by(server) == ({'4'}, CONTACTS + 1), sealed_by(server))
    got = subprocess.run([BIN, 'audit', 'verify', '--data', server.data], capture_output=True, text=True, timeout=60)
    check('the audit still verifies', got.returncode == 0, got.stdout + got.stderr)
    server.start()
    check('the server reads them', phones(admin) == want)
done()
