"""What every HTTP destination shares: one client with limits, and failures sorted into later and never."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from radiolucent.errors import DeliveryError, FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.statuses import http_meaning

LONGEST_ANSWER: Final = 16 << 20
Headers = Callable[[], Mapping[str, str]]


def _no_headers() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, kw_only=True)
class HttpPeer:
    """A web server that results go to.

    Parameters
    ----------
    name : of the destination.
    url : base address, http or https, without credentials.
    timeout_s : for connecting and between two parts of an answer, in s.
    total_s : for a whole answer, in s: a server that sends a byte now and then is given up.
    headers : asked before each request, so that a token can be fresh.
    tls : context for https, or None for the usual authorities.
    """

    name: str
    url: str
    timeout_s: float = 30.0
    total_s: float = 120.0
    headers: Headers = _no_headers
    tls: ssl.SSLContext | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        address = httpx.URL(self.url)
        if address.scheme not in ("http", "https") or not address.host or address.userinfo:
            raise ValueError(f"{self.name}: the address must be http or https, without a password in it")

    def request(
        self, method: str, path: str, *, content: bytes | Iterator[bytes] | None = None, headers: Mapping[str, str]
    ) -> Answer:
        """Send one request and read the answer whole; redirections are not followed.

        Raises
        ------
        RetriableDelivery
            If there is no answer, or none that is complete and of reasonable size and time.
        FinalDelivery
            If the server's certificate isn't trusted.
        """
        with self._sorted():
            deadline = self.clock() + self.total_s
            with (
                httpx.Client(
                    timeout=self.timeout_s, verify=self.tls or True, trust_env=False, follow_redirects=False
                ) as client,
                client.stream(
                    method, self._address(path), content=content, headers={**self.headers(), **headers}
                ) as answer,
            ):
                body = b""
                for part in answer.iter_bytes():
                    body += part
                    if len(body) > LONGEST_ANSWER or self.clock() > deadline:
                        raise RetriableDelivery("its answer has no end", destination=self.name)
                return Answer(
                    status=answer.status_code, body=body, retry_after_s=_retry_after(answer.headers.get("Retry-After"))
                )

    def refusal(self, answer: Answer, what: str) -> DeliveryError:
        """The error for an answer that isn't 2xx."""
        words = f"{what}: HTTP {answer.status}"
        if http_meaning(answer.status) == "retriable":
            return RetriableDelivery(words, destination=self.name, retry_after_s=answer.retry_after_s)
        if answer.status in (401, 403):
            words += ", not allowed: set its credentials"
        return FinalDelivery(words, destination=self.name)

    def _address(self, path: str) -> str:
        return f"{self.url.rstrip('/')}/{path.lstrip('/')}" if path else self.url

    @contextmanager
    def _sorted(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException as error:
            raise RetriableDelivery("it doesn't answer in time", destination=self.name) from error
        except httpx.ConnectError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise FinalDelivery(
                    "its certificate isn't trusted: set the right authority or host name", destination=self.name
                ) from error
            raise RetriableDelivery("no connection: see whether it runs", destination=self.name) from error
        except (httpx.TransportError, httpx.DecodingError) as error:
            raise RetriableDelivery(
                f"it broke off, or its answer isn't HTTP ({type(error).__name__})", destination=self.name
            ) from error


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A complete HTTP answer."""

    status: int
    body: bytes
    retry_after_s: float | None = None


def _retry_after(value: str | None) -> float | None:
    """Seconds; a date is ignored, because two clocks would have to agree."""
    return float(value) if value and value.isascii() and value.isdigit() else None
