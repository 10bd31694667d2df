"""From an urgent study to who must know of it: durable workflows, real receivers, and the order in which they hear."""

from __future__ import annotations

import email
import email.policy
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radiolucent.ingest import assembly
from radiolucent.ingest.receiving import Way, identify
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline import workflows
from radiolucent.pipeline.alerting import AlertDesk, AlertRules, Post, acknowledge
from radiolucent.pipeline.coordinating import Coordinator, Patience
from radiolucent.pipeline.delivering import Dispatch, Place, withdraw
from radiolucent.pipeline.notifying import Mailroom
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.pipeline.revisions import Bench
from radiolucent.pipeline.routing import Route
from radiolucent.results.destinations import Package, Receipt
from radiolucent.results.destinations.alert_channels import FhirChannel, Hl7Channel, MailChannel
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.smtp import Smtp
from radiolucent.store.alerts import AlertRecord, Alerts, Notices
from radiolucent.store.archive import Archive
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.unit_of_work import Store, open_store
from tests.integration.outgoing import FhirServer, MailServer, Ris, mail_server, ris, web
from tests.integration.phantom_route import PHANTOMS, Detail
from tests.unit.pipeline.kept import keep
from tests.unit.results.messages import Received, readings

WITHIN_S = 300.0


@dataclass
class Witness:
    """A destination that keeps who came when; it can be held up."""

    name: str
    order: list[str]
    gate: threading.Event = field(default_factory=threading.Event)

    def deliver(self, package: Package) -> Receipt:
        self.gate.wait(WITHIN_S)
        self.order.append(f"{package.study_instance_uid} {self.name}")
        return Receipt(destination=self.name, delivered=(package.study_instance_uid,))


