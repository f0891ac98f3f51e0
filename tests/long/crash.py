#!/usr/bin/env python3
"""Crash rounds of the real binary under load, on both stores.

usage: crash.py [sqlite|postgres|power|power-postgres|disk]...     nothing: all of them; ROUNDS=200 kills on each

Each round clients write records, raise, acknowledge and close alarms and work tickets; at a random moment the process
gets kill -9 (in some rounds once more while it starts), and starts again.  Then: each write that was answered is there
with its value, what was not answered is whole or absent, no alarm's key has two open tickets, each raised alarm has
one, series go on, the audit chain and the deadlines verify.  With PostgreSQL also an outage of the database, and on a
small disk of our own ('disk', needs mounts: root or user namespaces) a full one.  'power' cuts the power instead:
build/bihuan-powercut runs on a disk that loses every unsynced write of SQL, series, alarm log and attachments at that
moment (beside PostgreSQL: all but SQL).  SEED repeats the moments of a run.
"""
import hashlib
import http.client
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'e2e'))
from bihuan import BIN, ROOT, Server, check, done, until  # noqa: E402
from sinks import Quiet, listen  # noqa: E402

ROUNDS = int(os.environ.get('ROUNDS', '200'))
OUTAGE_S = float(os.environ.get('OUTAGE_S', '30' if ROUNDS >= 50 else '10'))
SEED = int(os.environ.get('SEED', str(int(time.time()))))
TICKET_S = 45  # a ticket comes at once; after kills every few seconds there may be a backlog, which then has...
BACKLOG_S = 240  # ...this long, looked at every tenth round
POWERCUT = os.environ.get('BIHUAN_POWERCUT', str(ROOT / 'build/bihuan-powercut'))
OVER = ('closed', 'rejected', 'cancelled')


class Sink(Quiet):
    """Where the webhook sends, and what the check watches."""
    got = []

    def do_POST(self):
        Sink.got.append(self.body().decode())
        self.answer(200, b'{}')

    def do_GET(self):
        self.answer(200, b'{}')


