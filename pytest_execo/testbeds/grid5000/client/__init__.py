"""The Grid'5000 API over HTTP.

Lives here: who we are (:mod:`.credentials`), requests that end (:mod:`.http`, :mod:`.transport`, :mod:`.retrying`,
:mod:`.failures`), what servers say (:mod:`.sentences`), lists in pages (:mod:`.paging`), reference data on disk
(:mod:`.cache`), the verbs (:mod:`.client` and the modules that it is put together from), and when to ask again
(:mod:`.polling`). Nothing here waits for a job.
"""

from __future__ import annotations

from .cache import default_cache
from .client import Grid5000Client
from .credentials import Credentials, read_credentials
from .polling import Polling

__all__ = ("Credentials", "Grid5000Client", "Polling", "default_cache", "read_credentials")
