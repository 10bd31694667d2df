from __future__ import annotations

import pytest
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AllStoragePresentationContexts, QueryRetrievePresentationContexts

from radiolucent.ingest.contexts import TRANSFER_SYNTAXES, answer_contexts, is_storage_class
from radiolucent.ingest.upper_layer import AssociateRequest, ProposedContext


def _ask(abstract: str, *syntaxes: str, unknown: bool = True) -> tuple[int, str]:
    context = ProposedContext(id=5, abstract_syntax=abstract, transfer_syntaxes=syntaxes)
    request = AssociateRequest(
        version_1=True,
        called_ae="A",
        calling_ae="B",
        titles=bytes(32),
        application_context="",
        contexts=(context,),
        maximum_length=0,
        implementation_class_uid="1.2",
    )
    (answer,) = answer_contexts(request, unknown=unknown)
    assert answer.id == 5
    return answer.result, answer.transfer_syntax


@pytest.mark.parametrize("uid", [str(one.abstract_syntax) for one in AllStoragePresentationContexts])
def test_every_storage_class_that_another_implementation_knows_is_accepted(uid: str) -> None:
    assert is_storage_class(uid)


@pytest.mark.parametrize(
    "uid",
    [str(one.abstract_syntax) for one in QueryRetrievePresentationContexts]
    + ["1.2.840.10008.1.20.1", "1.2.840.10008.3.1.2.3.3", "1.2.840.10008.1.2.1", "not a uid", ""],
)
def test_what_is_no_storage_class_is_refused(uid: str) -> None:
    assert _ask(uid, ImplicitVRLittleEndian)[0] == 3


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        JPEGBaseline8Bit,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEG2000Lossless,
        HTJ2KLossless,
        RLELossless,
        MPEG2MPML,
    ],
)
def test_every_common_transfer_syntax_is_accepted_for_storage(syntax: str) -> None:
    assert _ask("1.2.840.10008.5.1.4.1.1.2", syntax) == (0, syntax)


def test_the_first_known_transfer_syntax_of_the_requestor_is_chosen() -> None:
    asked = ("1.2.840.113619.5.2", JPEG2000Lossless, ImplicitVRLittleEndian)
    assert _ask("1.2.840.10008.5.1.4.1.1.2", *asked) == (0, JPEG2000Lossless)
    assert _ask("1.2.840.10008.5.1.4.1.1.2", asked[0])[0] == 4


def test_a_transfer_syntax_whose_pixels_are_elsewhere_is_not_offered() -> None:
    assert not {"1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.204", "1.2.840.10008.1.2.7.1"} & set(TRANSFER_SYNTAXES)


def test_verification_is_uncompressed() -> None:
    assert _ask("1.2.840.10008.1.1", JPEGBaseline8Bit)[0] == 4
    assert _ask("1.2.840.10008.1.1", JPEGBaseline8Bit, ImplicitVRLittleEndian) == (0, ImplicitVRLittleEndian)


def test_private_classes_are_taken_unless_a_site_says_no() -> None:
    assert _ask("1.3.12.2.1107.5.9.1", ImplicitVRLittleEndian)[0] == 0
    assert _ask("1.3.12.2.1107.5.9.1", ImplicitVRLittleEndian, unknown=False)[0] == 3
