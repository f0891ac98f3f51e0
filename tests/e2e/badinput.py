"""Bad input against the real binary: each has a clear answer, and the server goes on."""
import json
import os
import signal
import socket
import ssl
import subprocess
import time

from bihuan import BIN, Client, Server, check, done, flood, sooner

CONF = 'workers = 2\nqueue = 4\nbody-kb = 64\nupload-mb = 1\n'


def raw(server, data, wait=10, tls=None):
    """Sends bytes, answers everything that comes back until the end of the connection."""
    connection = server.socket()
    connection.settimeout(wait)
    if tls:
        connection = tls.wrap_socket(connection, server_hostname='localhost')
    try:
        connection.sendall(data)
    except OSError:
        pass
    out = b''
    try:
        while True:
            got = connection.recv(65536)
            if not got:
                break
            out += got
    except OSError:
        pass
    connection.close()
    return out


def status(answer):
    return int(answer.split()[1]) if answer.startswith(b'HTTP/1.1 ') else 0


with Server(conf=CONF) as server:
    admin = server.login_first()
    role = admin.post('core/roles', {'code': 'r', 'name': 'r'}).json
    auth = f'Cookie: bihuan_session={admin.cookie}\r\nX-CSRF-Token: {admin.csrf}\r\n'
    post = 'POST /api/v1/core/roles HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n' + auth

    # ---- bodies ----
    for what, body, code in (
            ('malformed JSON', b'{"code":', 'base.json'),
            ('a key twice', b'{"code":"q","code":"w","name":"x"}', 'http.json_duplicate'),
            ('an unknown field', b'{"code":"q","name":"x","colour":1}', 'http.field_unknown'),
            ('a wrong type', b'{"code":7,"name":"x"}', 'http.field_type'),
            ('too long', b'{"code":"q","name":"' + b'x' * 101 + b'"}', 'http.field_long'),
            ('not UTF-8', b'{"code":"q","name":"\xff\xfe"}', 'http.json_utf8'),
            ('a NUL', b'{"code":"q\\u0000","name":"x"}', 'base.json'),
            ('a JSON bomb', b'[' * 60000, 'http.json_depth'),
            ('a number of a thousand digits', b'{"code":' + b'9' * 1000 + b',"name":"x"}', 'base.json'),
            ('nothing', b'', 'http.body_missing'),
            ('no object', b'"text"', 'http.field_type')):
        answer = admin.ask('POST', 'core/roles', raw=body, headers={'Content-Type': 'application/json'})
        check(f'{what}: 422 {code}', answer.status == 422 and answer.code == code, answer)
    answer = admin.ask('POST', 'core/roles', raw=b'{}', headers={'Content-Type': 'text/plain'})
    check('another content type is refused', answer.code == 'http.content_type', answer)
    answer = admin.ask('POST', 'core/roles', raw=b'{"code":"q","name":"' + b'x' * 70000 + b'"}',
                       headers={'Content-Type': 'application/json'})
    check('a body over its limit is 413', answer.status == 413, answer)
    answer = admin.ask('POST', 'core/roles', {'code': 'r', 'name': 'again'})
    check('a duplicate key of the store is 409', answer.status == 409, answer)
    answer = admin.patch(f"core/roles/{role['id']}", {'name': 'x'}, role['version'] + 5)
    check('a stale version is 412', answer.status == 412, answer)

    # ---- a 1 GB body, announced and not ----
    def rss():
        return int(next(l for l in open(f'/proc/{server.process.pid}/status') if l.startswith('VmRSS')).split()[1])

    rss_before = rss()
    began = time.time()
    answer = raw(server, (post + 'Content-Length: 1073741824\r\n\r\n').encode())
    check('1 GB announced: 413 at once', status(answer) == 413 and time.time() - began < 10, answer[:300])
    connection = server.socket()
    connection.sendall((post + 'Transfer-Encoding: chunked\r\n\r\n').encode())
    chunk, sent = b'100000\r\n' + b'x' * 0x100000 + b'\r\n', 0
    try:
        while sent < 1 << 30:
            connection.sendall(chunk)
            sent += len(chunk)
    except OSError:
        pass
    connection.close()
    check('1 GB in chunks is cut off after a few MB', sent < 64 << 20, sent)
    check('and costs no memory', rss() - rss_before < 30000, (rss_before, rss()))

    # ---- request lines and headers ----
    for what, data, want in (
            ('no HTTP at all', b'hello\r\n\r\n', (0, 400, 405)),
            ('a header of 100 kB', b'GET /healthz HTTP/1.1\r\nHost: x\r\nX: ' + b'a' * 100000 + b'\r\n\r\n', (413, 431)),
            ('an address of 100 kB', b'GET /' + b'a' * 100000 + b' HTTP/1.1\r\nHost: x\r\n\r\n', (414, 413, 431)),
            ('a NUL in the address', b'GET /api/v1/core%00/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', (400,)),
            ('no UTF-8 in the address', b'GET /%ff%fe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', (422,)),
            ('climbing', b'GET /../../../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', (404, 200)),
            ('two lengths', (post + 'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}').encode(), (400, 413, 422, 0)),
            ('a negative length', (post + 'Content-Length: -1\r\n\r\n').encode(), (400, 413, 0)),
            ('an unknown method', b'BREW /api/v1/core/roles HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', (401, 405))):
        answer = raw(server, data)
        check(f'{what}: {" or ".join(map(str, want))}', status(answer) in want and b'root:' not in answer, answer[:300])

    # ---- slow clients ----
    slow = [server.socket() for _ in range(50)]
    for connection in slow:
        connection.sendall(b'GET /api/v1/core/roles HTTP/1.1\r\nHost')
    half = server.socket()
    half.sendall((post + 'Content-Length: 1000\r\n\r\n{"code"').encode())
    began = time.time()
    check('50 slow clients hold up nobody', admin.get('core/roles').status == 200 and time.time() - began < 5)
    for connection in slow:
        connection.close()
    half.close()

    # ---- queue full ----
    answers, busy = flood(server, 60)
    check('a full queue answers 503 with Retry-After', busy and all(a[2] for a in busy), answers)
    check('at once', sooner(busy, answers), answers)
    check('and nobody hangs', len(answers) == 60 and all(a[1] < 30 for a in answers), answers)
    check('metrics count them', b'bihuan_http_busy_total' in Client(server).get('/metrics').body)
    check('the server goes on', admin.get('core/roles').status == 200)

    # ---- reload, drain ----
    server.reload()
    check('SIGHUP loses nobody', admin.get('core/roles').status == 200)
    live = server.events(admin, 'alarm')
    began = time.time()
    check('SIGTERM ends with 0, soon, although a page listens', server.stop() == 0 and time.time() - began < 20)
    check('and the page is told', live.ends())

