"""``radiolucent serve``: studies come in over DICOM, are read, and results go where the settings say."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out
from radiolucent.errors import SetupError

if TYPE_CHECKING:
    from radiolucent.app.gateway import Gateway
    from radiolucent.settings.sections import ProviderSettings
    from radiolucent.web.single_sign_on import SingleSignOn

SettingsFile = Annotated[
    Path | None, typer.Option("--settings", "-s", help="TOML file; docs/settings.md lists what can stand in it.")
]
DataFolder = Annotated[Path | None, typer.Option("--data-folder", "-d", help="Instead of the settings' data folder.")]


def serve(
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    check: Annotated[bool, typer.Option("--check", help="Check the settings and stop.")] = False,
) -> None:
    """Run the gateway until it is told to stop: DICOM listener, workers, deliveries, pages.

    What is sent here is on disk before it is acknowledged, is read once it is complete, and ends in a state with a
    reason: see `radiolucent study list`. It may be killed at any time; the next start goes on from there.
    Ends with 2 where the settings don't fit, a port is taken or another gateway uses the data folder.
    """
    from radiolucent import logs
    from radiolucent.app.gateway import gateway, wait_for_signal
    from radiolucent.app.parts import compose
    from radiolucent.pipeline.kept_here import results_kept_here
    from radiolucent.settings import load_settings

    with errors_to_exit():
        chosen = load_settings(settings, data_folder=data_folder)
        logs.set_up(chosen.log_level, chosen.log_format)
        if check:
            parts = compose(chosen)
            parts.store.close()
            engines = ", ".join(bundle.label for bundle in parts.bundles) or "none"
            out.print(f"settings are fine: engines {engines}; routes {', '.join(one.name for one in parts.routes)}")
            return
        with gateway(chosen) as running:
            if running.listening:
                out.print(f"DICOM: {running.listening}", markup=False)
            engines = ", ".join(bundle.label for bundle in running.parts.bundles) or "none"
            out.print(f"engines: {engines}. Not for clinical use.", markup=False)
            with _pages(running) as address:
                if address:
                    out.print(f"pages: {address}", markup=False)
                with running.parts.store.read() as work:
                    if kept_here := results_kept_here(work):
                        out.print(kept_here, markup=False)
                wait_for_signal()
            out.print("stopping: what is in hand is finished, the rest goes on at the next start")


def _pages(running: Gateway) -> AbstractContextManager[str]:
    """The reading room over this gateway's store; an empty address where the settings don't want it."""
    from radiolucent.app.office import office_of
    from radiolucent.findings.profile import site_profile
    from radiolucent.web.gateway import pages

    parts = running.parts
    web, work = parts.settings.web, parts.settings.work
    if not web.enabled:
        return nullcontext("")
    profile = site_profile(work.profile) if work.profile else None
    return pages(
        parts.store,
        parts.bundles,
        host=web.host,
        port=web.port,
        profile=profile,
        voice=parts.wording.voice,
        stow=running.stow,
        office=office_of(parts, running.receiver, wake=running.changed.set),
        single_sign_on=_provider(web.provider),
        public_url=web.public_url,
    )


def _provider(chosen: ProviderSettings) -> SingleSignOn | None:
    from radiolucent.rollout.policy import ROLES
    from radiolucent.web.single_sign_on import Provider, SingleSignOn

    if not chosen.issuer:
        return None
    pairs = [one.rpartition("=") for one in chosen.roles]
    unknown = [role for _, _, role in pairs if role not in ROLES]
    if unknown:
        raise SetupError(f"web.provider.roles: {unknown[0]!r} is no role; choose from {', '.join(ROLES)}")
    told = chosen.model_dump(exclude={"client_secret", "roles"})
    secret = chosen.client_secret.get_secret_value()
    roles = tuple((group, role) for group, _, role in pairs)
    return SingleSignOn(Provider(**told, client_secret=secret, roles=roles))
