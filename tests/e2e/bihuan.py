"""What the end-to-end tests share: the real binary on a free port, a client, and claims.

    from bihuan import Server, check, done
    with Server() as server:
        admin = server.login_first()
        check('says who', admin.get('core/session').status == 200)
    done()

BIHUAN_BIN names the binary (default build/bihuan), BIHUAN_E2E_STORE=postgres runs on a PostgreSQL of our own.
Prints TAP-like lines and ends with `N passed, N failed`.
"""
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = os.environ.get('BIHUAN_BIN', str(ROOT / 'build' / 'bihuan'))
passed, failed = [], []


def check(claim, holds, shown=''):
    (passed if holds else failed).append(claim)
    print(('ok      ' if holds else 'FAILED  ') + claim + ('' if holds else f'\n        {shown}'), flush=True)
    return bool(holds)


def done():
    print(f'{len(passed)} passed, {len(failed)} failed', flush=True)
    sys.exit(1 if failed or not passed else 0)


def until(fn, seconds=30):
    """The first true answer of fn within the time, else the last one: what a claim waits for, never a plain sleep.
    No answer at all counts as a false one."""
    end = time.time() + seconds
    while True:
        try:
            got = fn()
        except (OSError, http.client.HTTPException, KeyError, ValueError):
            got = None
        if got or time.time() > end:
            return got
        time.sleep(0.05)


def flood(server, count):
    """So many wrong logins at once: each a (status, seconds, Retry-After, answer), and those of them that got 503."""
    answers = []

    def one():
        began = time.time()
        got = Client(server).login('admin', 'wrong-password')
        answers.append((got.status, time.time() - began, got.headers.get('Retry-After'), got))

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers, [one for one in answers if one[0] == 503]


