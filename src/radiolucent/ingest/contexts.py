"""Which presentation contexts the listener accepts: verification, every storage class, every stored transfer syntax."""

from __future__ import annotations

from typing import Final

from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID, AllTransferSyntaxes

from radiolucent.ingest.receiving import is_uid
from radiolucent.ingest.upper_layer import AssociateRequest, ContextAnswer, ProposedContext

VERIFICATION: Final = "1.2.840.10008.1.1"
ACCEPTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = 0, 3, 4
"""PS3.8 table 9-18."""
_WITHOUT_PIXELS: Final = ("JPIP", "SMPTE")
_UNCOMPRESSED: Final = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")

TRANSFER_SYNTAXES: Final = tuple(
    str(syntax) for syntax in AllTransferSyntaxes if not syntax.name.startswith(_WITHOUT_PIXELS)
)
"""Those of PS3.5 whose data sets carry their own pixels; each is stored as it was sent."""


def is_storage_class(uid: str, *, unknown: bool = True) -> bool:
    """True for the storage classes of the standard and, with `unknown`, for private ones and those of later editions.

    >>> is_storage_class("1.2.840.10008.5.1.4.1.1.2"), is_storage_class("1.2.840.10008.1.20.1")
    (True, False)
    >>> is_storage_class("1.3.12.2.1107.5.9.1"), is_storage_class("1.3.12.2.1107.5.9.1", unknown=False)
    (True, False)
    """
    if uid not in UID_dictionary:
        return unknown and is_uid(uid)
    keyword = UID(uid).keyword
    return "Storage" in keyword and "StorageCommitment" not in keyword


def answer_contexts(request: AssociateRequest, *, unknown: bool = True) -> tuple[ContextAnswer, ...]:
    """Accept what can be stored, each with the first transfer syntax of the requestor's own list that is known."""
    return tuple(_answer(context, unknown) for context in request.contexts)


def _answer(context: ProposedContext, unknown: bool) -> ContextAnswer:
    known = _UNCOMPRESSED if context.abstract_syntax == VERIFICATION else TRANSFER_SYNTAXES
    chosen = next((syntax for syntax in context.transfer_syntaxes if syntax in known), "")
    if context.abstract_syntax != VERIFICATION and not is_storage_class(context.abstract_syntax, unknown=unknown):
        result = NO_ABSTRACT_SYNTAX
    else:
        result = ACCEPTED if chosen else NO_TRANSFER_SYNTAX
    # a refused context must name a syntax too, which the requestor ignores (PS3.8 9.3.3.2.1)
    return ContextAnswer(id=context.id, result=result, transfer_syntax=chosen or _UNCOMPRESSED[0])
