"""Settings become a store, engines, routes and destinations: the same in the gateway and in each worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from radiolucent.app.peers import check_ways, client_tls
from radiolucent.app.thresholds import with_kept_rules
from radiolucent.engines.registry import Bundle
from radiolucent.explain.gate import site_gate
from radiolucent.findings.alerts import default_alerts, site_alerts
from radiolucent.findings.judgement import site_tables
from radiolucent.findings.operating_points import load_operating_points
from radiolucent.findings.profile import Profile, default_profile, site_profile
from radiolucent.findings.site_templates import tried
from radiolucent.ingest import assembly
from radiolucent.pipeline import workflows
from radiolucent.pipeline.alerting import AlertDesk, AlertRules
from radiolucent.pipeline.coordinating import Coordinator, Patience
from radiolucent.pipeline.delivering import Place
from radiolucent.pipeline.places import place
from radiolucent.pipeline.posts import post
from radiolucent.pipeline.read_path import choose_bundles
from radiolucent.pipeline.read_study import Options
from radiolucent.pipeline.routing import Route, check_routes
from radiolucent.pipeline.waiting import Waiting
from radiolucent.results import fhir_mapping, hl7_mapping
from radiolucent.results.destinations.presets import Preset, packaged_presets, site_presets
from radiolucent.results.withdrawal import Wording
from radiolucent.settings import Settings
from radiolucent.settings.sections import DestinationSettings
from radiolucent.store.archive import Archive
from radiolucent.store.unit_of_work import Store, default_url, open_store


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What settings are made into; the same in the gateway and in each worker."""

    settings: Settings
    store: Store
    archive: Archive
    routes: tuple[Route, ...]
    bundles: tuple[Bundle, ...]
    places: Mapping[str, Place]
    wording: Wording
    alerts: AlertRules
    database: str
    options: Options

    @property
    def engine_digests(self) -> dict[str, str]:
        """Digest of each engine by name and by ``name@version``."""
        named = {bundle.manifest.name: bundle.digest for bundle in self.bundles}
        return named | {bundle.label: bundle.digest for bundle in self.bundles}

    @property
    def early(self) -> frozenset[str]:
        """Destinations that say how urgent a study is."""
        return frozenset(name for name, one in self.places.items() if one.early)

    @property
    def profile(self) -> Profile:
        """What the site may use each finding for."""
        return self.options.profile or default_profile()

    @property
    def waiting(self) -> Waiting:
        """For what a complete study waits; for nothing where nobody is asked."""
        chosen = self.settings
        return Waiting(
            store=self.store,
            priors_s=chosen.priors.wait_s if any(one.priors for one in chosen.pacs) else 0.0,
            order_s=chosen.worklist.wait_s if chosen.worklist.host else 0.0,
        )

    def coordinator(self, queue: workflows.Queue) -> Coordinator:
        """Of this store."""
        patience, work = self.settings.assembly, self.settings.work
        return Coordinator(
            store=self.store,
            queues=queue,
            routes=self.routes,
            engine_digests=self.engine_digests,
            compare_with_priors=work.compare_with_priors,
            early=self.early,
            holds=self.waiting.holds,
            desk=AlertDesk(store=self.store, queue=queue, rules=self.alerts),
            patience=Patience(
                assembly=assembly.Patience(
                    quiet_s=patience.quiet_s,
                    partial_quiet_s=patience.partial_quiet_s,
                    longest_wait_s=patience.longest_wait_s,
                    expected=tuple(assembly.ExpectedSeries(**one.model_dump()) for one in patience.expected_series),
                ),
                dead_after_s=work.dead_after_s,
            ),
        )


def compose(settings: Settings) -> Parts:
    """Make the parts, and say now whatever would go wrong later.

    Raises
    ------
    SetupError
        If a route names what isn't there, the database can't be reached, or a file of the settings is missing.
    EngineError
        If an engine's bundle is broken.
    """
    folder = settings.data_folder.resolve()
    bundles = tuple(choose_bundles(settings.work.engines))
    wording = _wording(settings)
    presets = site_presets(settings.presets) if settings.presets else packaged_presets()
    places = {one.name: _place(one, presets) for one in settings.destinations}
    routes = _routes(settings)
    labels = [name for bundle in bundles for name in (bundle.manifest.name, bundle.label)]
    check_routes(routes, engines=labels, destinations=places)
    check_ways(settings)
    options = _options(settings, bundles)
    url = settings.database_url.get_secret_value()
    store = open_store(url, folder)
    return Parts(
        settings=settings,
        store=store,
        archive=Archive(root=folder, watermark_bytes=settings.archive.watermark_mib << 20),
        routes=routes,
        bundles=bundles,
        places=places,
        wording=wording,
        alerts=_alerts(settings, places, wording),
        database=workflows.system_database(url or default_url(folder), folder),
        options=with_kept_rules(options, store, bundles),
    )


def _routes(settings: Settings) -> tuple[Route, ...]:
    everywhere = tuple(one.name for one in settings.destinations)
    if not settings.routes:
        return (Route(name="everything", destinations=everywhere),)
    return tuple(Route(**one.model_dump()) for one in settings.routes)


def _options(settings: Settings, bundles: tuple[Bundle, ...]) -> Options:
    work = settings.work
    options = Options(
        phantom_findings=work.phantom_findings,
        operating_points=load_operating_points(work.thresholds) if work.thresholds else None,
        profile=site_profile(work.profile) if work.profile else default_profile(),
        tables=site_tables(work.rules) if work.rules else None,
        use_case=work.use_case,
        gate=site_gate(work.gate) if work.gate else None,
    )
    for bundle in bundles:
        options.thresholds(bundle)
    return options


def _wording(settings: Settings) -> Wording:
    told = settings.messages
    if told.templates:
        tried(told.templates)  # what can't be filled stops the start, not a study
    return Wording(
        oru_mapping=hl7_mapping.site_mapping(told.oru_mapping) if told.oru_mapping else None,
        fhir_mapping=fhir_mapping.site_mapping(told.fhir_mapping) if told.fhir_mapping else None,
        release=told.fhir_release,
        viewer_url=settings.web.viewer_url,
        language=told.language,
        templates=told.templates,
    )


def _alerts(settings: Settings, places: Mapping[str, Place], wording: Wording) -> AlertRules:
    told = settings.alerts
    return AlertRules(
        table=site_alerts(told.table) if told.table else default_alerts(),
        language=told.language,
        posts={one.name: post(**one.model_dump(), places=places, wording=wording) for one in told.channels},
    )


def _place(one: DestinationSettings, presets: Mapping[str, Preset]) -> Place:
    told = one.model_dump(exclude={"token", "tls"})
    tls = client_tls(one, "destination") if one.tls else None
    return place(**told, token=one.token.get_secret_value(), tls=tls, presets=presets)
