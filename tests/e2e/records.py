"""Records over HTTP and the command line: facts as they held and were known at an instant; long imports."""
import json
import subprocess
import time
from urllib.parse import urlencode

from bihuan import BIN, Server, check, done


def facts(server, admin):
    duty = admin.post('ops/duty', {'code': 'D-1', 'kind': 'inspection', 'name': '巡检', 'interval': 'P1M', 'items_en': 'Check the cables'})
    site = admin.post('ops/site', {'code': 'S-1', 'name': '机房'})
    if not check('a duty and a site', duty.status == site.status == 201, (duty, site)):
        return
    subject, duty = site.json['id'], duty.json['id']
    found = admin.get('ops/duty?q=cables').json['items']
    check('found by its English text', [d['id'] for d in found] == [duty], found)

    def deed(**more):
        return admin.post('ops/deed', {'subject': subject, 'duty': duty, 'result': 'normal',
                                       'happened_at': '2024-03-01T10:00:00+08:00',
                                       'known_at': '2024-03-01T12:00:00+08:00', **more}).json

    first = deed(person='甲')
    second = deed(person='乙', supersedes=first['id'], known_at='2024-03-05T09:00:00+08:00')
    later = deed(person='丙', happened_at='2024-04-01T10:00:00+08:00', known_at='2024-04-01T10:00:00+08:00')

    def people(**window):
        answer = admin.get('ops/deed?' + urlencode(window))
        return sorted(one['person'] for one in answer.json['items'])

    check('without an instant every fact is there', people() == sorted('甲乙丙'), people())
    check('now the corrected one is gone', people(known_until='2024-11-01T00:00:00Z') == sorted('乙丙'))
    check('as it was known before the correction', people(known_until='2024-03-02T00:00:00Z') == ['甲'])
    check('as of a day', people(as_of='2024-03-31T00:00:00+08:00') == ['乙'])
    count = admin.get('ops/deed?count=1&as_of=2024-03-31T00:00:00%2B08:00')
    check('counted alike', count.json == {'count': 1, 'exact': True}, count)
    one = f"ops/deed/{first['id']}?known_until="
    check('one fact then', admin.get(one + '2024-03-02T00:00:00Z').status == 200)
    check('and not any more', admin.get(one + '2024-03-06T00:00:00Z').status == 404)
    answer = admin.get('ops/deed?as_of=yesterday')
    check('what is no instant is refused at its place',
          answer.status == 422 and answer.json['errors'][0]['pointer'] == '/?as_of', answer)
    answer = admin.get('ops/site?known_until=2024-03-02T00:00:00Z')
    check('other records are no facts', answer.status == 422 and answer.code == 'entity.no_facts', answer)
    answer = admin.get('ops/deed/export?format=csv&' + urlencode({'known_until': '2024-03-02T00:00:00Z'}))
    check('an export too', answer.status == 200 and '甲' in answer.body.decode() and '乙' not in answer.body.decode(),
          answer)
    out = subprocess.run([BIN, 'export', 'ops.deed', '--data', server.data, '--format', 'json', '--as-of',
                          '2024-03-31T00:00:00+08:00'], capture_output=True, text=True, check=False)
    check('on the command line too', out.returncode == 0 and [d['id'] for d in json.loads(out.stdout)] == [second['id']],
          (out, later))
    out = subprocess.run([BIN, 'export', 'ops.site', '--data', server.data, '--known-until', '2024-03-31T00:00:00Z'],
                         capture_output=True, text=True, check=False)
    check('which says so of other records', out.returncode == 2, out)


def imports(server, admin):
    rows = ['code,name', *(f'I-{i:05d},站点{i}' for i in range(3000))]
    rows[10] = 'I-00009,站点9,多一格'
    csv = '\n'.join(rows).encode('gb18030')
    answer = admin.ask('POST', 'ops/site/import?job=1', raw=csv, headers={'Content-Type': 'text/csv'})
    if not check('a long import is a job', answer.status == 202 and answer.json['job'], answer):
        return
    path = f"core/imports/{answer.json['job']}"
    until = time.time() + 120
    while (state := admin.get(path).json)['state'] in ('waiting', 'running') and time.time() < until:
        time.sleep(0.1)
    result = state['result']
    check('it ends with what it did', state['state'] == 'done' and state['done'] == state['total'] == 3000 and
          (result['created'], result['left_out'], result['charset']) == (2999, 1, 'GB18030'), state)
    fault = state['errors'][0]
    check('the row with a fault by line and column', (fault['line'], fault['column']) == (11, 13), fault)
    answer = admin.get(path + '/faults')
    check('and as a file', answer.body.decode('utf-8-sig').splitlines()[1].startswith('11,13,'), answer)
    check('it cannot be stopped any more', admin.post(path + '/cancel').status == 409)
    count = admin.get('ops/site?count=1&filter=' + 'starts%20with(code,%20%22I-%22)').json
    check('the others are there', count['count'] == 2999, count)
    check('it is nobody else\'s', server.client().get(path).status == 401)
    check('an import that is none is not there', admin.get('core/imports/17').status == 404)
    wrong = admin.ask('POST', 'ops/site/import?dry_run=1', raw=b'code,name\nx,a\xff\n',
                      headers={'Content-Type': 'text/csv'}).json['errors'][0]
    check('what is neither UTF-8 nor GB18030 is refused at its byte', (wrong['line'], wrong['column']) == (2, 4), wrong)

    def run(data):
        return subprocess.run([BIN, 'import', 'ops.site', '-', '--portions', '--data', data], input='code,name\nP-1,x\nP-2\n',
                              capture_output=True, text=True, check=False, env={**server.env, 'LANG': 'C.UTF-8'})
    out = run(server.data)
    check('on the command line, beside the server', out.returncode == 1 and 'created 1\n' in out.stdout and
          'left_out 1\n' in out.stdout and '-:3:1: ' in out.stdout and '2 / 2' in out.stderr, out)
    if not server.database:
        server.stop()
        out = run(server.data)
        check('and without one', out.returncode == 1 and 'unchanged 1\n' in out.stdout and '2 / 2' in out.stderr, out)
        server.start()


