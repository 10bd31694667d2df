"""What programs are told of the JSON routes: an OpenAPI document with the form of every answer and refusal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response

from radiolucent.web.access import Here, Someone, require

router = APIRouter()
_BELOW: Final = "/api/v1/"
_BESIDE: Final = ("/me", "/healthz", "/readyz")
_OPEN: Final = ("/healthz", "/readyz")
_OURS: Final = ("authorization", "x-csrf-token", "sec-fetch-site")
"""Headers that are told as a security scheme, or that browsers alone send."""
TEXT: Final = {"type": "string"}
MAYBE_TEXT: Final = {"type": ["string", "null"]}


def _rows(name: str, **fields: Any) -> dict[str, Any]:
    """An object with a list of objects that have these fields."""
    row = {"type": "object", "required": sorted(fields), "properties": fields}
    return {"type": "object", "required": [name], "properties": {name: {"type": "array", "items": row}}}


def _object(**fields: Any) -> dict[str, Any]:
    return {"type": "object", "required": sorted(fields), "properties": fields}


BINARY: Final = "application/octet-stream"
ANSWERS: Final[Mapping[str, dict[str, Any] | str]] = {
    "/me": _object(name=TEXT, display_name=TEXT, role=TEXT),
    "/healthz": _object(status=TEXT),
    "/readyz": _object(status=TEXT),
    "/api/v1/worklist": _rows(
        "studies",
        study_instance_uid=TEXT,
        patient_id=TEXT,
        modality=TEXT,
        study_date=TEXT,
        received_at={"type": "string", "format": "date-time"},
        leading_finding=MAYBE_TEXT,
        ai=TEXT,
        waited_minutes={"type": "number", "minimum": 0},
        reader=MAYBE_TEXT,
    ),
    "/api/v1/alerts": _rows("alerts"),
    "/api/v1/series/{key}/meta": _object(uid=TEXT, study_instance_uid=TEXT, rows={"type": "integer", "minimum": 1}),
    "/api/v1/series/{key}/frames/{k}": BINARY,
    "/api/v1/results/{rid}": _object(
        result_id=TEXT, study_instance_uid=TEXT, state=TEXT, series={"type": "array"}, unread={"type": "array"}
    ),
    "/api/v1/results/{rid}/heat/{finding}": BINARY,
    "/api/v1/results/{rid}/change/{finding}": BINARY,
    "/api/v1/results/{rid}/explanations/{job}/map": BINARY,
}
"""Path → schema of its answer, or its media type; a path that isn't here answers with an object."""
REFUSAL: Final = _object(code=TEXT, reason=TEXT)
"""Every refusal: a stable code, and words for people."""


def document(app: FastAPI) -> dict[str, Any]:
    """OpenAPI 3.1 of the routes that programs use."""
    whole = app.openapi()
    paths = {
        path: {method: _operation(path, operation) for method, operation in operations.items()}
        for path, operations in whole["paths"].items()
        if path.startswith(_BELOW) or path in _BESIDE
    }
    schemas = dict(whole.get("components", {}).get("schemas", {}))
    return {
        "openapi": whole["openapi"],
        "info": whole["info"] | {"description": "Tokens are made under Account; their role limits what they see."},
        "paths": paths,
        "components": {
            "schemas": schemas | {"Refusal": REFUSAL},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _operation(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    answer = ANSWERS.get(path, {"type": "object"})
    content = {answer: {}} if isinstance(answer, str) else {"application/json": {"schema": answer}}
    done = next(status for status in operation["responses"] if status.startswith("2"))
    refusal = {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}}
    told = {
        done: {"description": "What was asked for", "content": content},
        "4XX": {"description": "Refused", "content": refusal},
    }
    if path.endswith("/frames/{k}"):
        told["304"] = {"description": "What the browser keeps is what there is"}
    asked = [one for one in operation.get("parameters", ()) if one["name"].lower() not in _OURS]
    open_to_all: dict[str, Any] = {"security": []} if path in _OPEN else {}
    return {**operation, "parameters": asked, "responses": told, **open_to_all}


@router.get("/api/v1/openapi.json")
def openapi(request: Request, here: Here, who: Someone) -> Response:
    """The document itself, for whoever has an account."""
    require(here, who, "account")
    app: FastAPI = request.app
    return JSONResponse(document(app))
