"""Servers of the tests' own on free loopback ports: a mail sink and what answers HTTP.

    mails = Mails()                         mails.port, mails.got: (instant, text) of each that was kept
    class Hook(Quiet): ...                  do_POST and the like, with self.answer(status, body) and self.body()
    hook = listen(Hook)                     hook.port; hook.shutdown() ends it
"""
import http.server
import socketserver
import threading
import time


class Mails:
    """Enough SMTP to keep what it is sent; a receiver of whom `refuses` says so is refused."""

    def __init__(self, refuses=lambda receiver: False):
        self.got, sink = [], self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                def say(line):
                    self.wfile.write(line.encode() + b'\r\n')
                say('220 sink')
                lines = None
                for raw in self.rfile:
                    line = raw.decode(errors='replace').rstrip('\r\n')
                    command = line.upper()
                    if lines is not None and line != '.':
                        lines.append(line)
                    elif lines is not None:
                        sink.got.append((time.time(), '\n'.join(lines)))
                        lines = None
                        say('250 kept')
                    elif command.startswith('RCPT') and refuses(line):
                        say('550 no such user')
                    elif command == 'DATA':
                        lines = []
                        say('354 go on')
                    elif command == 'QUIT':
                        return say('221 bye')
                    else:
                        say('250 ok')

        self.port = serve(socketserver.ThreadingTCPServer(('127.0.0.1', 0), Handler)).port

    @property
    def texts(self):
        return [text for _, text in self.got]


class Quiet(http.server.BaseHTTPRequestHandler):
    """Says nothing of its requests, nor of clients that go away."""

    def body(self):
        return self.rfile.read(int(self.headers['Content-Length'] or 0))

    def answer(self, status=200, body=b'ok', **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def handle(self):
        try:
            super().handle()
        except OSError:
            pass


def serve(server):
    server.daemon_threads = True
    server.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


class Reusing(http.server.ThreadingHTTPServer):
    allow_reuse_address = True


def listen(handler, port=0, tls=None):
    server = Reusing(('127.0.0.1', port), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    return serve(server)
