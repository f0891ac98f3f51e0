"""Jobs, schedules, dead letters and the audit over HTTP; a backup or a mail that fails is an alarm; attachments come
back from a backup as they were, and those that nothing names any more go."""
import hashlib
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

from bihuan import BIN, Server, check, done, until
from sinks import Mails

refuse = threading.Event()
sink = Mails(lambda receiver: refuse.is_set())


with Server() as server:
    admin = server.login_first()
    org = admin.get('core/session').json['user']['org']
    role = admin.post('core/roles', {'code': 'none', 'name': 'n', 'permissions': ['core.org.read']}).json
    user = admin.post('core/users', {'login': 'plain', 'name': 'p', 'org': org}).json
    admin.put(f"core/users/{user['id']}/grants", {'items': [{'role': role['id'], 'all': True}]}, user['version'])
    plain = server.client()
    plain.login('plain', user['password'])
    plain.change_password(user['password'], 'Grey-Elephants-1')

    def job(kind, params=None):
        made = admin.post('core/jobs', {'kind': kind, **({'params': params} if params is not None else {})})
        if made.status != 202:
            return made
        return until(lambda: (lambda one: one if one.json['ended_at'] else None)(admin.get('core/jobs/' + made.json['id']))
                     ) or admin.get('core/jobs/' + made.json['id'])

    def alarm(key, state):
        """The alarm of that source, as the list of that state tells it."""
        return [a for a in admin.get(f'core/alarms?state={state}&limit=200').json['items'] if a.get('key') == key]

    # ---- jobs ----
    for path in ('core/jobs', 'core/jobs/17', 'core/schedules', 'core/deadletters', 'core/audit'):
        check(f'not without the right: {path}', plain.get(path).status == 403)
    check('nor to start one', plain.post('core/jobs', {'kind': 'core.backup'}).status == 403)
    answer = admin.post('core/jobs', {'kind': 'no.such'})
    check('no such kind: 404', answer.status == 404 and answer.code == 'jobs.no_kind', answer)
    answer = admin.post('core/jobs', {'kind': 'core.backup', 'params': 7})
    check('parameters are an object', answer.status == 422 and answer.json['errors'][0]['pointer'] == '/params', answer)
    check('no such job: 404', admin.get('core/jobs/17').status == 404 and admin.post('core/jobs/17/cancel').status == 404)
    folder = tempfile.mkdtemp(prefix='bihuan-e2e-backup-')
    good = job('core.backup', {'folder': folder, 'keep': 2})
    check('a backup as a job is done, with counts', good.json['state'] == 'done' and good.json['result']['tables'] > 10
          and good.json['cancellable'] is False, good)
    check('its file is there, for its owner only', [oct(p.stat().st_mode & 0o777) for p in pathlib.Path(folder).iterdir()] == ['0o600'])
    check('what has ended is not cancelled: 409', admin.post(f"core/jobs/{good.json['id']}/cancel").status == 409)
    time.sleep(1.1)  # the name of its file tells the second
    answer = admin.post(f"core/jobs/{good.json['id']}/again")
    check('but may be run again', answer.status == 200 and until(lambda: admin.get('core/jobs/' + good.json['id'])
          .json['state'] == 'done'), answer)
    page = admin.get('core/jobs?kind=core.backup&limit=1').json
    check('listed by kind', len(page['items']) == 1 and page['items'][0]['kind'] == 'core.backup', page)
    for _ in range(2):
        time.sleep(1.1)
        job('core.backup', {'folder': folder, 'keep': 2})
    check('only so many are kept', len(list(pathlib.Path(folder).iterdir())) == 2, list(pathlib.Path(folder).iterdir()))

    # ---- a backup that fails is an alarm ----
    blocked = pathlib.Path(folder, 'a-file')
    blocked.write_text('')
    bad = job('core.backup', {'folder': str(blocked / 'below')})
    check('a backup that cannot be written fails and says why', bad.json['state'] == 'failed' and bad.json['error'], bad)
    raised = until(lambda: alarm('self:job:core.backup', 'open'))
    check('it is an alarm', raised and raised[0]['value'] == 'core.backup', admin.get('core/alarms').json)
    blocked.unlink()
    again = admin.post(f"core/jobs/{bad.json['id']}/again")
    check('a failed job is run again', again.status == 200 and again.json['state'] in ('waiting', 'running', 'failed'), again)
    until(lambda: admin.get('core/jobs/' + bad.json['id']).json['ended_at'])
    time.sleep(1.1)
    good = job('core.backup', {'folder': folder})
    check('the next good one clears the alarm', good.json['state'] == 'done'
          and until(lambda: not alarm('self:job:core.backup', 'open')), alarm('self:job:core.backup', 'open'))

    # ---- schedules ----
    answer = admin.post('core/schedules', {'kind': 'core.backup', 'spec': '61 2 * * *'})
    check('a schedule that is none is refused with its column', answer.status == 422 and answer.json['errors'][0].get('column'), answer)
    answer = admin.post('core/schedules', {'kind': 'no.such', 'spec': '1 2 * * *'})
    check('one of no kind too', answer.status == 404, answer)
    made = admin.post('core/schedules', {'kind': 'core.backup', 'spec': '1 2 * * *', 'days': 'work'})
    check('a schedule is made and knows its next time', made.status == 201 and made.json['next_at'] and made.headers['ETag'] == '"1"', made)
    one = made.json
    change = {'kind': 'core.backup', 'spec': '5 3 * * 0', 'enabled': False}
    check('a change names its version: 428, 412', admin.put(f"core/schedules/{one['id']}", change).status == 428
          and admin.put(f"core/schedules/{one['id']}", change, one['version'] + 3).status == 412)
    answer = admin.put(f"core/schedules/{one['id']}", change, one['version'])
    check('it changes', answer.status == 200 and answer.json['spec'] == '5 3 * * 0' and answer.json['enabled'] is False, answer)
    check('it is deleted', admin.delete(f"core/schedules/{one['id']}", answer.json['version']).status == 204
          and one['id'] not in [s['id'] for s in admin.get('core/schedules').json['items']])

    # ---- mail that fails is a dead letter and an alarm ----
    channel = admin.post('core/channel', {'code': 'mail', 'name': 'mail', 'kind': 'mail', 'tls': 'never', 'sender': 'a@example.org',
                                          'url': f'smtp://127.0.0.1:{sink.port}'}).json
    duty = admin.post('core/users', {'login': 'duty', 'name': 'd', 'org': org, 'email': 'duty@example.org'}).json
    route = admin.post('core/route', {'name': 'r', 'worst_grade': 1, 'least_grade': 1, 'person': duty['id'], 'channel': channel['id']})
    check('a route to a mailbox', route.status == 201, route)
    refuse.set()

    def signal(key):
        return admin.post('core/alarms/signal', {'key': key, 'grade': 1, 'title': f'title of {key}'})
    answer = signal('one')
    check('an alarm from outside', answer.status in (200, 201, 202, 204), answer)
    letters = until(lambda: admin.get('core/deadletters').json['items'])
    check('a mail that is refused for good is a dead letter with its reason',
          letters and letters[0]['consumer'] == 'notify' and letters[0]['error'], letters)
    raised = until(lambda: alarm('self:deadletter', 'open'))
    check('and an alarm', raised, admin.get('core/alarms').json)
    signal('two')
    letters = until(lambda: (lambda items: items if len(items) == 2 else None)(admin.get('core/deadletters').json['items']))
    check('the second is one too', letters and len(letters) == 2, letters)
    check('only who may touches them', plain.post(f"core/deadletters/{letters[0]['id']}/retry", {'consumer': 'notify'}).status == 403)
    answer = admin.post(f"core/deadletters/{letters[0]['id']}/retry", {})
    check('its consumer is named', answer.status == 422 and answer.code == 'http.field_missing', answer)
    refuse.clear()
    check('tried again', admin.post(f"core/deadletters/{letters[0]['id']}/retry", {'consumer': 'notify'}).status == 204)
    check('it arrives', until(lambda: any('duty@example.org' in m for m in sink.texts)), sink.texts)
    check('the other is dropped', admin.post(f"core/deadletters/{letters[1]['id']}/drop", {'consumer': 'notify'}).status == 204
          and until(lambda: not admin.get('core/deadletters').json['items']), admin.get('core/deadletters').json)
    check('no such letter: 404', admin.post('core/deadletters/17/drop', {'consumer': 'notify'}).status == 404)

    # ---- what was saved counts for the alarm right behind it ----
    day = 24 * 3600

    def instant(seconds):
        return time.strftime('%Y-%m-%dT%H:%M:%S+00:00', time.gmtime(time.time() + seconds))
    held = []
    for i in range(12):
        service = admin.post('ops/service', {'name': f'held {i}', 'code': f'held-{i}'})
        window = admin.post('ops/maintenance', {'name': f'w{i}', 'service': service.json.get('id'), 'begins': instant(-day), 'ends': instant(day)})
        answer = admin.post('core/alarms/signal', {'key': f'held-{i}', 'grade': 2, 'title': f'held {i}', 'service': service.json.get('id')})
        held.append((service.status, window.status, answer.status, until(lambda: [
            a['hold'] for a in admin.get('core/alarms').json['items'] if a['title'] == f'held {i}'])))
    check('alarms in a window that was just saved are held by it', all(h == (201, 201, answer.status, ['maintenance']) for h in held), held)

    # ---- the audit tells of all that ----
    def audit(query):
        return admin.get('core/audit?' + query)
    for action, kind in (('create', 'core.job'), ('cancel', 'core.job'), ('create', 'core.schedule'), ('update', 'core.schedule'),
                         ('delete', 'core.schedule'), ('retry', 'core.deadletter'), ('drop', 'core.deadletter')):
        items = audit(f'action={action}&object_type={kind}').json['items']
        want = action != 'cancel'  # no cancel has succeeded above
        check(f'the audit {"has" if want else "has no"} {action} of {kind}', bool(items) == want
              and all(i['action'] == action and i['object_type'] == kind and i['user_name'] == 'admin' for i in items), items[:2])
    page = audit('limit=3').json
    rest = audit(f"limit=3&after={page['next']}").json
    check('newest first, by pages', len(page['items']) == 3 and int(rest['items'][0]['id']) < int(page['items'][-1]['id']), (page, rest))
    check('by user', all(i['user_name'] == 'plain' for i in audit('user=plain').json['items'])
          and audit('user=plain').json['items'])
    check('by time', audit('from=2099-01-01T00:00:00%2B08:00').json['items'] == []
          and audit('from=nonsense').status == 422)

    # ---- attachments: backup, restore, bit by bit ----
    contents = {'a.bin': os.urandom(300000), 'b.txt': 'text 文字\n'.encode() * 1000, 'empty': b''}
    site = admin.post('ops/site', {'code': 's', 'name': 's', 'org': org}).json
    other = admin.post('ops/site', {'code': 't', 'name': 't', 'org': org}).json

    def attach(one, name, content):
        body = (b'--xx\r\nContent-Disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n\r\n' + content + b'\r\n--xx--\r\n')
        return admin.ask('POST', f"ops/site/{one['id']}/files", raw=body, headers={'Content-Type': 'multipart/form-data; boundary=xx'})
    ids = {}
    for name, content in contents.items():
        answer = attach(site, name, content)
        check(f'{name} is attached', answer.status == 201, answer)
        ids[name] = answer.json['id']
    shared = attach(other, 'same.bin', contents['a.bin']).json['id']
    lonely = attach(other, 'lonely.bin', b'nobody else has this').json['id']

    def content(client, one, file):
        return client.get(f"ops/site/{one['id']}/files/{file}")
    store = ['--database', server.database] if server.database else []
    packed = os.path.join(folder, 'all.tar.zst')
    got = subprocess.run([BIN, 'backup', packed, '--data', server.data, *store], capture_output=True, text=True)
    check('a backup', got.returncode == 0, got.stdout + got.stderr)
    restored = folder + '/restored'
    got = subprocess.run([BIN, 'restore', packed, '--data', restored], capture_output=True, text=True)
    check('restored, every count as it was', got.returncode == 0, got.stdout + got.stderr)
    keys = pathlib.Path(restored, 'keys')
    if not keys.exists():
        shutil.copytree(pathlib.Path(server.data, 'keys'), keys)
    with Server(data=restored, store='sqlite') as second:
        client = second.client()
        check('the restored server knows the administrator', client.login('admin', Server.PASSWORD).status == 200)
        for name, want in contents.items():
            answer = content(client, site, ids[name])
            check(f'{name} is as it was, bit by bit', answer.status == 200
                  and hashlib.sha256(answer.body).digest() == hashlib.sha256(want).digest(), (answer.status, len(answer.body)))
        check('what two records share is there for both', content(client, other, shared).body == contents['a.bin'])

    # ---- attachments that nothing names ----
    def kept():
        return {p.name: p for p in pathlib.Path(server.data, 'files').glob('??/*')}

    def digest(content):
        return hashlib.sha256(content).hexdigest()
    check('equal contents are kept once', len(kept()) == 4, sorted(kept()))
    for path in kept().values():
        os.utime(path, (time.time() - 90000,) * 2)
    half = pathlib.Path(server.data, 'files', 'new-17')
    half.write_text('half')
    os.utime(half, (time.time() - 90000,) * 2)
    version = admin.get(f"ops/site/{other['id']}").json['version']
    check('a record with attachments is deleted', admin.delete(f"ops/site/{other['id']}", version).status == 204)
    swept = job('core.files')
    check('the job drops what nothing names', swept.json['state'] == 'done' and swept.json['result']
          == {'rows': 2, 'contents': 2, 'bytes': len(b'nobody else has this') + 4}, swept)
    check('the lonely content is gone, and the half one', digest(b'nobody else has this') not in kept() and not half.exists())
    check('what another record names stays', content(admin, site, ids['a.bin']).body == contents['a.bin'])
    attach(site, 'fresh.bin', b'just now')
    admin.delete(f"ops/site/{site['id']}/files/" + admin.get(f"ops/site/{site['id']}/files").json['items'][-1]['id'])
    swept = job('core.files')
    check('what is younger than a day stays', swept.json['result']['contents'] == 0 and digest(b'just now') in kept(), swept)
    check('it is done every night', 'core.files' in [s['kind'] for s in admin.get('core/schedules').json['items']])
    shutil.rmtree(folder)
done()
