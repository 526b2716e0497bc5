"""A small OpenID Connect provider on loopback, strict in what it takes and twisted on demand."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT_ID, CLIENT_SECRET = "itda", "hush hush"


class LocalProvider:
    """Signs everyone in as `account`; `twist` changes what it says."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "k1", "use": "sig", "alg": "RS256"})
        self.account: dict[str, Any] = {
            "sub": "subject-1",
            "email": "kim@lab.example",
            "email_verified": True,
            "name": "김민수",
        }
        self.claims_twist: dict[str, Any] = {}
        self.key_twist: Any = None
        self.forge: Callable[[dict[str, Any]], str] | None = None
        self.metadata_twist: dict[str, Any] = {}
        self.userinfo: dict[str, Any] | None = None
        self.codes: dict[str, dict[str, str]] = {}
        self.redirect_uris = {"http://127.0.0.1:8787/auth/oidc/callback"}
        self.asked: list[str] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.answer_get(self)

            def do_POST(self) -> None:
                provider.answer_post(self)

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def authorise(self, url: str) -> dict[str, str]:
        """Do what a browser and its user do; return the query that the browser comes back with."""
        parsed = urllib.parse.urlsplit(url)
        assert url.startswith(f"{self.issuer}/authorise?")
        asked = dict(urllib.parse.parse_qsl(parsed.query))
        assert asked["response_type"] == "code" and asked["client_id"] == CLIENT_ID
        assert asked["redirect_uri"] in self.redirect_uris
        assert "openid" in asked["scope"].split()
        assert asked["code_challenge_method"] == "S256"
        assert min(len(asked[one]) for one in ("state", "nonce", "code_challenge")) >= 43
        code = secrets.token_urlsafe()
        self.codes[code] = asked
        return {"code": code, "state": asked["state"]}

    def answer_get(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        if handler.path == "/.well-known/openid-configuration":
            content = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorise",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "userinfo_endpoint": f"{self.issuer}/userinfo",
                **self.metadata_twist,
            }
            self._send(handler, 200, content)
        elif handler.path == "/keys":
            self._send(handler, 200, {"keys": [self.key.as_dict(private=False)]})
        elif handler.path == "/userinfo" and self.userinfo is not None:
            assert handler.headers["Authorization"] == "Bearer access"
            self._send(handler, 200, self.userinfo)
        else:
            self._send(handler, 404, {})

    def answer_post(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        told = dict(urllib.parse.parse_qsl(body))
        asked = self.codes.pop(told.get("code", ""), None)  # a code works once
        client = base64.b64encode(
            f"{CLIENT_ID}:{urllib.parse.quote(CLIENT_SECRET)}".encode()
        ).decode()
        plain = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        digest = hashlib.sha256(told.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            handler.path != "/token"
            or asked is None
            or told.get("grant_type") != "authorization_code"
            or told.get("redirect_uri") != asked["redirect_uri"]
            or challenge != asked["code_challenge"]
            or handler.headers["Authorization"] not in (f"Basic {client}", f"Basic {plain}")
        ):
            self._send(handler, 400, {"error": "invalid_grant"})
            return
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": asked["nonce"],
            **self.account,
            **self.claims_twist,
        }
        claims = {name: value for name, value in claims.items() if value is not None}
        if self.forge:
            signed = self.forge(claims)
        else:
            header = {"alg": "RS256", "kid": "k1"}
            signed = jwt.encode(header, claims, self.key_twist or self.key)
        self._send(
            handler,
            200,
            {"access_token": "access", "token_type": "Bearer", "id_token": signed},
        )

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def by_hand(claims: dict[str, Any], algorithm: str, shared: bytes = b"") -> str:
    """Return a token that no library would sign: with a public key as a shared one, or unsigned."""

    def encoded(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    parts = ({"alg": algorithm, "kid": "k1", "typ": "JWT"}, claims)
    start = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    signature = hmac.digest(shared, start.encode(), "sha256") if shared else b""
    return f"{start}.{encoded(signature)}"
