"""Which modules declare tables: loading this one makes `tables.Base.metadata` complete."""

from __future__ import annotations

from radiolucent.store import (
    adaptation_tables,
    alert_tables,
    audit_tables,
    facts_tables,
    people_tables,
    report_tables,
    room_tables,
    study_tables,
    way_tables,
)

MODULES = (
    study_tables,
    adaptation_tables,
    alert_tables,
    audit_tables,
    facts_tables,
    people_tables,
    report_tables,
    room_tables,
    way_tables,
)
