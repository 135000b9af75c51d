"""A page of what a PostgreSQL holds, and how often a Redis was asked for it."""
import http.server
import socket

import pg8000.native


def visits():
    with socket.create_connection(("cache", 6379), timeout=5) as cache:
        cache.sendall(b"AUTH clave\r\nINCR visits\r\n")
        return cache.recv(100).decode().split(":")[-1].strip()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with_db = pg8000.native.Connection("tienda", host="db", password="secreta", database="tienda")
        rows = with_db.run("SELECT name FROM products ORDER BY name")
        with_db.close()
        body = f"{', '.join(name for [name] in rows)}; visit {visits()}\n".encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)


http.server.HTTPServer(("", 8000), Page).serve_forever()