@dataclass
class Scene:
    """A gateway's parts in this process: what `serve` puts together, without its listener."""

    store: Store
    archive: Archive
    coordinator: Coordinator
    queue: workflows.Queue
    witnesses: dict[str, Witness]
    order: list[str]
    mails: MailServer
    ris: Ris
    ehr: FhirServer
    later: timedelta = timedelta()

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.later

    def until(self, met: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while not met():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            self.coordinator.turn()
            time.sleep(0.05)

    def alerts(self) -> tuple[AlertRecord, ...]:
        with self.store.read() as work:
            return Alerts(work).list()

    def notices(self) -> dict[tuple[str, str], str]:
        with self.store.read() as work:
            return {
                (n.channel, n.turn): n.state for one in Alerts(work).list() for n in Notices(work).of_alert(one.key)
            }

    def state_of(self, delivery_id: int) -> str:
        with self.store.read() as work:
            return Deliveries(work).get(delivery_id).state

    def told(self, *turns: tuple[str, str]) -> bool:
        return all(self.notices().get(turn) == "delivered" for turn in turns)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("gateway") / "data"
    store, ehr, order = open_store("", folder), FhirServer(), list[str]()
    archive = Archive(root=folder, watermark_bytes=0)
    archive.prepare()
    database = workflows.system_database("", folder)
    workflows.prepare(database)
    with ExitStack() as stack:
        mails, receiver = stack.enter_context(mail_server()), stack.enter_context(ris())
        web_ = stack.enter_context(web(ehr.answer))
        witnesses = {name: Witness(name=name, order=order) for name in ("pacs", "flag")}
        places = {name: Place(destination=one, early=name == "flag") for name, one in witnesses.items()}
        smtp = Smtp(
            name="mail",
            host="127.0.0.1",
            port=mails.port,
            sender="ai@hospital.example",
            recipients=("room@hospital.example",),
        )
        mllp = Mllp(name="ris", host="127.0.0.1", port=receiver.port)
        posts = {
            "mail": Post(channel=MailChannel(destination=smtp)),
            "ris": Post(channel=Hl7Channel(destination=mllp), gets="first"),
            "ehr": Post(channel=FhirChannel(destination=FhirRest(peer=HttpPeer(name="ehr", url=web_.url)))),
        }
        rules, queue = AlertRules(posts=posts), workflows.Queue(database)
        routes = (Route(name="all", destinations=("pacs", "flag")),)
        early = frozenset({"flag"})
        made: list[Scene] = []

        def clock() -> datetime:
            return made[0].clock()

        coordinator = Coordinator(
            store=store,
            queues=queue,
            routes=routes,
            engine_digests={"detail-cr": "d"},
            patience=Patience(assembly=assembly.Patience(quiet_s=0, partial_quiet_s=0, longest_wait_s=3600)),
            early=early,
            desk=AlertDesk(store=store, queue=queue, rules=rules),
            clock=clock,
        )
        made.append(
            Scene(
                store=store,
                archive=archive,
                coordinator=coordinator,
                queue=queue,
                witnesses=witnesses,
                order=order,
                mails=mails,
                ris=receiver,
                ehr=ehr,
            )
        )
        engine: Any = Detail("cr")
        tools = workflows.Tools(
            bench=Bench(
                store=store, engines=[engine], routes=routes, worker="w", early=early, alerts=rules, clock=clock
            ),
            dispatch=Dispatch(store=store, places=places, clock=clock),
            mailroom=Mailroom(store=store, rules=rules, clock=clock),
        )
        workflows.launch(tools, database=database, executor_id="w", deliveries_at_once=1)
        yield made[0]
        for one in witnesses.values():
            one.gate.set()
        workflows.stop(within_s=5)
        queue.close()
        store.close()


@pytest.fixture(scope="module")
def uid(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A radiograph with a pneumothorax, received."""
    wanted = PHANTOMS["cr"]
    folder = tmp_path_factory.mktemp("study")
    make_study(wanted["kind"], wanted["findings"], seed=wanted["seed"], **wanted["options"]).save(folder)
    receiver, uids = StoreReceiver(scene.store, scene.archive), set()
    for number, path in enumerate(sorted(folder.rglob("*.dcm"))):
        incoming = scene.archive.incoming / f"{number}.part"
        shutil.copyfile(path, incoming)
        one = identify(incoming, way=Way.C_STORE, association_id="a", calling_ae="CR1")
        receiver.receive(one)
        uids.add(one.study_instance_uid)
    receiver.association_ended("a", aborted=False)
    (found,) = uids
    return found


def test_an_urgent_study_is_told_on_every_channel_before_its_objects_arrive(scene: Scene, uid: str) -> None:
    first = [(name, "first") for name in ("mail", "ris", "ehr")]
    scene.until(lambda: scene.told(*first), "the alert on every channel")
    assert scene.order == []  # the PACS is held up, and nobody waits for it
    (one,) = scene.alerts()
    assert (one.study_instance_uid, one.finding, one.state) == (uid, "pneumothorax", "open")
    assert one.level <= 2
    mail = email.message_from_bytes(scene.mails.mails[0], policy=email.policy.default)
    assert mail["Subject"] == one.subject
    assert uid not in str(mail)
    (message,) = scene.ris.kept.values()
    assert one.message in Received.of(message).study()["ai-alert"][0]
    assert [kept["status"] for kept in scene.ehr.of_type("Communication")] == ["in-progress"]


def test_what_says_the_urgency_goes_before_the_objects(scene: Scene, uid: str) -> None:
    for one in scene.witnesses.values():
        one.gate.set()
    scene.until(lambda: len(scene.order) == 2, "both deliveries")
    assert scene.order == [f"{uid} flag", f"{uid} pacs"]


def test_nobody_answers_and_it_is_escalated_once_to_who_wants_that(scene: Scene, uid: str) -> None:
    scene.later = timedelta(hours=2)
    scene.until(lambda: scene.told(("mail", "escalation"), ("ehr", "escalation")), "the escalation")
    scene.later = timedelta(hours=9)
    scene.coordinator.turn()
    assert ("ris", "escalation") not in scene.notices()
    subjects = [email.message_from_bytes(one)["Subject"] for one in scene.mails.mails]
    assert sum(one.startswith("Not acknowledged") for one in subjects) == 1


def test_an_acknowledgement_and_a_withdrawal_reach_who_was_told(scene: Scene, uid: str) -> None:
    (one,) = scene.alerts()
    assert acknowledge(scene.store, one.key, actor="dr-a", at=scene.clock())[1]
    scene.until(lambda: scene.told(("ehr", "acknowledged")), "the acknowledgement")
    assert [kept["status"] for kept in scene.ehr.of_type("Communication")] == ["completed"]
    assert withdraw(scene.store, uid, reason="wrong side", actor="dr-a", at=scene.clock()) == 2
    gone = [(name, "withdrawn") for name in ("mail", "ris", "ehr")]
    scene.until(lambda: scene.told(*gone), "the withdrawal")
    assert scene.alerts()[0].state == "ended"
    assert [kept["status"] for kept in scene.ehr.of_type("Communication")] == ["entered-in-error"]
    scene.until(lambda: len(scene.order) == 4, "the withdrawal of the objects")


def test_urgent_results_overtake_those_that_wait_and_old_ones_are_not_forgotten(scene: Scene) -> None:
    """Owed while the only place of the queue is taken, so that the queue has to choose."""
    scene.witnesses["pacs"].gate.clear()
    del scene.order[:]
    kinds = {  # name → reading, priority of the study, hours since when it is owed
        "plug": ("negative", "stat", 200.0),
        "backfill": ("negative", "backfill", 1.0),
        "live": ("negative", "live", 1.0),
        "urgent": ("critical", "live", 0.0),
        "old": ("negative", "live", 3.0),
        "ancient": ("negative", "backfill", 60.0),
    }
    ids: dict[str, int] = {}
    for number, (name, (kind, priority, hours)) in enumerate(kinds.items()):
        reading = replace(readings()[kind], study_instance_uid=f"2.25.9{number}")
        at = scene.clock() - timedelta(hours=hours)
        keep(scene.store, reading, at=at, priority=priority)
        with scene.store.begin() as work:
            ids[name] = Deliveries(work).owe(reading.study_instance_uid, 1, ["pacs"], at=at)[0].id
        if name == "plug":
            scene.until(lambda: scene.state_of(ids["plug"]) == "sending", "the place to be taken")
    for _ in range(2):
        scene.coordinator.turn()
    scene.witnesses["pacs"].gate.set()
    scene.until(lambda: len(scene.order) == len(kinds), "all of them")
    names = {f"2.25.9{number} pacs": name for number, name in enumerate(kinds)}
    assert [names[one] for one in scene.order] == ["plug", "ancient", "old", "urgent", "live", "backfill"]
