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


class SetupError(RadiolucentError):
    """The installation or its settings are wrong: the person who runs it must act."""


class MissingExtra(SetupError):
    """A function needs an optional dependency that isn't installed."""

    def __init__(self, what: str, *, extra: str) -> None:
        self.extra = extra
        super().__init__(f"{what} needs the '{extra}' extra: pip install 'radiolucent[{extra}]'")


class OutputExists(SetupError):
    """The output folder exists already: nothing is overwritten unless asked for."""


class EngineError(RadiolucentError):
    """An engine bundle is wrong or didn't do what its manifest says: its maker must act."""


class InvalidBundle(EngineError):
    """A bundle's manifest is incomplete or contradicts its files."""


class DigestMismatch(EngineError):
    """A file of a bundle isn't the one that its manifest was signed off with."""


class IncompleteEvidence(EngineError):
    """The stored map doesn't add up to the logit: the explanation can't be trusted."""


class EncodingError(RadiolucentError):
    """A result can't be written as a valid object: it is refused rather than half-written."""


class DeliveryError(RadiolucentError):
    """A result could not be handed over to its destination."""


class AuditError(RadiolucentError):
    """The audit trail could not be written or doesn't verify."""