class Load:
    """What the clients did: which was answered, which was under way when the process went."""

    def __init__(self, server, admin, service, org):
        self.server, self.admin, self.service, self.org = server, admin, service, org
        self.stop = threading.Event()
        self.sites = {}       # id: {'code', 'note', 'trying', 'version'}
        self.maybe = {}       # code: note of a site whose creation was not answered
        self.raised = set()   # keys whose signal was answered
        self.owed = {}        # key: when; signals of any round that have no ticket yet
        self.acked = {}       # alarm id: key
        self.again = {}       # key: (state that was answered, state that was tried or None)
        self.tasks = {}       # task id: opinion
        self.tickets = {}     # id: title
        self.files = {}       # path: digest of an attachment
        self.refused = []     # answers nobody should get
        self.answered = self.cut = 0

    def client(self):
        client = self.server.client()
        client.cookie, client.csrf = self.admin.cookie, self.admin.csrf
        return client

    def say(self, fn, *args, **more):
        """The answer when it is a yes, None when there was none or another."""
        try:
            answer = fn(*args, **more)
        except (OSError, http.client.HTTPException):
            self.cut += 1
            time.sleep(0.02)
            return None
        if answer.status in (200, 201, 204):
            self.answered += 1
            return answer
        self.refused.append((args[0], answer))
        return None

    def write_sites(self, name, rng):
        client, mine, n = self.client(), [], 0
        while not self.stop.is_set():
            n += 1
            if not mine or rng.random() < 0.4:
                code, note = f'{name}-{n}', f'new {n}'
                self.maybe[code] = note
                answer = self.say(client.post, 'ops/site', {'code': code, 'name': code, 'note': note, 'org': self.org})
                if not answer:
                    continue
                del self.maybe[code]
                one = answer.json
                self.sites[one['id']] = {'code': code, 'note': note, 'trying': None, 'version': one['version']}
                mine.append(one['id'])
            else:
                at = rng.choice(mine)
                site = self.sites[at]
                if site['trying'] is not None:
                    continue
                site['trying'] = f'{name} {n}'
                answer = self.say(client.patch, f'ops/site/{at}', {'note': site['trying']}, site['version'])
                if answer:
                    site.update(note=site['trying'], trying=None, version=answer.json['version'])
            time.sleep(rng.random() * 0.01)

    def write_files(self, name, rng):
        """Attachments of one site, added and taken away again."""
        client, n = self.client(), 0
        answer = None
        while not answer and not self.stop.is_set():
            answer = self.say(client.post, 'ops/site', {'code': name, 'name': name, 'note': 'files', 'org': self.org})
        if not answer:
            return
        there, mine = f'ops/site/{answer.json["id"]}/files', []
        self.sites[answer.json['id']] = {'code': name, 'note': 'files', 'trying': None, 'version': answer.json['version']}
        while not self.stop.is_set():
            n += 1
            body = f'{name} {n} '.encode() + rng.randbytes(rng.choice((10, 5000, 300000))).hex().encode()
            part = (b'--edge\r\nContent-Disposition: form-data; name="file"; filename="%d.txt"\r\n\r\n' % n
                    + body + b'\r\n--edge--\r\n')
            answer = self.say(client.ask, 'POST', there, raw=part, headers={'Content-Type': 'multipart/form-data; boundary=edge'})
            if answer:
                self.files[f'{there}/{answer.json["id"]}'] = hashlib.sha256(body).hexdigest()
                mine.append(f'{there}/{answer.json["id"]}')
            if mine and rng.random() < 0.2:
                gone = mine.pop(rng.randrange(len(mine)))
                del self.files[gone]  # perhaps there, perhaps not, until it is answered
                if self.say(client.delete, gone):
                    self.files[gone] = None
            time.sleep(rng.random() * 0.05)

    def raise_alarms(self, name, rng):
        client, n = self.client(), 0
        while not self.stop.is_set():
            n += 1
            key = f'{name}-{n}'
            if not self.say(client.post, 'core/alarms/signal', {'key': key, 'title': key, 'grade': rng.randint(1, 4)}):
                continue
            self.raised.add(key)
            if rng.random() < 0.6:
                live = self.say(client.get, 'core/alarms?state=open&limit=30')
                for one in live.json['items'] if live else []:
                    if one['title'].startswith(name + '-'):
                        answer = self.say(client.post, 'core/alarms/ack', {'ids': [one['id']], 'comment': 'seen ' + one['title']})
                        if answer and answer.json['done'] == [one['id']]:
                            self.acked[one['id']] = one['title']
                        break
            time.sleep(rng.random() * 0.06)

    def raise_again(self, name, rng):
        """The same few keys over and over: raised, cleared, closed by hand, raised anew."""
        client = self.client()
        while not self.stop.is_set():
            key = f'again-{rng.randint(1, 4)}'
            before, trying = self.again.get(key, ('closed', None))
            if trying:
                continue
            want = rng.choice(('open', 'open', 'cleared', 'closed'))
            if before == 'closed' and want == 'cleared':
                continue
            self.again[key] = (before, want)
            if want == 'closed':
                live = self.say(client.get, 'core/alarms?state=live&limit=200')
                ids = [one['id'] for one in live.json['items'] if one['key'] == 'x:' + key] if live else []
                answer = live and (not ids or self.say(client.post, 'core/alarms/close', {'ids': ids, 'comment': name}))
            else:
                answer = self.say(client.post, 'core/alarms/signal',
                                  {'key': key, 'title': key, 'grade': 4, 'clear': want == 'cleared'})
            if answer:
                self.again[key] = (want, None)
            time.sleep(rng.random() * 0.03)

    def work_tickets(self, name, rng):
        client, n = self.client(), 0
        while not self.stop.is_set():
            n += 1
            answer = self.say(client.post, 'ops/ticket', {'title': f'{name}-{n}', 'service': self.service, 'level': '2'})
            if not answer:
                continue
            ticket = answer.json['id']
            self.tickets[ticket] = f'{name}-{n}'
            for _ in range(rng.randint(1, 5)):
                case = self.say(client.get, f'core/cases/{ticket}')
                task = next((one for one in case.json['tasks'] if one['state'] == 'open'), None) if case else None
                if not task or self.stop.is_set():
                    break
                fields = {'accept': {'service': self.service, 'level': '2'}, 'handle': {'cause': 'c', 'solution': 's'}}
                opinion = f'{name}-{n}-{task["node"]}'
                if self.say(client.post, f'core/tasks/{task["id"]}/complete',
                            {'action': 'done', 'fields': fields.get(task['node'], {}), 'opinion': opinion}):
                    self.tasks[task['id']] = opinion
            time.sleep(rng.random() * 0.05)

    def start(self, round_no, rng):
        self.stop.clear()
        kinds = [self.write_sites, self.write_sites, self.raise_alarms, self.raise_alarms, self.raise_again, self.work_tickets,
                 self.write_files]
        self.threads = [threading.Thread(target=kind, args=(f'{kind.__name__[:1]}{round_no}-{i}', random.Random(rng.random())))
                        for i, kind in enumerate(kinds)]
        for thread in self.threads:
            thread.start()

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(60)