def sealed(server, admin):
    made = admin.post('ops/contact', {'name': '张三', 'phone': '13812345678'})
    if not check('a contact', made.status == 201, made):
        return
    found = admin.get('ops/contact?' + urlencode({'filter': 'phone = "13812345678"'}))
    check('found by the whole of a sealed value', [c['id'] for c in found.json['items']] == [made.json['id']], found)
    answer = admin.get('ops/contact?' + urlencode({'filter': 'contains(phone, "138")'}))
    check('not by a part of it, with the place', answer.status == 422 and answer.code == 'feel.filter_sealed' and
          '/?filter' in answer.body.decode(), answer)
    schema = admin.get('core/types/ops/contact').json
    check('the schema tells the operators', schema['properties']['phone'].get('x-operators') == ['=', '!=', 'in'], schema['properties']['phone'])
    until = time.time() + 30
    lines = []
    while not lines and time.time() < until:
        audit = admin.get('core/audit?object_type=ops.contact&action=reveal').json['items']
        lines = [a for a in audit if 'phone' in (a.get('detail') or '')]
        time.sleep(0.1)
    check('the audit keeps the filter without the value', lines and all('1381' not in json.dumps(a) for a in audit), lines)


def graph(server, admin):
    """a1 runs on b1 (elsewhere), which runs on a2; a1 depends on a3: whose scope is A sees a1 and a3 alone."""
    root = admin.get('core/orgs').json['items'][0]
    org = {code: admin.post('core/orgs', {'code': code, 'name': code, 'parent': root['id']}).json['id'] for code in 'AB'}
    site = {code: admin.post('ops/site', {'code': f'G-{code}', 'name': f'站点-{code}', 'org': org[code[0].upper()]}).json['id']
            for code in ('a1', 'b1', 'a2', 'a3')}
    for a, kind, b in (('a1', 'runs_on', 'b1'), ('b1', 'runs_on', 'a2'), ('a1', 'depends_on', 'a3')):
        made = admin.post('core/relation', {'from': site[a], 'to': site[b], 'kind': kind})
        check(f'{a} {kind} {b}', made.status == 201, made)
    role = admin.post('core/roles', {'code': 'sites', 'name': '站点', 'permissions': ['ops.site.read', 'core.relation.read']}).json
    whole = admin.get(f"core/subjects/{site['a1']}/graph?depth=3").json
    until = time.time() + 30
    while len(whole['nodes']) < 4 and time.time() < until:
        time.sleep(0.1)
        whole = admin.get(f"core/subjects/{site['a1']}/graph?depth=3").json
    check('who may see all sees all', len(whole['nodes']) == 4 and len(whole['edges']) == 3 and whole['hidden'] == 0, whole)

    def user(login, **scope):
        made = admin.post('core/users', {'login': login, 'name': login, 'org': org['A']}).json
        given = admin.put(f"core/users/{made['id']}/grants", {'items': [{'role': role['id'], **scope}]}, made['version'])
        check(f'{login} has a scope', given.status == 200, given)
        client = server.client()
        client.login(login, made['password'])
        client.change_password(made['password'], server.PASSWORD)
        return client

    ann = user('ann', org=org['A'])
    for walk in ('around', 'causes'):
        answer = ann.get(f"core/subjects/{site['a1']}/graph?depth=3&walk={walk}")
        got = answer.json
        check(f'{walk}: only what is in scope, and what hangs on it',
              {n['id'] for n in got['nodes']} == {site['a1'], site['a3']} and len(got['edges']) == 1 and
              all(n['more'] == 0 for n in got['nodes']), got)
        check(f'{walk}: nothing tells of the other', site['b1'] not in answer.body.decode() and
              'b1' not in answer.body.decode() and site['a2'] not in answer.body.decode() and got['hidden'] == 1, answer)
    for path in ('', '/graph'):
        check(f'a subject out of scope is as if absent{path}', ann.get(f"core/subjects/{site['b1']}{path}").status == 404)


with Server() as server:
    admin = server.login_first()
    graph(server, admin)
    sealed(server, admin)
    facts(server, admin)
    imports(server, admin)
done()
