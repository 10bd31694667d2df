"""The pages of a gateway: the same app over the gateway's store, answered beside the listener."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn

from radiolucent.app.office import Office
from radiolucent.engines.bundle import Bundle
from radiolucent.errors import SetupError
from radiolucent.findings.narrative import PLAIN, Voice
from radiolucent.findings.profile import Profile, default_profile
from radiolucent.ingest.dicomweb import Door
from radiolucent.pipeline.read_study import engine_ref
from radiolucent.pipeline.retention import EXPLANATIONS
from radiolucent.store.unit_of_work import Store
from radiolucent.web.access import Premises
from radiolucent.web.demo import listen
from radiolucent.web.explanation_desk import Desk, loading
from radiolucent.web.server import create_app
from radiolucent.web.single_sign_on import SingleSignOn
from radiolucent.web.sources import StoreSource


@contextmanager
def pages(
    store: Store,
    bundles: Sequence[Bundle],
    *,
    host: str,
    port: int,
    profile: Profile | None = None,
    voice: Voice = PLAIN,
    stow: Door | None = None,
    office: Office | None = None,
    single_sign_on: SingleSignOn | None = None,
    public_url: str = "",
) -> Iterator[str]:
    """Serve the reading room in a thread; yields its address, ends with the block.

    Parameters
    ----------
    voice : language of draft reports, and the site's own templates.
    stow : where STOW-RS requests go; None takes none.
    single_sign_on : logins through a provider.
    public_url : address of the pages as browsers have it.
    office : of the gateway; without one there are no nodes, queues and uploads.

    Raises
    ------
    SetupError
        If the port is taken.
    """
    premises = Premises(
        store=store,
        source=StoreSource(store),
        engines=tuple(engine_ref(bundle) for bundle in bundles),
        limits={bundle.label: tuple(bundle.manifest.scope.limits) for bundle in bundles},
        desk=Desk(loading(bundles), store.folder / EXPLANATIONS),
        profile=profile or default_profile(),
        voice=voice,
        secure_cookies=public_url.startswith("https:") or host not in ("127.0.0.1", "::1", "localhost"),
        stow=stow,
        office=office,
        single_sign_on=single_sign_on,
        public_url=public_url,
        bundles=tuple(bundles),
    )
    try:
        sock = listen(port, host=host)
    except OSError as error:
        raise SetupError(f"the pages can't listen on {host}:{port}: {error.strerror}") from error
    config = uvicorn.Config(create_app(premises), log_level="warning", access_log=False, server_header=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{sock.getsockname()[1]}/"
    finally:
        server.should_exit = True
        if premises.desk is not None:
            premises.desk.close()
        thread.join(timeout=10)
        sock.close()