class Tables:
    """All pages of a list, newest first, as far as wanted."""

    @staticmethod
    def tickets(admin, pages=10 ** 6):
        items, after = [], ''
        while pages:
            got = admin.get(f'ops/ticket?limit=200{after}').json
            items += got['items']
            if not got['next']:
                break
            after, pages = '&after=' + got['next'], pages - 1
        return items

    @staticmethod
    def alarms(admin):
        items, after = [], ''
        while True:
            got = admin.get(f'core/alarms?state=live&limit=200{after}').json
            items += got['items']
            if not got['next']:
                return {one['key'][2:]: one for one in items if one['key'].startswith('x:')}
            after = '&after=' + got['next']


def two_open(tickets):
    count = {}
    for one in tickets:
        if one['alarm'] and one['state'] not in OVER:
            count.setdefault(one['title'], set()).add(one['id'])
    return {title: ids for title, ids in count.items() if len(ids) > 1}


def settle_tickets(load, admin, tickets):
    """Forgets the owed keys that have their ticket; those late are looked up one by one."""
    for one in tickets:
        load.owed.pop(one['title'], None)
    for key in [key for key, since in load.owed.items() if time.time() - since > TICKET_S]:
        if admin.get(f'ops/ticket?filter=title%20%3D%20%22{key}%22').json['items']:
            del load.owed[key]