# ---- the process itself ----
with Server() as server:
    second = subprocess.run([BIN, 'serve', '--data', server.data, '--port', '0'], capture_output=True, text=True)
    check('a locked directory: exit 3 that says so', second.returncode == 3 and second.stderr.strip(), second)
    other = subprocess.run([BIN, 'serve', '--data', server.data + '-2', '--port', str(server.port)],
                           capture_output=True, text=True)
    check('a taken port: exit 3 that names it', other.returncode == 3 and str(server.port) in other.stderr, other)
    subprocess.run(['rm', '-rf', server.data + '-2'])
    server.stop(signal.SIGKILL)
    server.start()
    check('kill -9 leaves no lock behind', server.client().get('/readyz').status == 200)
for what, line in (('an unknown key', 'prot = 1'), ('a bad number', 'port = x'), ('half of TLS', 'tls-cert = x.pem')):
    data = f'/tmp/bihuan-e2e-conf-{os.getpid()}'
    os.makedirs(data, exist_ok=True)
    with open(data + '/bihuan.conf', 'w') as file:
        file.write('# a line before\n' + line + '\n')
    bad = subprocess.run([BIN, 'serve', '--data', data, '--port', '0'], capture_output=True, text=True)
    check(f'bihuan.conf with {what}: exit 2', bad.returncode == 2 and bad.stderr.strip(), bad)
    subprocess.run(['rm', '-rf', data])
bad = subprocess.run([BIN, 'serve', '--roles', 'web', '--data', '/tmp/none'], capture_output=True, text=True)
check('--roles with fewer is refused by name', bad.returncode == 2 and 'web' in bad.stderr, bad)

# ---- TLS by the library ----
tls_dir = f'/tmp/bihuan-e2e-tls-{os.getpid()}'
os.makedirs(tls_dir, exist_ok=True)


def make_certificate():
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', tls_dir + '/key.pem', '-out', tls_dir + '/cert.pem', '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost'], check=True, capture_output=True)


make_certificate()
with Server(conf=f'tls-cert = {tls_dir}/cert.pem\ntls-key = {tls_dir}/key.pem\n') as server:
    context = ssl.create_default_context(cafile=tls_dir + '/cert.pem')
    check('the address says https', server.address.startswith('https://'), server.address)
    answer = raw(server, b'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', tls=context)
    check('TLS answers', status(answer) == 200, answer)
    check('with HSTS', b'Strict-Transport-Security' in answer)
    body = json.dumps({'user': 'admin', 'password': server.first_password()}).encode()
    answer = raw(server, b'POST /api/v1/core/session HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n'
                 b'Content-Type: application/json\r\nContent-Length: %d\r\n\r\n' % len(body) + body, tls=context)
    check('and the cookie is Secure', status(answer) == 200 and b'; Secure' in answer, answer[:600])
    # a new certificate by SIGHUP, while a connection stands
    def certificate():
        with context_any.wrap_socket(server.socket(), server_hostname='localhost') as one:
            return one.getpeercert(True)

    context_any = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context_any.check_hostname, context_any.verify_mode = False, ssl.CERT_NONE
    before = certificate()
    with context_any.wrap_socket(server.socket(), server_hostname='localhost') as standing:
        make_certificate()
        server.reload()
        check('a new certificate is taken by SIGHUP', certificate() != before)
        standing.sendall(b'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
        check('and what stood goes on', b' 200 ' in standing.recv(1000))
    before = certificate()
    with open(tls_dir + '/key.pem', 'w') as file:
        file.write('nonsense')
    server.reload()
    check('a bad one is not', certificate() == before)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers('ALL:@SECLEVEL=0')
    try:
        raw(server, b'GET /healthz HTTP/1.1\r\n\r\n', tls=old)
        check('TLS 1.1 is refused', False)
    except (ssl.SSLError, OSError):
        check('TLS 1.1 is refused', True)
subprocess.run(['rm', '-rf', tls_dir])
done()
