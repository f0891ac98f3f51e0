"""nginx in front, as docs/https.md says: TLS there, the client's address, secure cookies, live pages, large bodies."""
import http.client
import json
import os
import shutil
import ssl
import socket
import subprocess
import tempfile
import threading

from bihuan import Server, check, done, until


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


folder = tempfile.mkdtemp(prefix='bihuan-e2e-nginx-')
os.chmod(folder, 0o755)
subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                '-keyout', folder + '/key.pem', '-out', folder + '/cert.pem', '-days', '2', '-subj', '/CN=localhost',
                '-addext', 'subjectAltName=DNS:localhost'], check=True, capture_output=True)
with Server(conf='proxies = 127.0.0.1\nupload-mb = 1\n') as server:
    port = free_port()
    with open(folder + '/nginx.conf', 'w') as file:
        file.write(f'''
pid {folder}/pid;
error_log {folder}/error.log;
worker_processes 1;
daemon off;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u;
    scgi_temp_path {folder}/s;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/cert.pem;
        ssl_certificate_key {folder}/key.pem;
        client_max_body_size 100m;
        location / {{
            proxy_pass http://127.0.0.1:{server.port};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_read_timeout 120s;
            proxy_request_buffering off;
        }}
    }}
}}
''')
    nginx = subprocess.Popen(['nginx', '-e', folder + '/error.log', '-c', folder + '/nginx.conf', '-p', folder])
    context = ssl.create_default_context(cafile=folder + '/cert.pem')

    def ask(method, path, body=None, headers=None):
        connection = http.client.HTTPSConnection('localhost', port, context=context, timeout=30)
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    until(lambda: ask('GET', '/healthz'))
    try:
        check('the application comes through', ask('GET', '/')[0] == 200)
        body = json.dumps({'user': 'admin', 'password': server.first_password()})
        status, headers, text = ask('POST', '/api/v1/core/session', body, {'Content-Type': 'application/json'})
        cookie = headers['Set-Cookie'] or ''
        check('logging in through the proxy', status == 200, text)
        check('the cookie is Secure', '; Secure' in cookie, cookie)
        check('HSTS is sent', headers['Strict-Transport-Security'] is not None)
        auth = {'Cookie': cookie.split(';')[0], 'X-CSRF-Token': json.loads(text)['csrf'],
                'Content-Type': 'application/json'}
        new = json.dumps({'old': server.first_password(), 'new': Server.PASSWORD})
        check('a change', ask('POST', '/api/v1/core/session/password', new, auth)[0] == 204)
        status, _, text = ask('GET', '/metrics')
        check("the client's own address counts: loopback may read metrics", status == 200, text[:200])
        for claim in ('203.0.113.9', '127.0.0.1, 203.0.113.9', '127.0.0.1, 203.0.113.9, 127.0.0.1'):
            direct = http.client.HTTPConnection('127.0.0.1', server.port)
            direct.request('GET', '/metrics', headers={'X-Forwarded-For': claim})
            check(f'the last address that no proxy of ours has counts: {claim}', direct.getresponse().status == 403)
            direct.close()
        connection = http.client.HTTPSConnection('localhost', port, context=context, timeout=30)
        connection.request('GET', '/api/v1/core/events?topics=alarm', headers=auth)
        answer = connection.getresponse()
        got = []
        reader = threading.Thread(target=lambda: got.append(answer.read(10)), daemon=True)
        reader.start()
        reader.join(30)
        check('live pages are not buffered', answer.status == 200 and got and got[0], got)
        status, _, text = ask('POST', '/api/v1/core/roles', b'x' * (3 << 20), auth)
        check('a body that is too large is 413', status == 413, text[:200])
        check('the session list shows the address of the client',
              b'"remote":"127.0.0.1"' in ask('GET', '/api/v1/core/sessions', headers=auth)[2])
    finally:
        nginx.terminate()
        nginx.wait()
        shutil.rmtree(folder, ignore_errors=True)
done()