def wrong_after(load, admin):
    """What is not as it was answered; [] is the claim.  What was under way is looked up and then known."""
    wrong = []
    if admin.get('core/session').status != 200:
        return ['the session is gone']
    for at, site in load.sites.items():
        answer = admin.get(f'ops/site/{at}')
        got = answer.json if answer.status == 200 else {}
        if got.get('code') != site['code'] or got.get('note') not in (site['note'], site['trying']):
            wrong.append(('site', site, answer))
    for path, digest in load.files.items():
        answer = admin.get(path)
        got = hashlib.sha256(answer.body).hexdigest() if answer.status == 200 else None
        if got != digest or answer.status not in (200, 404):
            wrong.append(('attachment', path, digest, answer.status, len(answer.body)))
    for code, note in load.maybe.items():
        items = admin.get(f'ops/site?filter=code%20%3D%20%22{code}%22').json['items']
        if len(items) > 1 or any(one['note'] != note or one['name'] != code for one in items):
            wrong.append(('half a site', code, items))
    live = Tables.alarms(admin)
    wrong += [('no alarm', key) for key in load.raised if key not in live]
    for at, key in load.acked.items():
        log = until(lambda: [one for one in admin.get(f'core/alarms/{at}').json['events'] if one['event'] == 'ack'])
        if not log or log[0]['text'] != 'seen ' + key or not log[0]['by'] or live.get(key, {}).get('state') != 'acked':
            wrong.append(('acknowledgement', key, live.get(key), log))
    for key, states in list(load.again.items()):
        state = live[key]['state'] if key in live else 'closed'
        if state not in states:
            wrong.append(('alarm raised again', key, states, state))
        load.again[key] = (state, None)
    for at, opinion in load.tasks.items():
        answer = admin.get(f'core/tasks/{at}')
        if answer.status != 200 or answer.json['state'] != 'done':
            wrong.append(('task', opinion, answer))
    for at, title in load.tickets.items():
        answer = admin.get(f'ops/ticket/{at}')
        if answer.status != 200 or answer.json['title'] != title or not admin.get(f'core/cases/{at}').json['tasks']:
            wrong.append(('ticket', title, answer))
    now = time.time()
    load.owed.update({key: now for key in load.raised if key not in load.owed})
    tickets = Tables.tickets(admin, 3)
    settle_tickets(load, admin, tickets)
    wrong += [('two open tickets', one) for one in two_open(tickets).items()]
    return wrong


def verified(server, what):
    command = [BIN, what, 'verify', '--data', server.data] + (['--database', server.database] if server.database else [])
    if what == 'sla':
        command += server.options[:2]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return [] if ran.returncode == 0 else [(what + ' verify', ran.returncode, ran.stdout[-600:], ran.stderr[-600:])]


def points(admin, series):
    return {one[0] for one in admin.get(f'core/series/{series}?agg=raw&step=').json['points']}


def made(answer):
    if answer.status != 201:
        raise SystemExit(f'cannot prepare: {answer}')
    return answer.json


def prepare(admin, port):
    """A service with deadlines, a check, and a webhook that hears of every alarm of grade 1."""
    me = admin.get('core/session').json['user']
    service = admin.get('ops/service?filter=code%20%3D%20%22xc-R001%22').json['items'][0]['id']
    watch = made(admin.post('ops/check', {'name': 'sink', 'kind': 'http', 'url': f'http://127.0.0.1:{port}/',
                                          'interval_s': 0.5, 'timeout_s': 0.5, 'nodes': ['1']}))
    channel = made(admin.post('core/channel', {'code': 'sink', 'name': 'sink', 'kind': 'webhook',
                                               'url': f'http://127.0.0.1:{port}/hook'}))
    made(admin.post('core/route', {'name': 'all', 'worst_grade': 1, 'least_grade': 1, 'person': me['id'], 'channel': channel['id']}))
    series = until(lambda: [one['id'] for one in admin.get(f'core/series?check={watch["id"]}').json['items']
                            if one['labels']['metric'] == 'up'], 20)
    return service, me['org'], series[0]


def packs_without_demo(folder):
    """The catalogue with its services and deadlines, without the checks of its demo."""
    shutil.copytree(ROOT / 'packs', folder / 'packs')
    shutil.rmtree(folder / 'packs/catalogue/demo')
    return ['--packs', str(folder / 'packs'), '--demo']


def kill_while_starting(server, rng):
    command = [server.binary, 'serve', '--data', server.data, '--port', str(server.port)] + server.options
    command += ['--database', server.database] if server.database else []
    power = server.binary == POWERCUT
    env = dict(server.env, POWERCUT_AT=str(rng.randrange(60))) if power else None  # in the midst of recovering
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    time.sleep(rng.random() * 0.4)
    process.send_signal(signal.SIGUSR1 if power else signal.SIGKILL)
    process.wait()


