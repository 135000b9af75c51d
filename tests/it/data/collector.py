# Collects lines that come by UDP; prints them, writes them down and shows them.
import http.server
import re
import socketserver
import threading
import urllib.parse

LINES = []


class Take(socketserver.BaseRequestHandler):
    def handle(self):
        line = re.sub(rb"^<\d+>", b"", self.request[0]).rstrip(b"\0\n").decode()
        LINES.append(line)
        print(line, flush=True)
        with open("/tmp/all.log", "a") as file:
            file.write(line + "\n")


class Show(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        asked = urllib.parse.parse_qs(url.query).get("q", [""])[0]
        if url.path == "/find":
            lines = [line for line in LINES if asked in line]
        elif url.path == "/all":
            lines = LINES
        elif url.path == "/bare":
            # As of a backend that logs no query: the lines that are its own.
            lines = [line for line in LINES if line.startswith("visit ")]
        elif url.path == "/echo":
            lines = [asked]
        else:
            lines = []
        body = "\n".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


open("/tmp/all.log", "a").close()
udp = socketserver.UDPServer(("", 5140), Take)
threading.Thread(target=udp.serve_forever, daemon=True).start()
http.server.ThreadingHTTPServer(("", 8080), Show).serve_forever()
