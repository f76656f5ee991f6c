"""How static files are stored for the web server."""

from typing import Any

from whitenoise.compress import Compressor
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise is untyped here
    """Files under names that carry their content's hash, each beside a gzipped copy.

    Brotli would save some more bytes and cost a minute at every start; the proxy in front may do it.
    """

    def create_compressor(self, **kwargs: Any) -> Compressor:
        """The compressor, without brotli."""
        return Compressor(**{**kwargs, "use_brotli": False})
