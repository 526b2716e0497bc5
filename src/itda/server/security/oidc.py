"""Sign in with an account of a provider: OpenID Connect, authorisation code with PKCE.

State, nonce and code verifier are made from one secret, which the browser keeps in a cookie for the
time of the sign-in. Each is its digest under another name, so that none tells another.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import httpx
from authlib.integrations.httpx_client import OAuth2Client
from authlib.oauth2.rfc6749.errors import OAuth2Error
from authlib.oidc.core import CodeIDToken
from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool
from fastapi.requests import Request
from fastapi.responses import RedirectResponse, Response
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from itda.errors import InputError, ItdaError
from itda.language import Message
from itda.network import is_loopback
from itda.server.accounts.records import User
from itda.server.errors import ConflictError, ForbiddenError, RateError, UnauthenticatedError
from itda.server.security import auth
from itda.server.security.address import client_address
from itda.server.security.cookies import PROVIDER_COOKIE, clear_cookie, read_cookie, set_cookie
from itda.server.security.limits import limits_of
from itda.server.security.origin import own_path
from itda.server.settings import ServerSettings

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Only those with a public key: with a shared one, whoever can check could also sign."""

SIGN_IN_SECONDS = 600.0
WAIT_SECONDS = 10.0
LEEWAY_SECONDS = 60
METADATA_SECONDS = 3600.0
KEYS_AGAIN_SECONDS = 60.0
"""An unknown key is looked for at most so often."""


class ProviderError(UnauthenticatedError):
    """The provider did not answer, or what it said cannot be trusted."""


