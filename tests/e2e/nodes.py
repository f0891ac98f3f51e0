"""Two nodes on one PostgreSQL: what is changed on one counts on the other, and what must happen once does."""
import signal
import subprocess
import time

from bihuan import BIN, Server, check, done, until

CONTACTS = 150


def rotate(server, *words):
    got = subprocess.run([BIN, 'key', 'rotate', '--data', server.data, '--database', server.database, *words],
                         capture_output=True, text=True, timeout=120)
    return got.returncode, dict(line.split(' ', 1) for line in got.stdout.splitlines() if ' ' in line), got


with Server(store='postgres') as one:
    key_file = one.data + '/keys/master.key'
    two = Server(conf=f'key-file = {key_file}\n', store='postgres')
    two.database = one.database
    with two:
        admin = one.login_first()
        check('the second node has no first password to tell', two.first is None, two.lines)

        def on(server, client):
            """The same session at another node."""
            other = server.client()
            other.cookie, other.csrf = client.cookie, client.csrf
            return other

        there = on(two, admin)
        check('a session counts on both nodes', there.get('core/session').status == 200)
        org = admin.get('core/session').json['user']['org']

        def user(login, password, role=None):
            made = admin.post('core/users', {'login': login, 'name': login, 'org': org}).json
            if role:
                admin.put(f"core/users/{made['id']}/grants", {'items': [{'role': role, 'all': True}]}, made['version'])
            client = one.client()
            client.login(login, made['password'])
            answer = client.change_password(made['password'], password)
            assert answer.status == 204, answer
            return made, client

        # ---- schedules fire once ----
        folder = one.data + '/scheduled'
        answer = admin.post('core/schedules', {'kind': 'core.backup', 'spec': '* * * * *', 'params': {'folder': folder, 'keep': 50}})
        check('a schedule of every minute', answer.status == 201, answer)
        schedule = answer.json
        check('is seen by the other node', schedule['id'] in [s['id'] for s in there.get('core/schedules').json['items']])

        def runs():
            items = admin.get('core/jobs?kind=core.backup&limit=100').json['items']
            return [j for j in items if j['params'].get('folder') == folder]
        # ---- settings ----
        settings = admin.get('core/settings').json
        answer = admin.patch('core/settings', {'identity.password.length': 20}, settings['version'])
        check('a setting changes on one node', answer.status == 200, answer)

        def length():
            items = there.get('core/settings').json['items']
            return [i['value'] for i in items if i['key'] == 'identity.password.length'][0]
        check('and counts on the other without a restart', until(lambda: length() == 20), length())
        answer = there.change_password(Server.PASSWORD, 'Short-Horse-7')
        check('it acts there, not only shows', answer.code == 'identity.password_short', answer)
        admin.patch('core/settings', {'identity.password.length': None}, settings['version'] + 1)
        check('and back', until(lambda: length() == 10), length())

        # ---- rights ----
        role = admin.post('core/roles', {'code': 'r', 'name': 'r', 'permissions': ['core.role.read']}).json
        made, z = user('zhang', 'Zebra-Crossing-1', role['id'])
        z2 = on(two, z)
        check('a right counts on both', z2.get('core/roles').status == 200)
        live = two.events(z2, 'alarm')
        admin.patch(f"core/roles/{role['id']}", {'permissions': ['core.org.read']}, role['version'])
        check('a right that is taken is gone on the other node', until(lambda: z2.get('core/roles').status == 403))
        check('and its live page begins anew with the new rights', live.ends())

        # ---- sessions ----
        live, own = two.events(z2, 'alarm'), one.events(z, 'alarm')
        for _ in range(15):  # longer than an entry in memory is believed, so that it is read anew meanwhile
            z.get('core/session')
            z2.get('core/session')
            time.sleep(0.9)
        check('live pages stay while the session does', not live.ended.is_set() and not own.ended.is_set())
        session = [s for s in admin.get('core/sessions').json['items'] if s['login'] == 'zhang'][0]
        check('a session is ended on one node', admin.delete(f"core/sessions/{session['id']}").status == 204)
        check('its live page ends on that node', own.ends())
        check('and on the other', live.ends())
        check('where its next request is 401', until(lambda: z2.get('core/session').status == 401))
        z.login('zhang', 'Zebra-Crossing-1')
        z2 = on(two, z)
        live = two.events(z2, 'alarm')
        check('logging out', z.ask('DELETE', 'core/session').status == 204)
        check('ends the page on the other node', live.ends())
        check('and the session', until(lambda: z2.get('core/session').status == 401))
        z.login('zhang', 'Zebra-Crossing-1')
        key = z.post('core/keys', {'name': 'k', 'days': 1})
        z2 = on(two, z)
        live = two.events(z2, 'alarm')
        answer = admin.patch(f"core/users/{made['id']}", {'active': False}, admin.get(f"core/users/{made['id']}").json['version'])
        check('a user who is switched off', answer.status == 200, answer)
        check('loses the live page on the other node', live.ends())
        check('and is out', until(lambda: z2.get('core/session').status == 401))

        # ---- sessions that run out: used last on one node, with a page on the other ----
        for what, column in (('unused for too long', "seen_at = seen_at - 7200000"), ('at the end of its time', "ends_at = 1")):
            made, z = user('old-' + column[:4], 'Old-Elephant-33')
            live = two.events(on(two, z), 'alarm')
            one.psql(f"UPDATE user_session SET {column} WHERE user_id = {made['id']}")
            check(f'a live page ends when its session is {what}', live.ends())

        # ---- lock-out ----
        made, _ = user('li', 'Little-Elephant-9')
        clients, codes = [one.client(), two.client()], []
        for i in range(5):
            codes.append(clients[i % 2].login('li', 'wrong-password').code)
            if codes[-1] == 'identity.wait':
                break
        check('failures on both nodes count together: the fourth try waits', codes == ['identity.wrong'] * 3 + ['identity.wait'],
              codes)
        answer = two.client().login('li', 'Little-Elephant-9')
        check('also with the right password, on either node', answer.code == 'identity.wait', answer)
        check('unlocked on one', admin.post(f"core/users/{made['id']}/unlock").status == 204)
        check('in on the other', two.client().login('li', 'Little-Elephant-9').status == 200)

        # ---- an Idempotency-Key at another node ----
        head = {'Idempotency-Key': 'across'}
        first = admin.post('core/roles', {'code': 'idem', 'name': 'x'}, headers=dict(head))
        again = there.post('core/roles', {'code': 'idem', 'name': 'x'}, headers=dict(head))
        check('the same key at the other node gives the same answer',
              first.status == again.status == 201 and first.body == again.body
              and first.headers['Location'] and first.headers['Location'] == again.headers['Location']
              and first.headers['ETag'] == again.headers['ETag'], (first.headers.items(), again.headers.items()))

        # ---- master keys ----
        made = [admin.post('ops/contact', {'name': f'c{i}', 'phone': f'138{i:08d}'}).json['id'] for i in range(CONTACTS)]
        status, lines, text = rotate(one)
        check('a key is rotated on one node', status == 0 and lines.get('key') == '2', text)
        check('nothing is sealed by the old one',
              one.psql("SELECT DISTINCT split_part(phone, '.', 2) FROM ops_contact WHERE phone IS NOT NULL") == ['2'])
        answer = there.get(f'ops/contact/{made[0]}')
        check('the other node reads what the new key sealed', answer.status == 200 and answer.json['phone'] == '13800000000', answer)
        fresh = there.post('ops/contact', {'name': 'fresh', 'phone': '13900000000'})
        got = one.psql(f"SELECT split_part(phone, '.', 2) FROM ops_contact WHERE id = {fresh.json['id']}")
        check('and seals with it', got == ['2'], got)

        # ---- cancel and resume of that work ----
        # a row that another transaction holds keeps the work busy until the cancel is heard
        with one.holding(f'SELECT 1 FROM ops_contact WHERE id = {made[0]} FOR UPDATE'):
            status, lines, text = rotate(one, '--no-wait')
            job = lines.get('job')

            def state(client):
                return client.get(f'core/jobs/{job}').json['state']

            def lease():  # is lengthened every few seconds; that is when the node that works hears of a cancel
                return one.psql(f'SELECT lease_until FROM job WHERE id = {job}')
            check('the work begins', until(lambda: state(there) == 'running'), state(there))
            answer = there.post(f'core/jobs/{job}/cancel')
            asked = lease()
            heard = until(lambda: lease() != asked)
        check('it is cancelled from the other node', answer.status == 200 and heard and until(lambda: state(admin) == 'cancelled'),
              (answer, state(admin)))
        old = one.psql("SELECT DISTINCT split_part(phone, '.', 2) FROM ops_contact WHERE phone IS NOT NULL")
        check('and has not sealed everything', '2' in old, old)
        check('what is cancelled goes on when asked again', there.post(f'core/jobs/{job}/again').status == 200)
        check('and ends', until(lambda: state(admin) == 'done', 60), state(admin))
        got = one.psql("SELECT DISTINCT split_part(phone, '.', 2) FROM ops_contact WHERE phone IS NOT NULL")
        check('with everything under the third key', got == ['3'], got)
        phones = {i['id']: i['phone'] for i in there.get('ops/contact?limit=200').json['items']}
        check('which both nodes read', all(phones.get(one_id) == f'138{i:08d}' for i, one_id in enumerate(made)),
              [(one_id, phones.get(one_id)) for i, one_id in enumerate(made) if phones.get(one_id) != f'138{i:08d}'][:3])

        # ---- what the schedule did meanwhile ----
        check('fires', until(lambda: any(j['state'] == 'done' for j in runs()), 90), runs())
        check('once a minute on two nodes', until(lambda: len(runs()) >= 2, 90)
              and len({j['created_at'][:16] for j in runs()}) == len(runs()), [j['created_at'] for j in runs()])
        check('each started once', all(j['starts'] <= 1 for j in runs()), runs())
        admin.delete(f"core/schedules/{schedule['id']}", schedule['version'])

        # ---- a node dies, its work goes on ----
        two.stop(signal.SIGKILL)
        check('the other goes on when one dies', admin.get('core/session').status == 200)
        two.start()
        check('and takes it back', on(two, admin).get('core/session').status == 200)
        got = subprocess.run([BIN, 'audit', 'verify', '--data', one.data, '--database', one.database], capture_output=True, text=True)
        check('the audit of both verifies', got.returncode == 0, got.stdout + got.stderr)
done()
