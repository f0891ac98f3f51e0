"""Tasks and cases over HTTP on both stores: the whole way of a ticket, what is refused, pauses, re-opening, clocks; deadlines
verified beside the running server; a maintenance window in the report and in a pack's query over the roll-up."""
import datetime
import json
import pathlib
import subprocess

from bihuan import BIN, ROOT, Server, check, done, until
from sinks import Quiet, listen


class Up(Quiet):
    def do_GET(self):
        self.answer()


def task_of(case):
    return next((one for one in case['tasks'] if one['state'] == 'open'), None)


def clock(case, name):
    return next(one for one in case['clocks'] if one['clock'] == name)


def refused(answer, status, code):
    return answer.status == status and answer.code == code


def whole_way(admin, service):
    ticket = admin.post('ops/ticket', {'title': 'whole way', 'service': service, 'level': '2'})
    check('a ticket opens a case', ticket.status == 201, ticket)
    at = ticket.json['id']
    case = admin.get(f'core/cases/{at}').json
    task = task_of(case)
    check('its first step waits', task['node'] == 'accept' and case['state'] == 'accepting' and not case['closed_at'], case['tasks'])
    check('the picture says where', [n['id'] for n in case['flow']['nodes'] if n['state'] == 'here'] == ['accept'])
    mine = admin.get('core/tasks?mine=1').json['items']
    check('it is in my inbox', task['id'] in [one['id'] for one in mine], mine)
    check('and counted', admin.get('core/tasks?mine=1&count=1').json['count'] >= 1)
    form = admin.get(f'core/tasks/{task["id"]}').json
    check('a task tells its form and actions', 'service' in form['form'] and {'done', 'reject'} <= {a['action'] for a in form['actions']}, form)
    url = f'core/tasks/{task["id"]}'
    check('an unknown action is refused at its place', refused(admin.post(url + '/complete', {'action': 'explode'}), 422, 'task.no_action'))
    check('a field of another step is refused', admin.post(url + '/complete', {'action': 'done', 'fields': {'cause': 'x'}}).code == 'task.field_not_here')
    check('rejecting needs a reason', admin.post(url + '/complete', {'action': 'reject'}).code == 'case.needs_reason')
    check('a task that is not there: 404', admin.get('core/tasks/12345').status == 404)
    check('a case that is not there: 404', admin.get('core/cases/12345').status == 404)
    check('claimed', task_of(admin.post(url + '/claim').json)['assignee']['name'] != '')
    check('and released', task_of(admin.post(url + '/release').json)['assignee'] is None)
    check('urged', admin.post(url + '/urge', {'opinion': 'please'}).json['timeline'][-1]['text'] == 'please')
    case = admin.post(url + '/complete', {'action': 'done', 'fields': {'service': service, 'level': '2'}, 'opinion': 'ok'}).json
    check('accepted: the next step', task_of(case)['node'] == 'dispatch' and clock(case, 'respond')['state'] == 'met', case.get('clocks'))
    check('a done task is not open', admin.post(url + '/complete', {'action': 'done'}).code == 'task.not_open')
    back = admin.post(f'core/tasks/{task_of(case)["id"]}/return', {'to': None, 'opinion': 'wrong service'})
    check('sent back to the step before', back.status == 200 and task_of(back.json)['node'] == 'accept', back)
    for node, fields in (('accept', {}), ('dispatch', {})):
        case = admin.get(f'core/cases/{at}').json
        case = admin.post(f'core/tasks/{task_of(case)["id"]}/complete', {'action': 'done', 'fields': fields}).json
    check('handling', task_of(case)['node'] == 'handle', case.get('tasks'))
    handle = task_of(case)['id']
    paused = admin.post(f'core/cases/{at}/pause', {'clocks': None, 'reason': 'waits for parts'}).json
    check('paused', paused['paused'] and clock(paused, 'restore')['state'] == 'paused', paused['clocks'])
    check('pausing needs a reason', admin.post(f'core/cases/{at}/pause', {'clocks': None}).status in (400, 422))
    resumed = admin.post(f'core/cases/{at}/resume', {'clocks': None, 'reason': 'came'}).json
    check('resumed', not resumed['paused'] and clock(resumed, 'restore')['state'] == 'running')
    reached = admin.post(f'core/cases/{at}/reach', {'clock': 'arrive', 'text': 'on site'})
    check('arrival is noted', reached.status == 200, reached)
    check('not before the case began', admin.post(f'core/cases/{at}/reach', {'clock': 'arrive', 'at': '2020-01-01T00:00:00+08:00'}).code == 'case.bad_instant')
    voided = admin.post(f'core/cases/{at}/void', {'event': reached.json['timeline'][-1]['id'], 'reason': 'slip'})
    check('and taken back', voided.status == 200 and any(one['voided'] for one in voided.json['timeline']), voided)
    check('a note', admin.post(f'core/cases/{at}/note', {'text': 'seen'}).status == 200)
    why = admin.get(f'core/cases/{at}/clocks').json
    check('why a deadline is what it is', any(one['pieces'] for one in why['clocks']), why)
    check('without what is required it is not done', admin.post(f'core/tasks/{handle}/complete', {'action': 'done'}).code == 'task.field_needed')
    case = admin.post(f'core/tasks/{handle}/complete', {'action': 'done', 'fields': {'cause': 'c', 'solution': 's'}}).json
    check('to be confirmed', task_of(case)['node'] == 'confirm')
    for _ in range(2):
        case = admin.post(f'core/tasks/{task_of(case)["id"]}/complete', {'action': 'done'}).json
    check('closed', case['state'] == 'closed' and case['closed_at'] and not task_of(case), case['state'])
    return at


