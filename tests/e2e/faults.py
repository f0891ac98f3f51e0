"""Bad input and faults, one section each, against the real binary: every one has a clear answer, and the server goes on.

  malformed JSON, unknown field, wrong type, too long, duplicate key, stale version, missing right, row out of scope
  by direct id, oversize upload, slow client, 1 GB body, invalid certificate, DNS failure, endless redirect, full
  queue, request deadline.  badinput.py has more of the kind, and tests/long/crash.py power cuts and full disks.
"""
import json
import pathlib
import ssl
import subprocess
import tempfile
import threading
import time

from bihuan import Server, check, done, flood, sooner
from sinks import Quiet, listen

JSON = {'Content-Type': 'application/json'}
PACK = {'name': 'slow', 'version': '1.0', 'title': {'zh-CN': '慢', 'en': 'slow'}, 'needs': ['ops']}
QUERY = '''-- title zh-CN: 慢
-- title en: slow
-- column n integer 数 | n
SELECT count(*) AS n FROM @ops.site a, @ops.site b, @ops.site c, @ops.site d, @ops.site e
WHERE a.name < b.name AND b.name < c.name AND c.name > d.name AND d.name < e.name
'''


def problem(answer, status, code=None):
    """Is it that problem, whole?"""
    return (answer.status == status and answer.headers['Content-Type'].startswith('application/problem+json')
            and answer.json['status'] == status and answer.json['detail'] and answer.json['instance']
            and (code is None or answer.code == code))


class Hook(Quiet):
    seen = []

    def do_POST(self):
        self.body()
        Hook.seen.append(self.path)
        if self.path == '/loop':
            self.answer(307, b'', Location='/loop')
        else:
            self.answer()


