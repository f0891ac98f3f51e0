"""People work while one in some hundred allocations fails on any thread: every answer is whole and honest, nothing
that was acknowledged is lost, and when there is memory again all goes on, without a restart."""
import http.client
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time

from bihuan import BIN, Server, check, done, until

SECONDS = float(os.environ.get('MEMORY_S', '4'))
ONE_IN = [int(n) for n in os.environ.get('MEMORY_ONE_IN', '400,60').split(',')]
WORKERS = 6
folder = tempfile.mkdtemp(prefix='bihuan-memory-')
control = pathlib.Path(folder, 'one-in')
control.write_bytes(struct.pack('=I', 0))


def scarce(one_in):
    with open(control, 'r+b') as file:
        file.write(struct.pack('=I', one_in))


made, odd, counts, lock = {}, [], {}, threading.Lock()


def note(what, answer, fine):
    """Counts an answer; keeps the odd ones: neither as without shortage nor an honest refusal."""
    kind = 'as ever' if answer.status in fine else 'refused'
    problem = answer.status not in fine
    try:
        body = json.loads(answer.body) if problem or what != 'export' and answer.body else None
        honest = not problem or (body['status'] == answer.status and body['title'] and answer.status in (500, 503)
                                 and answer.headers['Content-Type'].startswith('application/problem+json'))
    except (ValueError, KeyError, TypeError):
        honest = False
    with lock:
        counts[kind] = counts.get(kind, 0) + 1
        if not honest:
            odd.append((what, answer))


def work(server, admin, seed, stop):
    dice = random.Random(seed)
    number = 0
    while not stop.is_set():
        number += 1
        name = f'm{seed}-{number}'
        act = dice.randrange(9)
        try:
            if act == 0:
                note('list', admin.get('ops/contact?q=m1&sort=-name'), (200,))
            elif act == 1:
                note('filter', admin.get('ops/contact?filter=name%20!%3D%20%22x%22&count=1'), (200,))
            elif act == 2:
                note('alarm', admin.post('core/alarms/signal', {'key': name, 'grade': 2, 'title': name}), (200, 201, 202, 204))
            elif act == 3:
                note('export', admin.get('ops/contact/export?format=csv'), (200,))
            elif act == 4:
                note('login', server.client().login('admin', Server.PASSWORD), (200,))
            elif act == 5:
                note('job', admin.post('core/jobs', {'kind': 'core.audit_verify'}), (202, 409, 422, 404))
            elif act == 6:
                note('session', admin.get('core/session'), (200,))
            elif act == 7:
                note('types', admin.get('core/types/ops/contact'), (200,))
            else:
                answer = admin.post('ops/contact', {'name': name, 'phone': f'138{dice.randrange(10**8):08d}'})
                note('create', answer, (201,))
                if answer.status == 201:
                    with lock:
                        made[answer.json['id']] = name
        except (OSError, http.client.HTTPException, ValueError) as cause:
            with lock:
                kind = 'closed' if isinstance(cause, (ConnectionError, http.client.HTTPException)) else 'hung'
                counts[kind] = counts.get(kind, 0) + 1
                if kind == 'hung':
                    odd.append(('no answer', repr(cause)))


with Server(store=sys.argv[1], binary=os.environ['BIHUAN_SCARCE_BIN'], env={'BIHUAN_SCARCE': str(control)}) as server:
    admin = server.login_first()
    page = server.events(admin, 'alarm')
    for one_in in ONE_IN:
        counts.clear()
        stop = threading.Event()
        workers = [threading.Thread(target=work, args=(server, admin, 100 * one_in + i, stop)) for i in range(WORKERS)]
        scarce(one_in)
        for worker in workers:
            worker.start()
        time.sleep(SECONDS)
        stop.set()
        for worker in workers:
            worker.join(60)
        scarce(0)
        print(f'# one in {one_in}: {counts}', flush=True)
        check(f'the server lives while one in {one_in} allocations fails', server.process.poll() is None,
              open(server.log.name).read()[-3000:])
        if server.process.poll() is not None:
            break
        check('something failed and something worked', counts.get('as ever') and len(counts) > 1, counts)
    check('every answer was whole and honest', not odd, odd[:5])
    if server.process.poll() is None:
        check('with memory again people work on', until(lambda: admin.get('core/session').status == 200, 20))
        lost = [name for id, name in made.items() if admin.get(f'ops/contact/{id}').json.get('name') != name]
        check(f'each of {len(made)} acknowledged records is there', made and not lost, lost[:5])
        key = f'after-{time.time()}'
        check('an alarm is taken', admin.post('core/alarms/signal', {'key': key, 'grade': 1, 'title': key}).status in (200, 201, 202, 204))
        check('and stands in the list', until(lambda: any(a['title'] == key for a in admin.get('core/alarms?limit=200').json['items'])))
        job = admin.post('core/jobs', {'kind': 'core.backup'})
        check('a job runs', job.status == 202 and until(lambda: admin.get(f"core/jobs/{job.json['id']}").json['state'] == 'done', 60), job)
        fresh = server.events(admin, 'alarm')
        admin.post('core/alarms/signal', {'key': key + 'b', 'grade': 1, 'title': key + 'b'})
        check('live pages hear', fresh.wait(lambda topic, data: topic == 'alarm', 20))
        more = ['--database', server.database] if server.database else []
        got = subprocess.run([BIN, 'audit', 'verify', '--data', server.data] + more, capture_output=True, text=True)
        check('the audit chain verifies', got.returncode == 0, got.stdout + got.stderr)
    check('it ends as it should', server.stop() == 0, open(server.log.name).read()[-2000:])
done()