def opened_again(admin, at):
    check('a closed case takes no pause', admin.post(f'core/cases/{at}/pause', {'clocks': None, 'reason': 'x'}).code == 'case.closed')
    check('re-opening needs a reason', admin.post(f'core/cases/{at}/reopen', {}).status in (400, 422))
    again = admin.post(f'core/cases/{at}/reopen', {'reason': 'came back'})
    check('re-opened at the step the type names', again.status == 200 and task_of(again.json)['node'] == 'handle'
          and again.json['closed_at'] is None and again.json['state'] == 'handling', again)
    check('its clocks run on', clock(again.json, 'restore')['state'] in ('running', 'breached'), again.json['clocks'])
    check('its record too', admin.get(f'ops/ticket/{at}').json['state'] == 'handling' and not admin.get(f'ops/ticket/{at}').json['closed_at'])
    check('twice is refused', admin.post(f'core/cases/{at}/reopen', {'reason': 'again'}).code == 'case.open')
    check('its events go on', [one['label'] for one in again.json['timeline']] and len(again.json['timeline']) > 10)
    case = again.json
    case = admin.post(f'core/tasks/{task_of(case)["id"]}/complete', {'action': 'done', 'fields': {'cause': 'd', 'solution': 't'}}).json
    for _ in range(2):
        case = admin.post(f'core/tasks/{task_of(case)["id"]}/complete', {'action': 'done'}).json
    check('and closes again', case['state'] == 'closed' and case['closed_at'])
    cancelled = admin.post('ops/ticket', {'title': 'by mistake', 'service': case['service'] or '', 'level': '2'})
    if cancelled.status == 201:
        gone = admin.post(f'core/cases/{cancelled.json["id"]}/cancel', {'reason': 'mistake'})
        check('cancelled', gone.status == 200 and gone.json['state'] == 'cancelled' and not task_of(gone.json), gone)


def verified(server):
    command = [BIN, 'sla', 'verify', '--data', server.data] + (['--database', server.database] if server.database else [])
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    check('the deadlines verify beside the server', ran.returncode == 0 and ran.stdout.strip().endswith('0 differences'), (ran.stdout, ran.stderr))


def availability(server, admin, service):
    one = admin.post('ops/check', {'name': 'up', 'kind': 'http', 'url': f'http://127.0.0.1:{listen(Up).port}/', 'service': service,
                                   'interval_s': 0.5, 'timeout_s': 0.5, 'nodes': ['1']})
    check('a check of the service', one.status == 201, one)

    def report():
        return admin.get(f'core/reports/service/{service}').json
    check('its samples are in the report', until(lambda: [c for c in report()['checks'] if c['name'] == 'up' and c['samples'] > 3]), report()['checks'])
    check('the rule stands on it', report()['rule']['maintenance'] == 'excluded' and report()['rule']['text'], report()['rule'])
    now = datetime.datetime.now(datetime.timezone.utc)
    window = admin.post('ops/maintenance', {'name': 'w', 'service': service, 'begins': (now - datetime.timedelta(hours=2)).isoformat(timespec='seconds'),
                                            'ends': now.isoformat(timespec='seconds')})
    check('a maintenance window', window.status == 201, window)
    left = report()
    check('what fell into it is left out', left['rule']['samples'] > 0, left['rule'])
    rows = admin.get(f'core/queries/ops/availability?service={service}')
    check('a query of a pack reads the roll-up', rows.status == 200 and rows.json['items'], rows)

    def figures():
        """Those of the report and of the query; samples go on between the two."""
        left, got = report(), admin.get(f'core/queries/ops/availability?service={service}').json['items']
        return ((left['rule']['samples'], sum(c['samples'] for c in left['checks']), sum(c['samples'] for c in left['checks'])),
                (sum(r['maintenance'] for r in got), sum(r['samples'] - r['maintenance'] for r in got), sum(r['counted'] for r in got)))
    check('with the same figures', until(lambda: len(set(figures())) == 1), figures())
    person = admin.post('core/users', {'login': 'reader', 'name': 'reader', 'org': admin.get('core/session').json['user']['org']})
    other = server.client()
    first = other.login('reader', person.json['password'])
    check('somebody without rights', person.status == 201 and first.status == 200, person)
    other.change_password(person.json['password'], 'Some-Horse-99')
    answer = other.get(f'core/queries/ops/availability?service={service}')
    check('may not ask it', answer.status == 403, answer)


checked = subprocess.run([BIN, 'pack', 'check', str(ROOT / 'packs/ops')], capture_output=True, text=True, timeout=60)
check('the pack with the query is good', checked.returncode == 0, (checked.returncode, checked.stdout, checked.stderr))
with Server('--demo') as server:
    admin = server.login_first()
    service = admin.get('ops/service?filter=code%20%3D%20%22xc-R001%22').json['items'][0]['id']
    at = whole_way(admin, service)
    opened_again(admin, at)
    verified(server)
    availability(server, admin, service)
    check('it ends well', server.stop() == 0)
    states = json.loads(pathlib.Path(server.data, 'checks.json').read_text())['places']
    check('how checks stood is kept for the next start', any(one['result']['cause'] == 'none' and one['since'] for one in states), states)
done()