class Provider:
    """A provider of accounts.

    Args:
        issuer: Its address, which its tokens name too.
        client_id: As it knows this server.
        client_secret: As it gave it; None for a client without one.

    Raises:
        InputError: The address is not https, or there is no client.
    """

    def __init__(self, issuer: str, client_id: str | None, client_secret: str | None) -> None:
        if not client_id:
            raise InputError(
                Message("OIDC: the provider's name for this server is missing"),
                hint=Message("set ITDA_OIDC_CLIENT_ID"),
            )
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._check_address(issuer)
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._metadata_at = 0.0
        self._keys: KeySet | None = None
        self._keys_at = 0.0

    def authorisation(self, secret: str, redirect_uri: str) -> str:
        """Return the provider's page where the user signs in.

        Raises:
            ProviderError: The provider does not answer.
        """
        with self._client(redirect_uri) as client:
            url, _ = client.create_authorization_url(
                self._endpoint("authorization_endpoint"),
                state=derived(secret, "state"),
                nonce=derived(secret, "nonce"),
                code_verifier=derived(secret, "verifier"),
            )
        return str(url)

    def claims(self, secret: str, code: str, redirect_uri: str) -> Mapping[str, Any]:
        """Return what the provider says of the user, for a code that it gave.

        Raises:
            ProviderError: It does not answer, or its token is not for this sign-in.
        """
        with self._client(redirect_uri) as client:
            try:
                told = client.fetch_token(
                    self._endpoint("token_endpoint"),
                    code=code,
                    code_verifier=derived(secret, "verifier"),
                )
            except (OAuth2Error, httpx.HTTPError, ValueError, OSError) as error:
                raise ProviderError(Message("the provider refused the code")) from error
            except Exception as error:
                if type(error).__module__.startswith(("httpx", "authlib")):
                    raise ProviderError(Message("the provider refused the code")) from error
                raise
        if not isinstance(told.get("id_token"), str):
            raise ProviderError(Message("the provider gave no ID token"))
        claims = dict(self._checked(told["id_token"], secret, told.get("access_token")))
        if "email" not in claims and "userinfo_endpoint" in self._metadata:
            more = self._get(
                self._endpoint("userinfo_endpoint"),
                {"Authorization": f"Bearer {told.get('access_token')}"},
            )
            # What is said of another account must not be mixed into this one.
            if more.get("sub") == claims["sub"]:
                claims = {**more, **claims}
        return claims

    def _checked(self, id_token: str, secret: str, access_token: object) -> CodeIDToken:
        try:
            token = self._decoded(id_token)
            claims = CodeIDToken(
                token.claims,
                token.header,
                options={
                    "iss": {"essential": True, "value": self.issuer},
                    "aud": {"essential": True, "value": self._client_id},
                    "sub": {"essential": True},
                    "nonce": {"essential": True},
                },
                params={
                    "nonce": derived(secret, "nonce"),
                    "client_id": self._client_id,
                    "access_token": access_token,
                },
            )
            claims.validate(now=int(time.time()), leeway=LEEWAY_SECONDS)
        except (JoseError, OAuth2Error, ValueError, TypeError, KeyError) as error:
            raise ProviderError(Message("the provider's ID token does not hold")) from error
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= 255:
            raise ProviderError(Message("the provider's ID token names no account"))
        return claims

    def _decoded(self, id_token: str) -> jwt.Token:
        try:
            return jwt.decode(id_token, self._key_set(), algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            # Perhaps the provider signs with a new key.
            return jwt.decode(id_token, self._key_set(again=True), algorithms=ALGORITHMS)

    def _key_set(self, *, again: bool = False) -> KeySet:
        with self._lock:
            age = time.monotonic() - self._keys_at
            if self._keys is None or age > METADATA_SECONDS or (again and age > KEYS_AGAIN_SECONDS):
                self._keys = KeySet.import_key_set(self._get(self._endpoint("jwks_uri")))  # type: ignore[arg-type]
                self._keys_at = time.monotonic()
            return self._keys

    def _endpoint(self, name: str) -> str:
        if not self._metadata or time.monotonic() - self._metadata_at > METADATA_SECONDS:
            metadata = self._get(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != self.issuer:
                raise ProviderError(
                    Message("the provider calls itself otherwise than it is configured")
                )
            self._metadata, self._metadata_at = metadata, time.monotonic()
        url = self._metadata.get(name)
        if not isinstance(url, str):
            raise ProviderError(Message("the provider tells no {name}", name=name))
        self._check_address(url)
        return url

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = httpx.get(
                url,
                headers=dict(headers or {}),
                timeout=WAIT_SECONDS,
                trust_env=not is_loopback(url),
            )
            answer.raise_for_status()
            told = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise ProviderError(
                Message("the provider does not answer"), hint=Message("try again later")
            ) from error
        if not isinstance(told, dict):
            raise ProviderError(Message("the provider's answer is not what it should be"))
        return told

    def _client(self, redirect_uri: str) -> Any:
        return OAuth2Client(
            self._client_id,
            self._client_secret,
            token_endpoint_auth_method="client_secret_basic" if self._client_secret else "none",
            redirect_uri=redirect_uri,
            scope="openid email profile",
            code_challenge_method="S256",
            timeout=WAIT_SECONDS,
            trust_env=not is_loopback(self.issuer),
        )

    @staticmethod
    def _check_address(url: str) -> None:
        if not url.startswith("https://") and not is_loopback(url):
            raise InputError(
                Message("OIDC: {url} is not https", url=url[:100]),
                hint=Message("ITDA_OIDC_ISSUER=https://…"),
            )


def derived(secret: str, what: str) -> str:
    """Return a value that tells nothing of the secret it is made from."""
    told = hashlib.sha256(f"itda oidc {what} {secret}".encode()).digest()
    return base64.urlsafe_b64encode(told).rstrip(b"=").decode()


def routes(settings: ServerSettings) -> APIRouter:
    """Return `oidc/start`, where a sign-in begins, and `oidc/callback`, where it ends."""
    assert settings.oidc_issuer is not None
    provider = Provider(settings.oidc_issuer, settings.oidc_client_id, settings.oidc_client_secret)
    router = APIRouter(prefix="/oidc", include_in_schema=False)

    @router.get("/start")
    async def start(request: Request, next: str = "/") -> Response:
        secret = secrets.token_urlsafe(32)
        try:
            limits_of(request.app).sign_in(client_address(request))
            url = await run_in_threadpool(provider.authorisation, secret, _redirect_uri(request))
        except ItdaError as error:
            return _refused(request, error)
        limits_of(request.app).signed_in(client_address(request))
        answer = RedirectResponse(url, status_code=303)
        kept = f"{secret}.{urllib.parse.quote(own_path(next), safe='')}"
        set_cookie(request, answer, PROVIDER_COOKIE, kept, seconds=SIGN_IN_SECONDS)
        return answer

    @router.get("/callback")
    async def callback(
        request: Request, code: str = "", state: str = "", error: str = "", iss: str = ""
    ) -> Response:
        kept = read_cookie(request, PROVIDER_COOKIE) or ""
        secret, _, goal = kept.partition(".")
        try:
            limits_of(request.app).sign_in(client_address(request))
            expected = derived(secret, "state")
            if not secret or not secrets.compare_digest(state.encode(), expected.encode()):
                raise ProviderError(
                    Message("the sign-in was not begun in this browser, or too long ago")
                )
            if iss and iss != provider.issuer:
                raise ProviderError(Message("the answer is another provider's"))
            if error or not code:
                raise ProviderError(Message("the provider did not sign the user in"))
            user = await run_in_threadpool(_user, request, provider, secret, code)
        except ItdaError as problem:
            answer = _refused(request, problem)
        else:
            answer = await auth.signed_in(
                request, user, own_path(urllib.parse.unquote(goal)), how="oidc"
            )
        clear_cookie(request, answer, PROVIDER_COOKIE)
        return answer

    return router


def _user(request: Request, provider: Provider, secret: str, code: str) -> User:
    claims = provider.claims(secret, code, _redirect_uri(request))
    user: User = request.app.state.services.accounts.identities.of_provider(
        provider.issuer,
        claims["sub"],
        email=str(claims.get("email") or ""),
        # Some providers send the word in place of the value; anything else is no.
        verified=claims.get("email_verified") in (True, "true"),
        name=str(claims.get("name") or ""),
    )
    return user


def _redirect_uri(request: Request) -> str:
    base = request.app.state.services.settings.public_url or str(request.base_url)
    return f"{base.rstrip('/')}/auth/oidc/callback"


def _refused(request: Request, error: ItdaError) -> Response:
    return auth.refused(request, error, auth.SIGN_IN_PAGE, code=_code(error))


def _code(error: ItdaError) -> str:
    if isinstance(error, RateError):
        return "rate"
    if isinstance(error, ConflictError):
        return "account"
    return "forbidden" if isinstance(error, ForbiddenError) else "provider"
