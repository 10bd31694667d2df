"""The one tree of errors, split by who must act: sender, setup, engine, delivery or audit.

A message says what is wrong and what to do next. Facts are attributes. No message names a patient.
Errors are caught at the edges only (CLI exit code, DIMSE status, HTTP status), one table each.
"""


class RadiolucentError(Exception):
    """Everything that this project raises on purpose."""


class SenderError(RadiolucentError):
    """What was sent can't be used: the sender of the images must act."""


class UnreadableFile(SenderError):
    """A file is no readable DICOM object: empty, truncated, another format, or a broken header.

    Parameters
    ----------
    reason : str
        What is wrong and what to do about it, in one sentence.
    path : str
        The file, as the caller named it.
    tag : str
        The DICOM keyword that is missing or wrong, or empty where no single one is to blame.
    code : str
        Short and stable, for tables and filters: the code of the `Problem` that this becomes.
    """

    def __init__(self, reason: str, *, path: str, tag: str = "", code: str = "unreadable") -> None:
        self.reason, self.path, self.tag, self.code = reason, path, tag, code
        super().__init__(f"{path}: {tag + ': ' if tag else ''}{reason}")


class UnreadablePixels(UnreadableFile):
    """The header is fine but the pixel data can't be decoded or don't match the header."""


class UnsafeArchive(SenderError):
    """A zip file is refused: a path that leaves its folder, or a size that no study has."""


class NothingToRead(SenderError):
    """The path holds no image at all."""


class BrokenProtocol(SenderError):
    """A peer's bytes break the protocol: its association or request is ended.

    Parameters
    ----------
    reason : Reason/Diag. of the A-ABORT (PS3.8 table 9-26) or the HTTP status that answers it.
    """

    def __init__(self, what: str, *, reason: int = 0) -> None:
        self.reason = reason
        super().__init__(what)


class QueryFailed(SenderError):
    """A PACS or a worklist that was asked doesn't answer, or refuses."""


class SetupError(RadiolucentError):
    """The installation or its settings are wrong: the person who runs it must act."""


class MissingExtra(SetupError):
    """A function needs an optional dependency that isn't installed."""

    def __init__(self, what: str, *, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the '{extra}' extra: pip install 'radiolucent[{extra}]'")


class OutputExists(SetupError):
    """The output folder exists already: nothing is overwritten unless asked for."""


class ListenerFailed(SetupError):
    """The DICOM listener can't start: its address is taken, or its TLS files are wrong."""


class OutOfSpace(SetupError):
    """The archive's disk is at its watermark or full: nothing more is taken until there is room."""


class NoSuchStudy(SetupError):
    """A study, reading or delivery that was named isn't known here."""


class ReportChanged(SetupError):
    """Another version of a report was kept since its author began: that one must be looked at first."""


class EngineError(RadiolucentError):
    """An engine bundle is wrong or didn't do what its manifest says: its maker must act."""


class InvalidBundle(EngineError):
    """A bundle's manifest is incomplete or contradicts its files."""


class DigestMismatch(EngineError):
    """A file of a bundle isn't the one that its manifest was signed off with."""


class NotItsSite(EngineError):
    """An engine takes a film for a part of the body that it doesn't read: nothing is said of that film."""


class IncompleteEvidence(EngineError):
    """The stored map doesn't add up to the logit: the explanation can't be trusted."""


class EncodingError(RadiolucentError):
    """A result can't be written as a valid object: it is refused rather than half-written."""


class DeliveryError(RadiolucentError):
    """A result could not be handed over to its destination."""


class RetriableDelivery(DeliveryError):
    """Not handed over now, but the same may succeed later: down, busy, hanging, or an answer nobody understands.

    Parameters
    ----------
    reason : what happened and what to do, in one sentence; names no patient.
    destination : its name in the settings.
    delivered : what this attempt did hand over (SOP Instance UIDs, control IDs); sending it again does no harm.
    retry_after_s : how long the peer asked to be left alone, or None.
    """

    def __init__(
        self, reason: str, *, destination: str, delivered: tuple[str, ...] = (), retry_after_s: float | None = None
    ) -> None:
        self.reason, self.destination, self.delivered = reason, destination, delivered
        self.retry_after_s = retry_after_s
        super().__init__(f"{destination}: {reason}")


class FinalDelivery(DeliveryError):
    """Refused for good: sending the same again would be refused again, so a person must act.

    Parameters
    ----------
    reason : what was refused and what to do, in one sentence; names no patient.
    destination : its name in the settings.
    delivered : what was handed over all the same.
    """

    def __init__(self, reason: str, *, destination: str, delivered: tuple[str, ...] = ()) -> None:
        self.reason, self.destination, self.delivered = reason, destination, delivered
        super().__init__(f"{destination}: {reason}")


class AuditError(RadiolucentError):
    """The audit trail could not be written or doesn't verify."""
