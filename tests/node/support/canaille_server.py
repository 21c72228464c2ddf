"""Runs Canaille, an OpenID provider, with a user and clients, on a loopback port. Usage: canaille_server.py, with its settings as JSON on
standard input. It prints the port once it listens, and ends with its standard input."""

import datetime
import json
import sys
import threading

from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from joserfc.jwk import RSAKey
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log_request(self, *arguments):
        pass


settings = json.loads(sys.stdin.readline())
host, port = settings["host"], settings["port"]
# The port decides the issuer, so the socket is bound first.
server = make_server(host, port, lambda *_: [], threaded=True, request_handler=Quiet)
key = RSAKey.generate_key(2048, {"use": "sig", "alg": settings["alg"], "kid": "canaille"}, private=True)
app = create_app(
    {
        "SECRET_KEY": settings["secret"],
        "SERVER_NAME": f"{host}:{server.port}",
        "PREFERRED_URL_SCHEME": "http",
        "CANAILLE_DATABASE": "memory",
        "CANAILLE": {"LOGGING": {"version": 1}, "ENABLE_INTRUDER_LOCKOUT": False},
        # No client is trusted: each login asks for consent.
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)], "TRUSTED_DOMAINS": ["trusted.example.com"]},
    }
)
with app.app_context():
    user = models.User(**settings["user"])
    Backend.instance.save(user)
    for metadata in settings["clients"]:
        client = models.Client(client_id_issued_at=datetime.datetime.now(datetime.timezone.utc), **metadata)
        Backend.instance.save(client)
        client.audience = [client]
        Backend.instance.save(client)
server.app = app
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
print(server.port, flush=True)
server.serve_forever()
