"""OpenID Connect as a client: who the hospital's own provider says is there, and which role its claims give."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from radiolucent.errors import SenderError, SetupError

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA")
"""Asymmetric ones alone: with a shared secret whoever holds it could make anyone's token."""
ATTEMPT: Final = timedelta(minutes=10)
LEEWAY_S: Final = 60
_MOST_ATTEMPTS: Final = 1000
_KNOWN_FOR: Final = timedelta(hours=1)
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class SignOnFailed(SenderError):
    """Nobody came in: `reason` is for the person and the trail, without anything that the provider sent; try again."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A provider as the site sets it.

    Parameters
    ----------
    issuer : its address, as its tokens name it; https, or http on this machine.
    label : its name on the login page.
    name_claim, display_claim : claims that give the account's name and the name to show.
    role_claim : claim that holds groups or roles, one or a list.
    roles : value of that claim and role here; the first that a person has counts, who has none stays outside.
    """

    issuer: str
    client_id: str
    client_secret: str = field(default="", repr=False)
    label: str = "the hospital's login"
    scopes: tuple[str, ...] = ("openid", "profile")
    name_claim: str = "preferred_username"
    display_claim: str = "name"
    role_claim: str = "groups"
    roles: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        address = urlsplit(self.issuer)
        if address.scheme != "https" and not (address.scheme == "http" and address.hostname in _LOOPBACK):
            raise SetupError("the provider's issuer must begin with https://")
        if "openid" not in self.scopes:
            raise SetupError("the provider's scopes need openid")

    def role(self, claims: Mapping[str, Any]) -> str:
        """The role that these claims give; empty where they give none."""
        held = claims.get(self.role_claim, ())
        groups = {held} if isinstance(held, str) else {str(one) for one in held} if isinstance(held, list) else set()
        return next((role for group, role in self.roles if group in groups), "")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who came in. `identity` stays theirs for ever, where a name may be given to someone else one day."""

    name: str
    display_name: str
    role: str
    identity: str


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One login on its way; bound to the browser that began it, and used once."""

    nonce: str
    verifier: str
    browser: str
    target: str
    redirect: str
    ends_at: datetime