def round_of(number, server, admin, load, series, rng):
    load.sites, load.maybe, load.tasks, load.tickets, load.files, load.acked, load.raised = {}, {}, {}, {}, {}, {}, set()
    load.refused, before, cut = [], load.answered, load.cut
    load.start(number, rng)
    time.sleep(0.2 + rng.random())
    seen = points(admin, series)
    time.sleep(rng.random() * 0.2)
    power = server.binary == POWERCUT
    ended = server.stop(signal.SIGUSR1 if power else signal.SIGKILL)
    killed = time.time() * 1000
    load.end()
    assert ended == (137 if power else -signal.SIGKILL), ended
    wrong = [('refused', one) for one in load.refused[:3]]
    wrong += verified(server, 'audit') + verified(server, 'sla')
    if rng.random() < 0.25:
        kill_while_starting(server, rng)
    server.env['POWERCUT_SEED'] = str(rng.randrange(1 << 32))
    server.start()
    wrong += wrong_after(load, admin)
    if not seen or not seen <= points(admin, series):
        wrong.append(('points of a series', sorted(seen - points(admin, series))))
    if not until(lambda: max(points(admin, series)) > killed):
        wrong.append(('the series does not go on',))
    done_now, cut_now = load.answered - before, load.cut - cut
    check(f'round {number}: {len(load.sites)} sites, {len(load.raised)} alarms, {len(load.acked)} acknowledged, '
          f'{len(load.tasks)} tasks of {len(load.tickets)} tickets, {cut_now} cut off', not wrong and done_now, wrong[:4])
    if number % 10 == 0:
        until(lambda: settle_tickets(load, admin, Tables.tickets(admin, 3)) or not load.owed, BACKLOG_S)
        check(f'round {number}: each alarm so far has a ticket', not load.owed, list(load.owed)[:5])
    ids = [one['id'] for key, one in Tables.alarms(admin).items() if key in load.raised]
    for i in range(0, len(ids), 50):  # so that each round begins with few
        admin.post('core/alarms/close', {'ids': ids[i:i + 50], 'comment': 'round over'})


