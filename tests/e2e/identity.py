"""Users, roles, organisations, sessions, second factor, keys, settings: through the real binary."""
import base64
import hashlib
import hmac
import os
import pathlib
import stat
import struct
import subprocess
import time

from bihuan import BIN, Client, Server, check, done


def totp(secret, step=None):
    key = base64.b32decode(secret)
    step = int(time.time()) // 30 if step is None else step
    digest = hmac.new(key, struct.pack('>Q', step), hashlib.sha1).digest()
    at = digest[-1] & 15
    return '%06d' % ((struct.unpack('>I', digest[at:at + 4])[0] & 0x7fffffff) % 1000000)


with Server() as server:
    # ---- the first start ----
    check('prints address, first password and ready in order',
          [line.split()[0] for line in server.lines] == ['address', 'first', 'ready'], server.lines)
    file = pathlib.Path(server.first[1])
    check('the first password lies in a file of mode 0600', stat.S_IMODE(os.stat(file).st_mode) == 0o600)
    check('the line names the file, not the password', server.first_password() not in ' '.join(server.lines))
    check('/ answers 200', Client(server).get('/').status == 200)
    check('health and readiness answer', Client(server).get('/healthz').status == 200
          and Client(server).get('/readyz').status == 200)
    for path in ('core/users', 'core/nothing', 'x/y/z', 'core/session'):
        answer = Client(server).get(path)
        check(f'401 as problem+json without a session: {path}',
              answer.status == 401 and answer.headers['Content-Type'].startswith('application/problem+json'), answer)

    first = server.first_password()
    admin = server.client()
    answer = admin.login('admin', first)
    check('the first administrator logs in and must change the password',
          answer.status == 200 and answer.json['mustChangePassword'] is True, answer)
    cookie = answer.headers['Set-Cookie']
    check('the cookie is HttpOnly and SameSite', 'HttpOnly' in cookie and 'SameSite=Strict' in cookie, cookie)
    check('nothing else works before that', admin.get('core/roles').code == 'identity.must_change_password')
    for password, code in (('short1A', 'identity.password_short'), ('onlysmallletters', 'identity.password_classes'),
                           ('Admin-is-12345', 'identity.password_login'), (first, 'identity.password_used')):
        answer = admin.change_password(first, password)
        check(f'a poor password is refused: {code}', answer.status == 422 and answer.code == code, answer)
    check('the old password must be right', admin.change_password('wrong', 'Right-Horse-7').code == 'identity.old_wrong')
    check('the password is changed', admin.change_password(first, Server.PASSWORD).status == 204)
    check('the file is gone then', not file.exists())
    check('and everything is open', admin.get('core/roles').status == 200)
    check('the old one no longer works', Client(server).login('admin', first).status == 401)

    # ---- CSRF ----
    bare = server.client()
    bare.cookie = admin.cookie
    check('a change by cookie without the token is refused',
          bare.post('core/roles', {'code': 'x', 'name': 'x'}).code == 'http.csrf')
    bare.csrf = 'x' * 43
    check('or with a wrong one', bare.post('core/roles', {'code': 'x', 'name': 'x'}).code == 'http.csrf')

    # ---- organisations ----
    root = admin.get('core/orgs').json['items'][0]
    a = admin.post('core/orgs', {'code': 'a', 'name': '甲局', 'parent': root['id']}).json
    b = admin.post('core/orgs', {'code': 'b', 'name': '乙局', 'parent': root['id']}).json
    a1 = admin.post('core/orgs', {'code': 'a1', 'name': '甲局一处', 'parent': a['id']}).json
    check('an organisation stands below its parent', a1['path'] == a['path'] + a1['id'] + '/', a1)
    answer = admin.post('core/orgs', {'code': 'a', 'name': 'again', 'parent': root['id']})
    check('a code is there once', answer.status == 409 and answer.code == 'identity.code_there', answer)
    answer = admin.patch(f"core/orgs/{a['id']}", {'parent': a1['id']}, a['version'])
    check('no organisation moves below itself', answer.code == 'identity.org_cycle', answer)
    check('a change without version is 428', admin.patch(f"core/orgs/{a['id']}", {'name': 'x'}).status == 428)
    answer = admin.patch(f"core/orgs/{a1['id']}", {'parent': b['id']}, a1['version'])
    check('a subtree moves', answer.status == 200 and answer.json['path'] == b['path'] + a1['id'] + '/', answer)
    answer = admin.patch(f"core/orgs/{a1['id']}", {'name': 'x'}, a1['version'])
    check('a stale version is 412 with both values',
          answer.status == 412 and answer.json['errors'][0]['args'] == {'given': 1, 'current': 2}, answer)
    answer = admin.patch(f"core/orgs/{a1['id']}", {'parent': a['id']}, 2)
    check('and back again', answer.json['path'] == a['path'] + a1['id'] + '/', answer)
    check('one in use is not deleted', admin.delete(f"core/orgs/{a['id']}", 1).code == 'identity.org_used')
    check('found by text', [o['code'] for o in admin.get('core/orgs?q=%E7%94%B2%E5%B1%80').json['items']] == ['a', 'a1'])
    page = admin.get('core/orgs?limit=2').json
    rest = admin.get(f"core/orgs?limit=2&after={page['next']}").json
    check('pages go on where they ended', len(page['items']) == 2 and len(rest['items']) == 2 and rest['next'] is None,
          (page, rest))
    check('counted', admin.get('core/orgs?count=1').json == {'count': 4, 'exact': True})

    # ---- roles and users ----
    manager = admin.post('core/roles', {'code': 'manager', 'name': '管理', 'permissions': [
        'core.user.*', 'core.org.read', 'core.role.read', 'ops.ticket.*']}).json
    reader = admin.post('core/roles', {'code': 'reader', 'name': '查看', 'permissions': ['ops.ticket.read']}).json
    answer = admin.post('core/roles', {'code': 'bad', 'name': 'x', 'permissions': ['no spaces']})
    check('a permission that is none is refused', answer.status == 422 and answer.code == 'identity.permission', answer)
    listed = admin.get('core/permissions').json['items']
    check('permissions are listed, those of record types too',
          'core.user.create' in listed and 'ops.ticket.update' in listed and '*' not in listed, listed)
    made = admin.post('core/users', {'login': 'zhang', 'name': '张三', 'org': a['id'], 'email': 'z@example.org'})
    check('a user is created with a password for one login', made.status == 201 and len(made.json['password']) >= 16, made)
    zhang = made.json
    answer = admin.post('core/users', {'login': 'zhang', 'name': 'again', 'org': a['id']})
    check('a login is there once', answer.status == 409 and answer.code == 'identity.login_there', answer)
    for body, code in (({'login': 'li', 'name': 'x'}, 'http.field_missing'),
                       ({'login': 'a b', 'name': 'x', 'org': a['id']}, 'identity.login'),
                       ({'login': 'li', 'name': 'x', 'org': a['id'], 'email': 'nobody'}, 'identity.email'),
                       ({'login': 'li', 'name': 'x', 'org': a['id'], 'colour': 1}, 'http.field_unknown'),
                       ({'login': 'li', 'name': 7, 'org': a['id']}, 'http.field_type'),
                       ({'login': 'li', 'name': 'x' * 101, 'org': a['id']}, 'http.field_long')):
        answer = admin.post('core/users', body)
        check(f'a user with a fault is refused: {code}', answer.status in (403, 422) and answer.code == code, answer)
    li = admin.post('core/users', {'login': 'li', 'name': '李四', 'org': b['id']}).json
    answer = admin.put(f"core/users/{zhang['id']}/grants", {'items': [{'role': manager['id'], 'org': a['id']}]},
                       zhang['version'])
    check('a role is given within an organisation', answer.status == 200 and len(answer.json['items']) == 1, answer)
    answer = admin.put(f"core/users/{zhang['id']}/grants", {'items': [{'role': manager['id']}]}, 2)
    check('a grant says where', answer.code == 'identity.grant_scope', answer)
    city = admin.post('core/grid', {'code': 'city', 'name': '全市'}).json
    block = admin.post('core/grid', {'code': 'b1', 'name': '一号网格', 'parent': city['id']}).json
    check('a cell of the grid knows its path', block['path'] == f"/{city['id']}/{block['id']}/", block)
    answer = admin.put(f"core/users/{li['id']}/grants", {'items': [{'role': manager['id'], 'grid': block['id']}]}, 1)
    check('a grant may name a cell of the grid', answer.status == 200 and answer.json['items'][0]['grid'] == block['id']
          and answer.json['items'][0]['grid_name'] == '一号网格', answer)
    answer = admin.put(f"core/users/{li['id']}/grants", {'items': [{'role': manager['id'], 'grid': '5'}]}, 2)
    check('a cell that is not there is refused', answer.code == 'identity.no_grid', answer)
    answer = admin.delete(f"core/grid/{block['id']}", 1)
    check('a cell that is granted stays', answer.status == 409 and answer.code == 'entity.referenced', answer)
    answer = admin.patch(f"core/grid/{city['id']}", {'parent': block['id']}, 1)
    check('a cell cannot lie below itself', answer.code == 'entity.grid_circle', answer)
    check('the grant is taken back', admin.put(f"core/users/{li['id']}/grants", {'items': []}, 2).status == 200)

    z = server.client()
    z.login('zhang', zhang['password'])
    check('zhang changes the password', z.change_password(zhang['password'], 'Zebra-Crossing-1').status == 204)
    users = z.get('core/users').json['items']
    check('zhang sees the users of the own organisation only', [u['login'] for u in users] == ['zhang'], users)
    check('and the count agrees', z.get('core/users?count=1').json['count'] == 1)
    answer = z.get(f"core/users/{li['id']}")
    check('of others only the name', answer.json.get('name') == '李四' and 'email' not in answer.json, answer)
    check('and cannot change them', z.patch(f"core/users/{li['id']}", {'name': 'x'}, li['version']).status == 404)
    answer = z.post('core/users', {'login': 'wang', 'name': '王五', 'org': b['id']})
    check('cannot create one elsewhere', answer.status == 403 and answer.code == 'identity.org_outside', answer)
    answer = z.post('core/users', {'login': 'wang', 'name': '王五', 'org': a1['id']})
    check('but below the own', answer.status == 201, answer)
    wang = answer.json
    def give(items):
        return z.put(f"core/users/{wang['id']}/grants", {'items': items}, wang['version'])
    admin_role = [r for r in admin.get('core/roles').json['items'] if r['code'] == 'admin'][0]
    for what, items in (('a role that holds more', [{'role': admin_role['id'], 'org': a['id']}]),
                        ('the own role elsewhere', [{'role': manager['id'], 'org': b['id']}]),
                        ('the own role everywhere', [{'role': manager['id'], 'all': True}]),
                        ('the own role above', [{'role': reader['id'], 'org': root['id']}])):
        answer = give(items)
        check(f'cannot give {what}', answer.status == 403 and answer.code == 'identity.grant_more', answer)
    answer = give([{'role': reader['id'], 'org': a1['id']}])
    check('can give what is held, below', answer.status == 200, answer)
    answer = z.put(f"core/users/{zhang['id']}/grants", {'items': [{'role': admin_role['id'], 'all': True}]}, 2)
    check('cannot raise oneself', answer.status == 403 and answer.code == 'identity.grant_more', answer)
    check('cannot write roles', z.post('core/roles', {'code': 'q', 'name': 'q'}).status == 403)
    me = [u for u in admin.get('core/users').json['items'] if u['login'] == 'admin'][0]
    check("cannot reset the administrator's password", z.post(f"core/users/{me['id']}/password").status == 404)
    answer = admin.patch(f"core/users/{me['id']}", {'active': False}, me['version'])
    check('the last administrator stays', answer.code == 'identity.last_admin', answer)
    answer = admin.delete(f"core/roles/{manager['id']}", manager['version'])
    check('a role in use stays', answer.code == 'identity.role_used', answer)
    answer = admin.patch(f"core/roles/{manager['id']}", {'permissions': ['core.org.read']}, manager['version'])
    check('a role changes', answer.status == 200 and answer.json['permissions'] == ['core.org.read'], answer)
    check('and it takes effect at once', z.post('core/users', {'login': 'q1', 'name': 'q', 'org': a['id']}).status == 403)

    # ---- sessions ----
    live = server.events(z, 'alarm')
    mine = [s for s in admin.get('core/sessions').json['items'] if s['login'] == 'zhang'][0]
    check('the administrator ends a session', admin.delete(f"core/sessions/{mine['id']}").status == 204)
    check('its next request is 401', z.get('core/session').status == 401)
    check('and its live page ends', live.ended.wait(20))
    z.login('zhang', 'Zebra-Crossing-1')
    check('logging out ends the session', z.ask('DELETE', 'core/session').status == 204)
    z2 = server.client()
    z2.login('zhang', 'Zebra-Crossing-1')
    answer = admin.patch(f"core/users/{zhang['id']}", {'active': False},
                         admin.get(f"core/users/{zhang['id']}").json['version'])
    check('a user is switched off', answer.status == 200 and answer.json['active'] is False, answer)
    check('and is out at once', z2.get('core/session').status == 401)
    check('and cannot log in', z2.login('zhang', 'Zebra-Crossing-1').status == 401)

    # ---- lock-out ----
    l = server.client()
    codes = [l.login('li', 'wrong').code for _ in range(3)]
    check('wrong passwords say only that', codes == ['identity.wrong'] * 3, codes)
    answer = l.login('li', 'wrong')
    check('the fourth try must wait', answer.status == 403 and answer.code == 'identity.wait', answer)
    answers = [Client(server).login('nobody', 'x').code for _ in range(6)]
    check('names that do not exist are locked alike', answers[:5] == ['identity.wrong'] * 5
          and answers[5] == 'identity.locked', answers)
    check('unlocked by the administrator', admin.post(f"core/users/{li['id']}/unlock").status == 204)
    check('and logs in', l.login('li', li['password']).status == 200)

    # ---- the second factor ----
    l.change_password(li['password'], 'Little-Elephant-9')
    secret = l.post('core/session/totp').json['secret']
    check('a wrong code does not confirm', l.post('core/session/totp/confirm', {'code': '000000'}).status == 422)
    step = int(time.time()) // 30
    answer = l.post('core/session/totp/confirm', {'code': totp(secret, step)})
    check('the right one does, and brings ten recovery codes', answer.status == 200 and len(set(answer.json['codes'])) == 10, answer)
    codes = answer.json['codes']
    check('they are counted', l.get('core/session/totp').json == {'on': True, 'codes': 10})
    l2 = server.client()
    answer = l2.login('li', 'Little-Elephant-9')
    check('then the code is asked', answer.status == 401 and answer.code == 'identity.totp_needed', answer)
    used = totp(secret, step)
    check('a code works once only', l2.login('li', 'Little-Elephant-9', used).code == 'identity.totp_wrong')
    answer = l2.login('li', 'Little-Elephant-9', totp(secret, max(step + 1, int(time.time()) // 30)))
    check('the next one is taken', answer.status == 200, answer)
    l3 = server.client()
    check('a recovery code stands for the factor', l3.login('li', 'Little-Elephant-9', codes[3]).status == 200)
    check('and works once', server.client().login('li', 'Little-Elephant-9', codes[3]).code == 'identity.totp_wrong'
          and l3.get('core/session/totp').json['codes'] == 9)
    check('new codes want the password', l3.post('core/session/totp/codes', {'password': 'wrong'}).code == 'identity.old_wrong')
    newer = l3.post('core/session/totp/codes', {'password': 'Little-Elephant-9'}).json['codes']
    check('and end the old ones', server.client().login('li', 'Little-Elephant-9', codes[4]).code == 'identity.totp_wrong')
    admin.post(f"core/users/{li['id']}/unlock")
    check('while they work', server.client().login('li', 'Little-Elephant-9', newer[0]).status == 200)
    check('it is switched off with the password', l2.delete('core/session/totp', body={'password': 'Little-Elephant-9'})
          .status == 204)

    # ---- keys ----
    key = admin.post('core/keys', {'name': 'script', 'days': 1}).json
    robot = server.client(key['key'])
    check('a key acts as its user and needs no token',
          robot.post('core/roles', {'code': 'byrobot', 'name': '机器'}).status == 201)
    narrow = server.client(admin.post('core/keys', {'name': 'narrow', 'days': 1, 'permissions': ['core.role.read', 'core.org.*']}).json['key'])
    check('a key does what it was made for', narrow.get('core/roles').status == 200
          and sorted(narrow.get('core/session').json['permissions']) == ['core.org.*', 'core.role.read'], narrow.get('core/session'))
    check('and nothing else', narrow.post('core/roles', {'code': 'no', 'name': 'x'}).status == 403
          and narrow.get('core/settings').status == 403)
    local = server.client(admin.post('core/keys', {'name': 'local', 'days': 1, 'org': a['id']}).json['key'])
    seen = {one['login'] for one in local.get('core/users').json['items']}
    check('a key of one organisation sees its users only', seen and 'admin' not in seen, seen)
    answer = l2.post('core/keys', {'name': 'x', 'permissions': ['core.user.create']})
    check('a key never holds more than its user', answer.status == 403, answer)
    check('what is no permission is told', admin.post('core/keys', {'name': 'x', 'permissions': ['DROP']}).json['errors'][0]['pointer'] == '/permissions')
    check('a key ends no session of its user', robot.delete(f"core/sessions/{admin.get('core/sessions').json['items'][0]['id']}").code == 'identity.not_for_keys')
    check('a key makes no keys', robot.post('core/keys', {'name': 'x'}).code == 'identity.not_for_keys')
    check('a key ends', admin.delete(f"core/keys/{key['id']}").status == 204 and robot.get('core/session').status == 401)

    # ---- idempotency ----
    head = {'Idempotency-Key': 'one-role'}
    one = admin.post('core/roles', {'code': 'idem', 'name': 'x'}, headers=head)
    two = admin.post('core/roles', {'code': 'idem', 'name': 'x'}, headers=head)
    check('the same key gives the same answer', one.status == two.status == 201 and one.json['id'] == two.json['id'],
          (one, two))
    three = admin.post('core/roles', {'code': 'idem2', 'name': 'x'}, headers=head)
    check('another body under the key is 422', three.status == 422 and three.code == 'identity.idempotency_other', three)

    head = {'Idempotency-Key': 'one-secret'}
    one = admin.post('core/keys', {'name': 'twice', 'days': 1}, headers=head)
    two = admin.post('core/keys', {'name': 'twice', 'days': 1}, headers=head)
    check('a secret that is shown once is in the kept answer', one.json['key'] == two.json['key'], (one, two))
    files = [path for path in pathlib.Path(server.data).rglob('*') if path.is_file()]
    check('where it does not lie in plain', not any(one.json['key'].encode() in path.read_bytes() for path in files), files)

    # ---- settings ----
    settings = admin.get('core/settings').json
    answer = admin.patch('core/settings', {'identity.password.length': 7}, settings['version'])
    check('a setting out of range is refused', answer.status == 422
          and answer.json['errors'][0]['pointer'] == '/identity.password.length', answer)
    answer = admin.patch('core/settings', {'no.such': 7}, settings['version'])
    check('an unknown setting is refused', answer.code == 'http.field_unknown', answer)
    answer = admin.patch('core/settings', {'identity.session.single': True}, settings['version'])
    check('a setting changes', answer.status == 200 and answer.json['version'] == settings['version'] + 1, answer)
    answer = admin.patch('core/settings', {'identity.session.single': True}, settings['version'])
    check('a stale change is 412', answer.status == 412, answer)
    other = server.client()
    other.login('admin', Server.PASSWORD)
    check('then one login ends the other', admin.get('core/session').status == 401
          and other.get('core/session').status == 200)

    # ---- words, menu, language ----
    words = Client(server).get('core/words?lang=en').json
    check('words in the language asked for', words['http.no_login'] == 'please log in')
    check('the menu is an object of items', isinstance(other.get('core/menu').json['items'], list))
    check('the language is kept', other.patch('core/session', {'lang': 'en'}).status == 204
          and other.get('core/session').json['lang'] == 'en')
    check('and messages follow it', other.get('core/nothing/at/all').json['title'] == 'Not found')

    # ---- the command line: through the running server, and without it ----
    def user(*words):
        more = ['--database', server.database] if server.database else []
        return subprocess.run([BIN, 'user', *words, '--data', server.data, *more], capture_output=True, text=True)

    check('the control socket is closed to others',
          stat.S_IMODE(os.stat(server.data + '/control.sock').st_mode) == 0o600)
    made = user('add', 'chen', '--name', '陈', '--role', 'reader')
    check('user add by the running server', made.returncode == 0 and made.stdout.startswith('password chen '), made)
    chen = server.client()
    check('and that password logs in', chen.login('chen', made.stdout.split()[2]).status == 200)
    again = user('add', 'chen')
    check('a login that is there: exit 1', again.returncode == 1 and 'chen' in again.stderr, again)
    check('user list', 'chen\t' in user('list').stdout)
    reset = user('reset', 'chen')
    check('user reset ends the sessions', reset.returncode == 0 and chen.get('core/session').status == 401, reset)
    check('no such user: exit 1', user('reset', 'nobody').returncode == 1)
    check('wrong usage: exit 2', user('add').returncode == 2 and user('shout').returncode == 2)

    check('SIGTERM ends with 0', server.stop() == 0)
    reset = user('reset', 'chen')
    check('user reset without a server', reset.returncode == 0 and reset.stdout.startswith('password chen '), reset)
    server.start()
    check('and it logs in', chen.login('chen', reset.stdout.split()[2]).status == 200)
    check('a session outlives a restart', other.get('core/session').status == 200)
done()
