"""What a site may set for ``radiolucent serve``: a TOML file, then the environment. Only `app` and `cli` read it."""

from radiolucent.settings.loading import load_settings
from radiolucent.settings.model import Settings

__all__ = ["Settings", "load_settings"]