def outage(server, admin, load):
    """The database goes and comes back by itself; the process stays."""
    pid, known = server.process.pid, dict(load.sites)
    made(admin.post('ops/site', {'code': 'before-outage', 'name': 'before', 'note': 'kept', 'org': load.org}))
    assert admin.post('core/alarms/signal', {'key': 'before', 'title': 'before', 'grade': 1}).status == 204
    subprocess.run([ROOT / 'tests/pg', 'stop', server.pg_dir], check=True)
    began, n, raised, failed, slow, shown, acked = time.time(), 0, [], [], 0.0, [], []
    refused = until(lambda: admin.post('ops/site', {'code': 'no', 'name': 'no', 'org': load.org}))
    check('without PostgreSQL a write is refused as problem+json', refused and refused.status in (500, 503)
          and 'problem+json' in refused.headers.get('Content-Type', '') and refused.json['title'], refused)
    check('and says to come again', refused and refused.status == 503, refused)
    while time.time() - began < OUTAGE_S:
        n += 1
        asked = time.time()
        try:
            answer = admin.post('core/alarms/signal', {'key': f'out-{n}', 'title': f'out-{n}', 'grade': 1})
            (raised if answer.status == 204 else failed).append(f'out-{n}')
            live = admin.get('core/alarms?state=live&limit=200')
            here = [one for one in live.json['items'] if one['title'] == f'out-{n}'] if live.status == 200 else []
            shown.append(bool(here))
            if here and n % 2:
                answer = admin.post('core/alarms/ack', {'ids': [here[0]['id']], 'comment': f'seen out-{n}'})
                if answer.status == 200 and answer.json['done']:
                    acked.append((here[0]['id'], f'out-{n}'))
        except OSError as error:
            failed.append((n, error))
        slow = max(slow, time.time() - asked)
        time.sleep(0.5)
    check(f'signals are taken all the time ({len(raised)})', raised and not failed, failed[:3])
    check('alarms show at once', shown and all(shown), shown)
    check(f'nobody waits long ({slow:.1f} s)', slow < 5)
    check(f'alarms are acknowledged ({len(acked)})', len(acked) >= len(raised) // 2, acked)
    told = until(lambda: all(any(re.search(key + r'\b', body) for body in list(Sink.got)) for key in raised))
    check('notices went out during the outage', told, (raised, Sink.got[-3:]))
    subprocess.run([ROOT / 'tests/pg', 'again', server.pg_dir], check=True)
    back = time.time()
    site = until(lambda: (lambda got: got if got.status == 201 else None)(
        admin.post('ops/site', {'code': 'after', 'name': 'after', 'org': load.org})), 30)
    check(f'writes go on by themselves ({time.time() - back:.1f} s after)', site and server.process.pid == pid
          and server.process.poll() is None)
    kept = admin.get('ops/site?filter=code%20%3D%20%22before-outage%22').json['items']
    check('what was written before is there', len(kept) == 1 and kept[0]['note'] == 'kept'
          and all(admin.get(f'ops/site/{at}').status == 200 for at in list(known)[:50]), kept)
    titles = until(lambda: set(raised) | {'before'} <= {one['title'] for one in Tables.tickets(admin, 2)}, TICKET_S)
    check('each alarm of the outage has a ticket', titles, (set(raised) | {'before'}) - {one['title'] for one in Tables.tickets(admin, 2)})
    check('and no two', not two_open(Tables.tickets(admin)), two_open(Tables.tickets(admin)))

    def missing():
        return [key for at, key in acked if not any(one['event'] == 'ack' and one['text'] == 'seen ' + key
                                                    for one in admin.get(f'core/alarms/{at}').json['events'])]
    check('each acknowledgement is in the tables', until(lambda: not missing()), missing())
    sent = until(lambda: admin.get('core/deliveries?limit=200').json['items'])
    check('deliveries are in the log', sent and any(one['sent'] for one in sent), sent)
    audited = until(lambda: all(f'seen {key}' in admin.get('core/audit?object_type=core.alarm&limit=200').body.decode()
                                for _, key in acked), 15)
    check('the acts are in the audit', audited, admin.get('core/audit?object_type=core.alarm&limit=5'))


def rounds(store):
    power, store = store.startswith('power'), 'postgres' if 'postgres' in store else 'sqlite'
    rng = random.Random(f'{SEED}{store}')
    folder = pathlib.Path(tempfile.mkdtemp(prefix='bihuan-crash-'))
    port = listen(Sink).port
    print(f'{store}: {ROUNDS} {"power cuts" if power else "kills"}, SEED={SEED}', flush=True)
    try:
        with Server(*packs_without_demo(folder), store=store, binary=POWERCUT if power else BIN) as server:
            admin = server.login_first()
            service, org, series = prepare(admin, port)
            load = Load(server, admin, service, org)
            for number in range(1, ROUNDS + 1):
                round_of(number, server, admin, load, series, rng)
            check(f'{store}: the load was one ({load.answered} answered, {load.cut} cut off)',
                  load.answered > ROUNDS * 20 and load.cut >= ROUNDS)
            until(lambda: settle_tickets(load, admin, Tables.tickets(admin, 3)) or not load.owed, BACKLOG_S)
            check(f'{store}: each alarm that was answered has a ticket', not load.owed, list(load.owed)[:5])
            check(f'{store}: no key has two open tickets in all', not two_open(Tables.tickets(admin)), two_open(Tables.tickets(admin)))
            if store == 'postgres' and not power:
                outage(server, admin, load)
            time.sleep(1)
            server.stop()
            check(f'{store}: the audit chain verifies', not verified(server, 'audit'), verified(server, 'audit'))
            check(f'{store}: the deadlines verify', not verified(server, 'sla'), verified(server, 'sla'))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(path):
    """Takes every byte that is left."""
    with open(path, 'wb', buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b'x' * size)
            except OSError:
                pass


def disk_full(mounted):
    """In a mount namespace of our own: the data directory on a small disk that fills and is freed again."""
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=96m,mode=0700', 'none', mounted], check=True)
    data = os.path.join(mounted, 'data')
    os.mkdir(data)
    folder = pathlib.Path(tempfile.mkdtemp(prefix='bihuan-crash-'))
    with Server(*packs_without_demo(folder), data=data, store='sqlite') as server:
        admin = server.login_first()
        service, org, series = prepare(admin, listen(Sink).port)
        load = Load(server, admin, service, org)
        load.start(0, random.Random(SEED))
        until(lambda: load.answered > 50)
        fill(os.path.join(mounted, 'filler'))
        until(lambda: len(load.refused) > 50)
        load.end()
        full = [one for what, one in load.refused]
        check(f'a full disk refuses writes ({len(full)})', len(full) > 5)
        check('each with a clear error', all(one.status in (503, 507) and one.json.get('errors') for one in full
                                            if b'failed' not in one.body), [one for one in full if one.status not in (503, 507)][:3])
        check('which says that the disk is full', any(one.status == 507 and 'disk_full' in one.code for one in full), full[:3])
        load.refused = []
        fill(os.path.join(mounted, 'filler2'))
        check('lists are read', admin.get('ops/site?limit=50').status == 200 and len(admin.get('ops/site').json['items']) > 5)
        check('pages are read', admin.get('/').status == 200 and admin.get('core/alarms').status == 200)
        for name in ('filler', 'filler2'):
            os.unlink(os.path.join(mounted, name))
        freed = time.time()
        again = until(lambda: admin.post('ops/site', {'code': 'again', 'name': 'again', 'org': org}).status == 201)
        check(f'with room again it goes on by itself ({time.time() - freed:.1f} s)', again and server.process.poll() is None)
        signal_again = until(lambda: admin.post('core/alarms/signal', {'key': 'again', 'title': 'again', 'grade': 4}).status == 204)
        check('alarms too', signal_again)
        check('and the series', until(lambda: max(points(admin, series)) > freed * 1000))
        # what was refused stands in memory and is logged with the first that is taken again
        check('all that was answered is there', until(lambda: not wrong_after(load, admin)), wrong_after(load, admin)[:4])
        server.stop(signal.SIGKILL)
        server.start()
        wrong = wrong_after(load, admin)
        check('also after kill -9', not wrong, wrong[:4])
        server.stop()
        check('the audit chain verifies', not verified(server, 'audit'), verified(server, 'audit'))
        check('the deadlines verify', not verified(server, 'sla'), verified(server, 'sla'))
    shutil.rmtree(folder, ignore_errors=True)
    done()


def disk():
    """Runs disk_full() where it may mount."""
    mounted = tempfile.mkdtemp(prefix='bihuan-crash-disk-')
    apart = ['unshare', '-m'] if os.getuid() == 0 else ['unshare', '-Urm']
    try:
        probe = subprocess.run(apart + ['mount', '-t', 'tmpfs', 'none', mounted], capture_output=True, text=True)
        if probe.returncode != 0:
            print('skipped  the full disk: no mounts here: ' + probe.stderr.strip(), flush=True)
            return
        ran = subprocess.run(apart + [sys.executable, __file__, '--disk-full', mounted])
        check('the part with the full disk', ran.returncode == 0)
    finally:
        os.rmdir(mounted)


def main():
    if sys.argv[1:2] == ['--disk-full']:
        disk_full(sys.argv[2])
    for part in sys.argv[1:] or ['sqlite', 'postgres', 'power', 'power-postgres', 'disk']:
        if part == 'disk':
            disk()
        else:
            rounds(part)
    done()


if __name__ == '__main__':
    main()
