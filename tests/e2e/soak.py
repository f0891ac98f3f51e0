"""A soak of the HTTP server with a stall detector: many keep-alive connections, live pages, uploads that stop half-way.

SOAK_S seconds (default 60), SOAK_CONNECTIONS (default 512).  A request without an answer for STALL_S is a stall; a
second without any answer at all while requests are out is one too.  Prints throughput and latency.
"""
import json
import os
import random
import select
import socket
import threading
import time

from bihuan import Server, check, done

SECONDS = float(os.environ.get('SOAK_S', '60'))
CONNECTIONS = int(os.environ.get('SOAK_CONNECTIONS', '512'))
LISTENERS = int(os.environ.get('SOAK_LISTENERS', '200'))
STALL_S = 5.0


class Link:
    """One keep-alive connection that asks again as soon as it is answered."""

    def __init__(self, port, request):
        self.port, self.request = port, request
        self.socket, self.buffer, self.sent_at = None, b'', 0.0
        self.connect()

    def connect(self):
        self.socket = socket.create_connection(('127.0.0.1', self.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)

    def send(self, now):
        self.socket.send(self.request)
        self.sent_at, self.buffer = now, b''

    def take(self):
        """True when a whole answer is there; None when the connection ended."""
        try:
            got = self.socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            return None
        if not got:
            return None
        self.buffer += got
        head = self.buffer.find(b'\r\n\r\n')
        if head < 0:
            return False
        at = self.buffer.lower().find(b'content-length: ')
        length = int(self.buffer[at + 16:self.buffer.index(b'\r', at)]) if 0 < at < head else 0
        return len(self.buffer) >= head + 4 + length


with Server(conf='connections = 4096\n') as server:
    admin = server.login_first()
    auth = f'Cookie: bihuan_session={admin.cookie}\r\nX-CSRF-Token: {admin.csrf}\r\n'.encode()
    requests = [b'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n',
                b'GET /api/v1/core/session HTTP/1.1\r\nHost: x\r\n' + auth + b'\r\n',
                b'GET /api/v1/core/roles HTTP/1.1\r\nHost: x\r\n' + auth + b'\r\n',
                b'GET / HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n']
    lives = [server.events(admin, 'alarm,task') for _ in range(LISTENERS)]
    stop = threading.Event()

    def rude():
        """Clients that leave in the middle of everything."""
        while not stop.is_set():
            try:
                one = socket.create_connection(('127.0.0.1', server.port))
                one.sendall(random.choice([
                    b'GET /api/v1/core/roles HTTP/1.1\r\nHo', requests[2],
                    b'POST /api/v1/core/roles HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n' + auth
                    + b'Content-Length: 500\r\n\r\n{"code']))
                time.sleep(0.01)
                one.close()
            except OSError:
                pass

    threads = [threading.Thread(target=rude) for _ in range(4)]
    for thread in threads:
        thread.start()
    links = [Link(server.port, requests[i % len(requests)]) for i in range(CONNECTIONS)]
    poll = select.epoll()
    by_fd = {}
    now = time.monotonic()
    for link in links:
        poll.register(link.socket.fileno(), select.EPOLLIN)
        by_fd[link.socket.fileno()] = link
        link.send(now)
    began, answered, bad, ended, times, quiet, stalls, last = now, 0, 0, 0, [], 0.0, 0, now
    rss_at = {}
    while now - began < SECONDS:
        events = poll.poll(1.0)
        now = time.monotonic()
        for fd, _ in events:
            link = by_fd[fd]
            whole = link.take()
            if whole is None:
                ended += 1
                poll.unregister(fd)
                del by_fd[fd]
                link.socket.close()
                link.connect()
                by_fd[link.socket.fileno()] = link
                poll.register(link.socket.fileno(), select.EPOLLIN)
                link.send(now)
            elif whole:
                answered += 1
                last = now
                bad += not link.buffer.startswith(b'HTTP/1.1 200')
                if answered % 17 == 0:
                    times.append(now - link.sent_at)
                link.send(now)
        quiet = max(quiet, now - last)
        if now - last > STALL_S:
            stalls += 1
            break
        second = int(now - began)
        if second % 5 == 0 and second not in rss_at:
            rss_at[second] = int(next(l for l in open(f'/proc/{server.process.pid}/status')
                                      if l.startswith('VmRSS')).split()[1])
            stalls += sum(1 for link in links if now - link.sent_at > STALL_S)
    stop.set()
    for thread in threads:
        thread.join()
    times.sort()
    print(json.dumps({'seconds': round(now - began, 1), 'answered': answered, 'per_second': round(answered / (now - began)),
                      'p50_ms': round(times[len(times) // 2] * 1000, 1), 'p99_ms': round(times[len(times) * 99 // 100] * 1000, 1),
                      'max_ms': round(times[-1] * 1000, 1), 'longest_quiet_s': round(quiet, 2), 'other_status': bad,
                      'ended': ended, 'rss_kb': rss_at}))
    check('no stall', stalls == 0 and quiet < STALL_S, f'{stalls} stalls, quiet for {quiet:.1f} s')
    check('every answer is 200', bad == 0, bad)
    check('no connection was lost', ended == 0, ended)
    check('live pages are still there', sum(not live.ended.is_set() for live in lives) == LISTENERS)
    check('the server answers others', admin.get('core/roles').status == 200)
    first, final = rss_at.get(5, 0), list(rss_at.values())[-1]
    check('memory does not grow', final < first * 1.2 + 20000, rss_at)
    for link in links:
        link.socket.close()
    check('and it drains with all that', server.stop() == 0)
done()