class SingleSignOn:
    """Logins through one provider: authorization code with PKCE, state and nonce; ID tokens checked by its keys."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self._lock = threading.Lock()
        self._attempts: OrderedDict[str, Attempt] = OrderedDict()
        self._metadata: tuple[datetime, dict[str, Any]] | None = None
        self._keys: tuple[datetime, KeySet] | None = None

    def begin(self, *, target: str, redirect: str, now: datetime) -> tuple[str, str]:
        """The provider's address for the browser, and the secret for a cookie of its own.

        Raises
        ------
        SignOnFailed
            If the provider doesn't answer, or says nonsense of itself.
        """
        state, browser = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        attempt = Attempt(
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            browser=browser,
            target=target,
            redirect=redirect,
            ends_at=now + ATTEMPT,
        )
        where = self._endpoint("authorization_endpoint", now)
        with self._client(redirect) as client:
            address, _ = client.create_authorization_url(
                where, state=state, code_verifier=attempt.verifier, nonce=attempt.nonce
            )
        with self._lock:
            self._attempts[state] = attempt
            while len(self._attempts) > _MOST_ATTEMPTS:
                self._attempts.popitem(last=False)
        return str(address), browser

    def finish(self, *, state: str, code: str, browser: str, now: datetime) -> tuple[Person, str]:
        """Who came back from the provider, and where they wanted to go.

        Raises
        ------
        SignOnFailed
            If this browser began no such login, it took too long, the code or the token isn't right, or the claims
            give no name or no role.
        """
        with self._lock:
            attempt = self._attempts.pop(state, None)
        if attempt is None or attempt.ends_at <= now or not hmac.compare_digest(attempt.browser, browser):
            raise SignOnFailed("this login was not begun here, or too long ago")
        claims = self._claims(self._token(attempt, code, now), attempt, now)
        name, role = str(claims.get(self.provider.name_claim) or ""), self.provider.role(claims)
        if not _is_name(name):
            raise SignOnFailed("the provider gave no name that an account can have")
        if not role:
            raise SignOnFailed("the provider gave no role that is known here")
        shown = str(claims.get(self.provider.display_claim) or name)[:255]
        identity = hashlib.sha256(f"{self.provider.issuer} {claims['sub']}".encode()).hexdigest()
        return Person(name=name, display_name=shown, role=role, identity=identity), attempt.target

    def _token(self, attempt: Attempt, code: str, now: datetime) -> str:
        where = self._endpoint("token_endpoint", now)
        try:
            with self._client(attempt.redirect) as client:
                answer = client.fetch_token(where, code=code, code_verifier=attempt.verifier)
        except (OAuthError, httpx2.HTTPError, ValueError) as error:
            raise SignOnFailed(f"the provider gave no token ({type(error).__name__})") from error
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SignOnFailed("the provider gave no ID token")
        return token

    def _claims(self, token: str, attempt: Attempt, now: datetime) -> Mapping[str, Any]:
        """The claims of an ID token, checked as OpenID Connect Core 3.1.3.7 says."""
        try:
            try:
                decoded = jwt.decode(token, self._key_set(now), algorithms=ALGORITHMS)
            except (JoseError, ValueError):
                self._keys = None  # the provider may have new keys since
                decoded = jwt.decode(token, self._key_set(now), algorithms=ALGORITHMS)
            jwt.JWTClaimsRegistry(
                now=int(now.timestamp()),
                leeway=LEEWAY_S,
                iss={"essential": True, "value": self.provider.issuer},
                aud={"essential": True, "value": self.provider.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": attempt.nonce},
            ).validate(decoded.claims)
        except (JoseError, ValueError) as error:
            raise SignOnFailed(f"the provider's token isn't right ({type(error).__name__})") from error
        claims: Mapping[str, Any] = decoded.claims
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self.provider.client_id:
            raise SignOnFailed("the provider's token is for somebody else too")
        return claims

    def _endpoint(self, name: str, now: datetime) -> str:
        if self._metadata is None or now - self._metadata[0] > _KNOWN_FOR:
            found = self._get(f"{self.provider.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self.provider.issuer:
                raise SignOnFailed("the provider calls itself otherwise than the settings do")
            self._metadata = (now, found)
        where = self._metadata[1].get(name)
        if not isinstance(where, str):
            raise SignOnFailed(f"the provider names no {name}")
        return where

    def _key_set(self, now: datetime) -> KeySet:
        if self._keys is None or now - self._keys[0] > _KNOWN_FOR:
            self._keys = (now, KeySet.import_key_set(self._get(self._endpoint("jwks_uri", now))))  # type: ignore[arg-type]
        return self._keys[1]

    def _get(self, address: str) -> dict[str, Any]:
        try:
            with self._client("") as client:
                answer = client.request("GET", address, withhold_token=True)
                answer.raise_for_status()
                found = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise SignOnFailed(f"the provider doesn't answer ({type(error).__name__})") from error
        if not isinstance(found, dict):
            raise SignOnFailed("the provider's answer isn't understood")
        return found

    def _client(self, redirect: str) -> OAuth2Client:
        return OAuth2Client(
            client_id=self.provider.client_id,
            client_secret=self.provider.client_secret or None,
            token_endpoint_auth_method="client_secret_basic" if self.provider.client_secret else "none",
            scope=" ".join(self.provider.scopes),
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=self.provider.timeout_s,
            trust_env=False,
        )


def _is_name(name: str) -> bool:
    """Short, printable, and good for an address."""
    plain = name.isprintable() and name == name.strip() and not set(name) & set("/\\?#%")
    return plain and 0 < len(name) <= 128 and bool(name.strip("."))