def sooner(busy, answers):
    """Were those that were turned away not made to wait as those that were served?"""
    def middle(some):
        return sorted(one[1] for one in some)[len(some) // 2]
    served = [one for one in answers if one not in busy]
    return busy and served and middle(busy) < max(1, middle(served))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of the first entry of errors[] of a problem, or ''."""
        try:
            return self.json['errors'][0]['code']
        except (ValueError, KeyError, IndexError, TypeError):
            return ''

    def __repr__(self):
        return f'{self.status} {self.body[:600]!r}'


class Client:
    """One browser: cookie, CSRF token; or an API key."""

    def __init__(self, server, key=None):
        self.server, self.key, self.cookie, self.csrf = server, key, '', ''

    def ask(self, method, path, body=None, headers=None, raw=None, timeout=30):
        connection = http.client.HTTPConnection('127.0.0.1', self.server.port, timeout=timeout)
        send = dict(headers or {})
        if self.cookie:
            send.setdefault('Cookie', f'bihuan_session={self.cookie}')
        if self.csrf:
            send.setdefault('X-CSRF-Token', self.csrf)
        if self.key:
            send.setdefault('Authorization', f'Bearer {self.key}')
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
            send.setdefault('Content-Type', 'application/json')
        if not path.startswith('/'):
            path = '/api/v1/' + path
        try:
            connection.request(method, path, data, send)
            got = connection.getresponse()
            answer = Answer(got.status, got.headers, got.read())
        finally:
            connection.close()
        for cookie in answer.headers.get_all('Set-Cookie') or []:
            if cookie.startswith('bihuan_session='):
                self.cookie = cookie.split(';')[0].split('=', 1)[1]
        return answer

    def get(self, path, **more):
        return self.ask('GET', path, **more)

    def post(self, path, body=None, **more):
        return self.ask('POST', path, body if body is not None else {}, **more)

    def patch(self, path, body, version=None, **more):
        headers = more.pop('headers', {})
        if version is not None:
            headers['If-Match'] = version if isinstance(version, str) else f'"{version}"'
        return self.ask('PATCH', path, body, headers=headers, **more)

    def put(self, path, body, version=None, **more):
        headers = {'If-Match': f'"{version}"'} if version is not None else {}
        return self.ask('PUT', path, body, headers=headers, **more)

    def delete(self, path, version=None, body=None, **more):
        headers = {'If-Match': f'"{version}"'} if version is not None else {}
        return self.ask('DELETE', path, body, headers=headers, **more)

    def login(self, user, password, totp=None):
        body = {'user': user, 'password': password}
        if totp:
            body['totp'] = totp
        self.cookie = self.csrf = ''
        answer = self.post('core/session', body)
        if answer.status == 200:
            self.csrf = answer.json['csrf']
        return answer

    def change_password(self, old, new):
        return self.post('core/session/password', {'old': old, 'new': new})


class Server:
    PASSWORD = 'Right-Horse-7'

    def __init__(self, *options, data=None, conf='', env=None, store=None, binary=BIN):
        self.options, self.conf, self.env = list(options), conf, dict(os.environ, **(env or {}))
        self.binary = binary
        self.own_data = data is None
        self.data = data or tempfile.mkdtemp(prefix='bihuan-e2e-')
        self.process = None
        self.port = 0
        self.address = self.first = None
        self.lines = []
        self.database = None
        self.postgres = store or os.environ.get('BIHUAN_E2E_STORE')
        self.pg_dir = None

    def __enter__(self):
        if self.conf:
            pathlib.Path(self.data, 'bihuan.conf').write_text(self.conf)
        if self.postgres == 'postgres' and not self.database:
            self.pg_dir = tempfile.mkdtemp(prefix='bihuan-e2e-pg-')
            os.chmod(self.pg_dir, 0o755)
            out = subprocess.run([str(ROOT / 'tests' / 'pg'), 'start', self.pg_dir], check=True,
                                 capture_output=True, text=True).stdout
            self.database = out.strip().splitlines()[-1]
        self.start()
        return self

    def start(self, wait=180):
        command = [self.binary, 'serve', '--data', self.data, '--port', str(self.port)] + self.options
        if self.database:
            command += ['--database', self.database]
        self.log = open(os.path.join(self.data, 'serve.log'), 'a')
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True, env=self.env)
        ready = threading.Event()

        def read():
            for line in self.process.stdout:
                self.lines.append(line.rstrip('\n'))
                if line.startswith('address '):
                    self.address = line.split()[1]
                    self.port = int(self.address.rsplit(':', 1)[1])
                if line.startswith('first password '):
                    self.first = line.split()[2:]
                if line.strip() == 'ready':
                    ready.set()
            ready.set()

        threading.Thread(target=read, daemon=True).start()
        if not ready.wait(wait) or self.process.poll() is not None:
            self.log.flush()
            raise SystemExit('serve did not get ready:\n' + open(self.log.name).read()[-4000:])
        return self

    def stop(self, how=signal.SIGTERM, wait=60):
        """Ends the process; returns its exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(wait)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                return -999
        return self.process.returncode if self.process else None

    def __exit__(self, *_):
        self.stop()
        if self.pg_dir:
            subprocess.run([str(ROOT / 'tests' / 'pg'), 'remove', self.pg_dir], capture_output=True)
            shutil.rmtree(self.pg_dir, ignore_errors=True)
        if failed and os.environ.get('BIHUAN_E2E_KEEP'):
            print('kept', self.data)
        elif self.own_data:
            shutil.rmtree(self.data, ignore_errors=True)

    def reload(self):
        """SIGHUP; returns what the log says until the work is done."""
        log = pathlib.Path(self.log.name)
        size = log.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        until(lambda: b'serve.reloaded' in log.read_bytes()[size:])
        return log.read_bytes()[size:].decode()

    def psql(self, sql):
        """The lines of a statement's answer, for what the API does not tell."""
        got = subprocess.run(self.psql_command() + ['-c', sql], capture_output=True, text=True)
        assert got.returncode == 0, got.stderr
        return got.stdout.splitlines()

    def psql_command(self):
        host = self.database.split('host=')[1].replace('%2F', '/')
        return ['psql', '-h', host, '-U', 'bihuan', '-qAt', 'postgres']

    def holding(self, sql):
        """A context in which another transaction holds the locks that `sql` takes."""
        return Holding(self, sql)

    def client(self, key=None):
        return Client(self, key)

    def first_password(self):
        return pathlib.Path(self.first[1]).read_text().strip()

    def login_first(self):
        """The first administrator, with the password changed to Server.PASSWORD."""
        admin = self.client()
        first = self.first_password()
        assert admin.login('admin', first).status == 200
        answer = admin.change_password(first, self.PASSWORD)
        assert answer.status == 204, answer
        return admin

    def socket(self):
        return socket.create_connection(('127.0.0.1', self.port), timeout=30)

    def events(self, client, topics):
        return Events(self, client, topics)


class Holding:
    def __init__(self, server, sql):
        self.command, self.sql = server.psql_command() + ['-v', 'ON_ERROR_STOP=1'], sql

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(f'BEGIN;\n{self.sql};\n\\echo held\n')
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line == 'held\n':
                return self
        raise SystemExit('psql does not hold: ' + self.sql)

    def __exit__(self, *_):
        self.process.communicate('COMMIT;\n')


class Events:
    """A live page: reads server-sent events in the background."""

    def __init__(self, server, client, topics):
        self.connection = http.client.HTTPConnection('127.0.0.1', server.port, timeout=60)
        self.connection.request('GET', f'/api/v1/core/events?topics={topics}',
                                headers={'Cookie': f'bihuan_session={client.cookie}'})
        self.answer = self.connection.getresponse()
        self.got, self.ended = [], threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        topic = None
        try:
            for line in self.answer:
                line = line.decode().rstrip('\n')
                if line.startswith('event: '):
                    topic = line[7:]
                elif line.startswith('data: ') and topic:
                    self.got.append((topic, json.loads(line[6:])))
                    topic = None
        except (OSError, ValueError, http.client.HTTPException):
            pass
        self.ended.set()

    def wait(self, test, seconds=30):
        """The first event that passes the test, or None."""
        return until(lambda: next((data for topic, data in list(self.got) if test(topic, data)), None), seconds)

    def ends(self, seconds=30):
        return self.ended.wait(seconds)


def unique(prefix):
    return f'{prefix}{uuid.uuid4().hex[:8]}'
