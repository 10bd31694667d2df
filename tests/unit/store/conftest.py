"""Stores with studies in them, for the tests of the repositories: each runs on SQLite and on PostgreSQL."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from radiolucent.store.instances import Associations, Instances, NewInstance, StudyHeader
from radiolucent.store.records import InstanceRecord
from radiolucent.store.tables import Base
from radiolucent.store.unit_of_work import Store, open_store
from tests.integration.postgres import PostgresMissing, postgres

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Receive = Callable[..., InstanceRecord]


@pytest.fixture(scope="session")
def _postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One database for all tests: to empty its tables is quicker than to make them."""
    try:
        with postgres() as cluster:
            store = open_store(cluster.database("store"), tmp_path_factory.mktemp("postgresql"))
            yield store
            store.close()
    except PostgresMissing:
        pytest.skip("needs PostgreSQL: run scripts/install-peers")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "sqlite":
        made = open_store("", tmp_path / "data")
        yield made
        made.close()
        return
    kept: Store = request.getfixturevalue("_postgresql")
    names = ", ".join(table.name for table in Base.metadata.sorted_tables)
    with kept.begin() as work:
        work.session.execute(text(f"truncate {names} restart identity cascade"))
    yield kept


@pytest.fixture
def receive(store: Store) -> Receive:
    """Add one instance as a receiver does: ``receive(sop_uid, study=…, digest=…, at=…)``."""

    def add(
        sop_uid: str,
        *,
        study: str = "1.2",
        series: str = "",
        digest: str = "",
        association: str = "a1",
        at: datetime = NOW,
        conflict: bool = False,
        **header: str,
    ) -> InstanceRecord:
        new = NewInstance(
            sop_instance_uid=sop_uid,
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            series_instance_uid=series or f"{study}.1",
            study_instance_uid=study,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            digest=digest or sop_uid.rjust(64, "0"),
            path=f"archive/{study}/{sop_uid}.{digest[:4]}.dcm",
            size_bytes=100,
            source_kind="c-store",
            association_id=association,
            calling_ae="CT1",
        )
        with store.begin() as work:
            Associations(work).opened(association, calling_ae="CT1", at=at)
            if conflict:
                return Instances(work).add_conflict(new, at=at)
            return Instances(work).add(new, StudyHeader(**{"modality": "CT", **header}), at=at)

    return add
