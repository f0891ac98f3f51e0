"""Checks, series, triggers and probe nodes: through the real binary, with a real target."""
import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from bihuan import BIN, Client, Server, check, done, until
from sinks import Quiet, listen


class Target:
    """A web site that can be switched off."""

    def __init__(self):
        self.server = None
        self.port = 0
        self.start()

    def start(self):
        class Handler(Quiet):
            def do_GET(self):
                self.answer(200, b'all is well')
        self.server = listen(Handler, self.port)
        self.port = self.server.port

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Probe:
    def __init__(self, server, data, token=None, more=()):
        command = [BIN, 'probe', '--server', f'http://127.0.0.1:{server.port}', '--data', data, *more]
        if token:
            command += ['--token', token]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.lines = []

    def ready(self):
        for line in self.process.stdout:
            self.lines.append(line.strip())
            if line.strip() == 'ready':
                return True
        return False

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.communicate(timeout=30)
        return self.process.returncode


target = Target()
folder = tempfile.mkdtemp(prefix='bihuan-e2e-probe-')
with Server() as server:
    admin = server.login_first()

    # ---- probe nodes: token, key ----
    answer = admin.post('core/probes', {'name': 'east'})
    check('a probe node is made with a one-time token', answer.status == 201 and len(answer.json['token']) == 43, answer)
    node, token = answer.json['id'], answer.json['token']
    check('its name is taken then', admin.post('core/probes', {'name': 'east'}).status == 409)
    check('an empty name is refused', admin.post('core/probes', {'name': ' '}).status in (400, 422))
    stranger = Client(server)
    check('a wrong token is refused',
          stranger.post('/api/probe/v1/register', {'token': 'x' * 43, 'version': '1'}).status == 401)
    check('a batch without a key is refused', stranger.post('/api/probe/v1/batch', {}).status == 401)
    check('checks without a key are refused', stranger.get('/api/probe/v1/checks').status == 401)
    bad = subprocess.run([BIN, 'probe', '--server', f'http://127.0.0.1:{server.port}', '--data', folder + '/bad',
                          '--token', 'y' * 43], capture_output=True, text=True, timeout=30)
    check('bihuan probe with a wrong token ends and says so', bad.returncode in (1, 2, 3) and bad.stderr, bad)

    probe = Probe(server, folder + '/east', token)
    check('the node registers and is ready', probe.ready() and f'node {node}' in probe.lines, probe.lines)
    check('the token is good only once',
          stranger.post('/api/probe/v1/register', {'token': token, 'version': '1'}).status == 401)
    listed = admin.get('core/probes').json['items']
    shown = {one['id']: one for one in listed}
    check('each node is listed once', len(shown) == len(listed) == 2, listed)
    check('it is shown as online, beside this server', shown[node]['state'] == 'online' and '1' in shown, shown)

    # ---- checks ----
    record = {'name': 'site', 'kind': 'http', 'url': f'http://127.0.0.1:{target.port}/', 'interval_s': 1,
              'timeout_s': 1, 'expect_body': 'all is well', 'nodes': ['1', node]}
    for change, pointer in (({'url': 'gopher://x/'}, '/url'), ({'timeout_s': 5}, '/timeout_s'),
                            ({'expect_regex': '('}, '/expect_regex'), ({'nodes': ['4711']}, '/nodes')):
        answer = admin.post('ops/check', {**record, **change})
        check(f'refused when it is written: {change}', answer.status == 422
              and answer.json['errors'][0]['pointer'] == pointer, answer)
    answer = admin.post('ops/check', record)
    check('a check is made', answer.status == 201, answer)
    site = answer.json['id']

    def places():
        got = admin.get(f'core/checks/{site}/state')
        return {one['node']: one for one in got.json['nodes']} if got.status == 200 else {}

    check('both nodes run it', until(lambda: len([1 for one in places().values() if one['up']]) == 2), places())
    one = places()['local']
    check('phases and status are measured', all(name in one['values'] for name in
          ('total_us', 'connect_us', 'first_byte_us', 'status_code', 'body_bytes')) and one['values']['status_code'] == 200, one)
    check('no check, no state', admin.get('core/checks/12345/state').status == 404)
    check('the overview has it', any(i['id'] == site and i['up'] for i in admin.get('core/checks').json['items']))

    listed = admin.get(f'core/series?check={site}').json['items']
    labels = {(s['labels']['metric'], s['labels']['node']): s['id'] for s in listed}
    check('series of both nodes', ('total_us', 'local') in labels and ('total_us', node) in labels, labels)
    points = admin.get(f'core/series/{labels["up", "local"]}?step=1m&agg=avg').json['points']
    check('availability from the series is 1', points and points[-1][1] == 1, points)
    raw = admin.get(f'core/series/{labels["total_us", node]}?agg=raw&step=').json
    check('raw points of the node', raw['points'] and raw['labels']['node'] == node, raw)
    for query in ('agg=median', 'step=x', 'from=yesterday'):
        check(f'a bad query is refused: {query}', admin.get(f'core/series/{labels["up", "local"]}?{query}').status == 422)
    check('no such series', admin.get('core/series/999999').status == 404)
    check('a series needs a login', Client(server).get(f'core/series/{labels["up", "local"]}').status == 401)

    # ---- triggers ----
    answer = admin.post('ops/trigger', {'name': 'down', 'kind': 'condition', 'grade': 1, 'condition': 'not(up', 'check': site})
    check('a bad condition is refused when it is written', answer.status == 422
          and answer.json['errors'][0]['pointer'] == '/condition', answer)
    answer = admin.post('ops/trigger', {'name': 'down', 'kind': 'condition', 'grade': 1, 'condition': 'not(up)',
                                        'check': site, 'nodes_min': 2})
    check('a trigger is made', answer.status == 201, answer)

    def alarm():
        got = admin.get('core/alarms?state=open')
        return [a for a in got.json['items'] if a['title'] == 'site: down'] if got.status == 200 else []

    with_alarms = admin.get('core/alarms').status == 200
    named = [t['name'] for t in admin.get('ops/trigger?limit=100').json['items']]
    check('triggers that everybody needs come with the pack', {'拨测失败', '证书即将到期', '拨测无数据'} <= set(named), named)
    target.stop()
    began = time.time()
    check('the site is down for both', until(lambda: len([1 for p in places().values() if p['up'] is False]) == 2), places())
    check('the cause is said', places()['local']['cause'] == 'refused', places())
    if with_alarms:
        check('one alarm within one interval and two seconds', len(until(alarm)) == 1
              and datetime.datetime.fromisoformat(alarm()[0]['opened_at']).timestamp() - began < 4, (began, alarm()))
    target.start()
    check('and up again', until(lambda: len([1 for p in places().values() if p['up']]) == 2), places())
    if with_alarms:
        check('the alarm clears', until(lambda: not alarm()), alarm())

    # ---- the server goes, the node stays ----
    before = {p[0] for p in admin.get(f'core/series/{labels["up", node]}?agg=raw&step=').json['points']}
    server.stop(signal.SIGKILL)
    away = time.time()
    time.sleep(3)
    server.start()
    admin = server.client()
    admin.login('admin', Server.PASSWORD)
    check('after a kill of the server both nodes go on',
          until(lambda: len([1 for p in places().values() if p['up']]) == 2, 60), places())

    def of_node():
        return {p[0] for p in admin.get(f'core/series/{labels["up", node]}?agg=raw&step=').json['points']}

    check('what was acknowledged before is there', before and before <= of_node())
    check('what the node saw meanwhile came later', until(lambda: len(
        [at for at in of_node() if (away + 0.2) * 1000 < at < (away + 2.8) * 1000]) >= 2), sorted(of_node())[-8:])
    # ---- a node that is killed keeps its key and its number ----
    probe.stop(signal.SIGKILL)
    probe = Probe(server, folder + '/east')
    check('killed and started again without a token', probe.ready(), probe.lines)
    gap = admin.get(f'core/series/{labels["up", node]}?agg=raw&step=').json['points']
    check('each of its results counts once', len({p[0] for p in gap}) == len(gap) and len(gap) > 3)
    second = subprocess.run([BIN, 'probe', '--server', f'http://127.0.0.1:{server.port}', '--data', folder + '/east'],
                            capture_output=True, text=True, timeout=30)
    check('a second one on the same folder is refused', second.returncode == 3, second)
    check('a node with checks cannot be removed', admin.delete(f'core/probes/{node}').status == 409)

    # ---- changes are increments ----
    now = admin.get(f'ops/check/{site}')
    answer = admin.patch(f'ops/check/{site}', {'nodes': ['1']}, version=now.headers['ETag'])
    check('the node is taken off', answer.status == 200, answer)
    check('its results go', until(lambda: list(places()) == ['local']), places())
    check('then it can be removed', until(lambda: admin.delete(f'core/probes/{node}').status == 204))
    check('SIGTERM ends the node with 0', probe.stop() == 0)
    version = admin.get(f'ops/check/{site}').headers['ETag']
    for trigger in admin.get('ops/trigger').json['items']:
        admin.delete(f'ops/trigger/{trigger["id"]}', version=trigger['version'])
    check('the check is deleted', admin.ask('DELETE', f'ops/check/{site}', headers={'If-Match': version}).status == 204)
    check('and is not run any more', until(lambda: admin.get('core/checks').json['items'] == []))

    # ---- a buffer that is too small: the newest stay ----
    answer = admin.post('core/probes', {'name': 'west'})
    west, token = answer.json['id'], answer.json['token']
    ids = [admin.post('ops/check', {'name': f'port {i}', 'kind': 'tcp', 'host': '127.0.0.1', 'port': target.port,
                                    'interval_s': 0.5, 'timeout_s': 0.5, 'nodes': [west]}).json['id'] for i in range(300)]
    probe = Probe(server, folder + '/west', token, ['--buffer-mb', '1'])
    check('a second node with a small buffer', probe.ready(), probe.lines)
    until(lambda: any(p['up'] is not None for p in admin.get(f'core/checks/{ids[-1]}/state').json['nodes']))
    server.stop()
    away = time.time()

    def buffered():
        return {f.name: f.stat().st_size for f in pathlib.Path(folder, 'west', 'results').glob('*.wal')}
    time.sleep(3)
    old = set(buffered())
    check('the oldest makes room', until(lambda: not old & set(buffered()), 90), buffered())
    size, full = sum(until(buffered).values()), time.time()
    check('the buffer keeps its limit', 500_000 < size < 1_400_000, size)
    server.start()
    admin = server.client()
    admin.login('admin', Server.PASSWORD)

    def seen():
        listed = admin.get(f'core/series?check={ids[7]}').json['items']
        at = [s['id'] for s in listed if s['labels']['metric'] == 'up']
        return sorted(p[0] / 1000 for p in admin.get(f'core/series/{at[0]}?agg=raw&step=').json['points']) if at else []

    check('what is newest arrives', until(lambda: [t for t in seen() if full - 1.5 < t < full]), seen()[-5:])
    lost = [t for t in seen() if away + 1 < t < away + 3]
    check('what was oldest is gone', lost == [], lost)
    check('the node sends live again', until(lambda: seen()[-1] > time.time() - 2))
    check('and ends with 0', probe.stop() == 0)
shutil.rmtree(folder, ignore_errors=True)
target.stop()
done()
