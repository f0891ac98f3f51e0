"""Channels, templates, 'send a test', the delivery log and the inbox, against a mail sink and a webhook of our own."""
import json

from bihuan import Server, check, done, until
from sinks import Mails, Quiet, listen

posts = []


class Hook(Quiet):
    def do_POST(self):
        posts.append((self.path, json.loads(self.body())))
        self.answer(500 if self.path == '/broken' else 200, b'{"errcode":0}')


sink = Mails(lambda receiver: 'nobody@' in receiver)
smtp, web = sink.port, listen(Hook).port

with Server() as server:
    admin = server.login_first()

    def channel(code, kind, url, **more):
        answer = admin.post('core/channel', dict(more, code=code, name=code, kind=kind, url=url))
        check(f'channel {code} is a record', answer.status == 201, answer)
        return answer.json

    mail = channel('mail', 'mail', f'smtp://127.0.0.1:{smtp}', sender='bihuan@example.org', tls='never',
                   password='s3cr3t-word')
    hook = channel('hook', 'webhook', f'http://127.0.0.1:{web}/hook', body='{"say":"{title}","more":"{text}"}')
    wecom = channel('wecom', 'wecom', f'http://127.0.0.1:{web}/wecom')
    broken = channel('broken', 'webhook', f'http://127.0.0.1:{web}/broken')
    gone = channel('gone', 'webhook', 'http://127.0.0.1:9/x')
    off = channel('off', 'webhook', f'http://127.0.0.1:{web}/off', enabled=False)

    def test(one, address=None):
        return admin.post(f"core/channel/{one['id']}/test", {'address': address} if address else {})

    answer = test(mail, 'ops@example.org')
    check('a test mail arrives', answer.status == 204 and len(sink.texts) == 1 and 'To: ' in sink.texts[0]
          and 'ops@example.org' in sink.texts[0], (answer, sink.texts))
    check('it has subject, date and message id', all(f'\n{h}: ' in '\n' + sink.texts[0]
                                                      for h in ('Subject', 'Date', 'Message-ID', 'From')), sink.texts)
    answer = test(mail, 'nobody@example.org')
    check('a refused receiver is told', answer.status == 422 and answer.code == 'notify.refused', answer)
    answer = test(hook)
    check('a webhook gets its own JSON', answer.status == 204 and posts[-1][0] == '/hook' and 'say' in posts[-1][1],
          (answer, posts))
    answer = test(wecom)
    check('a WeCom group gets its form', answer.status == 204 and posts[-1][0] == '/wecom' and 'msgtype' in posts[-1][1],
          (answer, posts))
    check('a webhook that fails is told', test(broken).status == 502)
    check('one that is not there too', test(gone).status == 502)
    answer = admin.post('core/channel/17/test')
    check('no such channel', answer.status == 404, answer)
    log = admin.get('core/deliveries').json['items']
    check('every attempt is in the delivery log', len(log) == 6 and [d['sent'] for d in log]
          == [False, False, True, True, False, True], log)
    check('with the reason of a failure', all(bool(d['error']) != d['sent'] for d in log), log)
    role = admin.post('core/roles', {'code': 'looker', 'name': '查看', 'permissions': ['core.channel.read']}).json
    user = admin.post('core/users', {'login': 'looker', 'name': 'l', 'org': admin.get('core/session').json['user']['org']}).json
    admin.put(f"core/users/{user['id']}/grants", {'items': [{'role': role['id'], 'all': True}]}, user['version'])
    looker = server.client()
    looker.login('looker', user['password'])
    looker.change_password(user['password'], 'Looking-Glass-3')
    shown = looker.get(f"core/channel/{mail['id']}")
    check('the password of a channel is not shown to who only reads', shown.status == 200 and 's3cr3t-word' not in shown.body.decode(), shown)
    answer = admin.patch(f"core/channel/{hook['id']}", {'url': f'http://127.0.0.1:{web}/moved'}, hook['version'])
    check('a channel changes', answer.status == 200, answer)
    test(hook)
    check('and the change counts at once', posts[-1][0] == '/moved', posts[-1])
    answer = admin.delete(f"core/channel/{hook['id']}", admin.get(f"core/channel/{hook['id']}").json['version'])
    check('a channel is deleted', answer.status == 204 and test(hook).status == 404, answer)
    # how a person wants to be told of tasks
    admin.patch(f"core/users/{user['id']}", {'email': 'looker@example.org'}, admin.get(f"core/users/{user['id']}").json['version'])
    first = looker.get('core/notices/settings').json
    check('at first the inbox alone', first['task'] is None and first['sla'] is None, first)
    check('the channels are named, nothing else of them', {one['code'] for one in first['channels']} >= {'mail', 'wecom'}
          and 's3cr3t' not in str(first) and 'off' not in {one['code'] for one in first['channels']}, first)
    chosen = looker.put('core/notices/settings', {'task': mail['id']})
    check('mail is chosen for tasks', chosen.status == 200 and chosen.json['task'] == mail['id'] and chosen.json['sla'] is None, chosen)
    check('a channel that is off is refused at its place', looker.put('core/notices/settings', {'sla': off['id']}).json['errors'][0]['pointer'] == '/sla')
    check('who has no address cannot choose mail', admin.put('core/notices/settings', {'task': mail['id']}).code == 'notify.no_address')
    ticket = admin.post('ops/ticket', {'title': 'told by mail', 'level': '2'})
    task = admin.get(f"core/cases/{ticket.json['id']}").json['tasks'][0]['id']
    before = len(sink.texts)
    over = admin.post(f'core/tasks/{task}/handover', {'user': user['id'], 'opinion': 'yours'})
    check('a task is handed over', over.status == 200, over)
    check('the one who has it now gets a mail', until(lambda: [m for m in sink.texts[before:] if 'looker@example.org' in m]), sink.texts[before:])
    check('and finds it in the inbox', until(lambda: looker.get('core/notices').json['items']))
    looker.put('core/notices/settings', {'task': None})
    before = len(sink.texts)
    admin.post(f'core/tasks/{task}/urge', {'opinion': 'soon'})
    check('with the inbox alone it is only there', until(lambda: len(looker.get('core/notices').json['items']) > 1) and len(sink.texts) == before)
    check('the inbox answers', admin.get('core/notices').json == {'items': [], 'next': None})
    check('and is counted', admin.get('core/notices?unread=1&count=1').json['count'] == 0)
    check('reading all is harmless', admin.post('core/notices/read').status == 204)
    check('only who may sees deliveries', server.client().get('core/deliveries').status == 401)
done()