with Server(conf='workers = 2\nqueue = 4\nbody-kb = 64\nupload-mb = 1\ndeadline-s = 3\n') as server:
    pack = pathlib.Path(server.data, 'packs', 'slow')
    (pack / 'queries').mkdir(parents=True)
    (pack / 'pack.json').write_text(json.dumps(PACK))
    (pack / 'queries' / 'slow.sql').write_text(QUERY)
    server.stop()
    server.start()
    admin = server.login_first()
    root = admin.get('core/session').json['user']['org']
    a = admin.post('core/orgs', {'code': 'a', 'name': 'a', 'parent': root}).json
    b = admin.post('core/orgs', {'code': 'b', 'name': 'b', 'parent': root}).json
    here = admin.post('ops/site', {'code': 'here', 'name': 'here', 'org': a['id']})
    there = admin.post('ops/site', {'code': 'there', 'name': 'there', 'org': b['id']})
    check('two sites, one in each organisation', here.status == there.status == 201, (here, there))
    here, there = here.json, there.json

    def post(raw):
        return admin.ask('POST', 'ops/site', raw=raw, headers=JSON)

    # a client that never ends its headers; looked at below
    slow, slow_end = server.socket(), []
    slow.sendall(b'GET /api/v1/core/roles HTTP/1.1\r\nHost')
    slow.settimeout(60)
    slow_began = time.time()

    def read_slow():
        try:
            slow_end.append(slow.recv(1000))
        except OSError as error:
            slow_end.append(repr(error).encode())
        slow_end.append(time.time() - slow_began)
    slow_reader = threading.Thread(target=read_slow)
    slow_reader.start()

    # ---- malformed JSON, unknown field, wrong type, too long, duplicate key ----
    answer = post(b'{"code":"x",\n "name" "y"}')
    check('malformed JSON: 422 with line and column', problem(answer, 422, 'base.json')
          and answer.json['errors'][0]['line'] == 2 and answer.json['errors'][0]['column'] > 1, answer)
    answer = post(b'{"code":"x","name":"y","colour":"red"}')
    check('unknown field: 422 at its pointer', problem(answer, 422) and answer.json['errors'][0]['pointer'] == '/colour', answer)
    answer = post(b'{"code":7,"name":"y"}')
    check('wrong type: 422 at its pointer', problem(answer, 422) and answer.json['errors'][0]['pointer'] == '/code', answer)
    answer = post(b'{"code":"' + b'x' * 65 + b'","name":"y"}')
    check('too long: 422 at its pointer', problem(answer, 422) and answer.json['errors'][0]['pointer'] == '/code', answer)
    answer = post(b'{"code":7,"name":8,"colour":9}')
    check('several faults are told together', len(answer.json['errors']) >= 3, answer)
    answer = admin.post('ops/site', {'code': 'here', 'name': 'again', 'org': a['id']})
    check('duplicate key: 409 at its pointer', problem(answer, 409) and answer.json['errors'][0]['pointer'] == '/code', answer)

    # ---- stale version ----
    answer = admin.patch(f"ops/site/{here['id']}", {'name': 'x'})
    check('no version: 428', problem(answer, 428), answer)
    answer = admin.patch(f"ops/site/{here['id']}", {'name': 'x'}, here['version'] + 7)
    check('stale version: 412 with both values', problem(answer, 412)
          and answer.json['errors'][0]['args'] == {'given': here['version'] + 7, 'current': here['version']}, answer)
    check('a deletion too', admin.delete(f"ops/site/{here['id']}", here['version'] + 7).status == 412)

    # ---- missing right, row out of scope ----
    role = admin.post('core/roles', {'code': 'sites', 'name': 's', 'permissions': [
        'ops.site.read', 'ops.site.create', 'ops.site.update']}).json
    user = admin.post('core/users', {'login': 'local', 'name': 'l', 'org': a['id']}).json
    admin.put(f"core/users/{user['id']}/grants", {'items': [{'role': role['id'], 'org': a['id']}]}, user['version'])
    local = server.client()
    local.login('local', user['password'])
    local.change_password(user['password'], 'Grey-Elephants-1')
    answer = local.get('ops/contact')
    check('missing right: 403 that names it', problem(answer, 403) and 'ops.contact.read' in answer.json['detail'], answer)
    check('a right for one thing is none for another', local.delete(f"ops/site/{here['id']}", here['version']).status == 403)
    check('in scope: there', local.get(f"ops/site/{here['id']}").status == 200)
    absent = local.get('ops/site/17')
    for what, answer in (('read', local.get(f"ops/site/{there['id']}")),
                         ('changed', local.patch(f"ops/site/{there['id']}", {'name': 'x'}, there['version'])),
                         ('its history read', local.get(f"ops/site/{there['id']}/history")),
                         ('its files listed', local.get(f"ops/site/{there['id']}/files"))):
        check(f'out of scope by direct id, {what}: 404 as if absent', problem(answer, 404)
              and answer.code == absent.code, (answer, absent))
    check('and it is as it was', admin.get(f"ops/site/{there['id']}").json['name'] == 'there')
    answer = local.post('ops/site', {'code': 'new', 'name': 'n', 'org': b['id']})
    check('creating out of scope: 403', problem(answer, 403), answer)
    answer = local.patch(f"ops/site/{here['id']}", {'org': b['id']}, here['version'])
    check('moving out of scope: 403', problem(answer, 403), answer)
    check('lists and counts leave it out', [i['code'] for i in local.get('ops/site').json['items']] == ['here']
          and local.get('ops/site?count=1').json['count'] == 1)

    # ---- oversize upload, 1 GB body ----
    files = f"ops/site/{here['id']}/files"
    form = lambda n: b'--xx\r\nContent-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n' + b'x' * n + b'\r\n--xx--\r\n'
    multipart = {'Content-Type': 'multipart/form-data; boundary=xx'}
    answer = admin.ask('POST', files, raw=form(500000), headers=multipart)
    check('an upload within its limit is taken', answer.status == 201, answer)
    answer = admin.ask('POST', files, raw=form(3 << 20), headers=multipart)
    check('oversize upload: 413', problem(answer, 413), answer)
    answer = admin.ask('POST', 'ops/site/import', raw=b'code,name\n' + b'x,y\n' * (1 << 19), headers={'Content-Type': 'text/csv'})
    check('oversize import: 413', problem(answer, 413), answer)
    answer = admin.ask('POST', 'ops/site', raw=b'{"code":"q","name":"' + b'x' * 70000 + b'"}', headers=JSON)
    check('oversize JSON: 413', problem(answer, 413), answer)
    check('nothing of them stays', len(admin.get(files).json['items']) == 1)
    head = (f'POST /api/v1/ops/site HTTP/1.1\r\nHost: x\r\nCookie: bihuan_session={admin.cookie}\r\nX-CSRF-Token: {admin.csrf}\r\n'
            'Content-Type: application/json\r\n')
    connection = server.socket()
    began = time.time()
    connection.sendall((head + 'Content-Length: 1073741824\r\n\r\n').encode())
    got = connection.recv(65536)
    check('1 GB body: 413 before it is read', b' 413 ' in got[:20] and time.time() - began < 10, got[:100])
    connection.close()

    # ---- queue full ----
    answers, busy = flood(server, 40)
    check('full queue: 503 with Retry-After', busy and all(got[2] for got in busy) and problem(busy[0][3], 503, 'http.busy'), answers)
    check('at once', sooner(busy, answers), answers)
    check('and the server goes on', admin.get('ops/site').status == 200)

    # ---- invalid certificate, DNS failure, endless redirect: what we call ----
    folder = tempfile.mkdtemp(prefix='bihuan-e2e-')
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', folder + '/key.pem', '-out', folder + '/cert.pem', '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost'], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + '/cert.pem', folder + '/key.pem')
    plain, tls = listen(Hook).port, listen(Hook, tls=context).port

    def hook(code, url):
        return admin.post('core/channel', {'code': code, 'name': code, 'kind': 'webhook', 'url': url}).json['id']

    for what, url, status, words in (
            ('invalid certificate', f'https://localhost:{tls}/x', 502, ('certificate', 'SSL', 'signed')),
            ('DNS failure', 'http://no-such-host.invalid/x', 502, ('resolve',)),
            ('endless redirect', f'http://127.0.0.1:{plain}/loop', 422, ('redirect', 'HTTP 307')),
            ('nobody listens', 'http://127.0.0.1:9/x', 502, ('connect', 'refused', 'Failed'))):
        began, seen = time.time(), len(Hook.seen)
        answer = admin.post(f'core/channel/{hook(what.lower().replace(" ", "-"), url)}/test', timeout=60)
        check(f'{what}: {status} that says so', problem(answer, status)
              and any(word.lower() in answer.json['detail'].lower() for word in words), answer)
        check('soon', time.time() - began < 25 and len(Hook.seen) - seen <= 10, (time.time() - began, Hook.seen))
    check('nothing was sent past the bad certificate', '/x' not in Hook.seen, Hook.seen)
    log = admin.get('core/deliveries').json['items']
    check('each stands in the delivery log with its reason', len(log) == 4 and all(not d['sent'] and d['error'] for d in log), log)

    # ---- the deadline reaches the statement ----
    rows = 'code,name\n' + ''.join(f's{i},name {i:04d}\n' for i in range(400))
    answer = admin.ask('POST', 'ops/site/import', raw=rows.encode(), headers={'Content-Type': 'text/csv'})
    check('many sites', answer.status == 200, answer)
    began = time.time()
    answer = admin.get('core/queries/slow/slow')
    took = time.time() - began
    check('request deadline: 503 or 504 in time', answer.status in (503, 504) and problem(answer, answer.status) and 2 < took < 10,
          (took, answer))

    def cpu():
        fields = open(f'/proc/{server.process.pid}/stat').read().rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = cpu()
    time.sleep(2)
    check('and the statement has stopped with it', cpu() - before < 100, cpu() - before)
    check('the server goes on', admin.get('ops/site?limit=1').status == 200)

    # ---- slow client ----
    slow_reader.join()
    check('slow client: its connection is ended', slow_end[1] < 30 and b'timed out' not in slow_end[0], slow_end)

# ---- the same deadline on PostgreSQL, where a lock is what holds the statement ----
with Server(conf='deadline-s = 3\n', store='postgres') as server:
    admin = server.login_first()
    with server.holding('LOCK TABLE ops_site IN ACCESS EXCLUSIVE MODE'):
        began = time.time()
        answer = admin.get('ops/site')
        took = time.time() - began
        check('request deadline on PostgreSQL: 503 or 504 in time', problem(answer, answer.status) and answer.status in (503, 504)
              and 2 < took < 10, (took, answer))
        began = time.time()
        answer = admin.post('ops/site', {'code': 'x', 'name': 'x'})
        check('of a write too', answer.status in (503, 504) and time.time() - began < 10, (time.time() - began, answer))
        waiting = server.psql("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        check('no statement of theirs waits on', waiting == ['0'], waiting)
        check('what needs not that table goes on meanwhile', admin.get('core/roles').status == 200)
    check('and all goes on afterwards', admin.get('ops/site').json['items'] == []
          and admin.post('ops/site', {'code': 'x', 'name': 'x'}).status == 201)
done()
