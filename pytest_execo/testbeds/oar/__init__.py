"""OAR 2.5, spoken to directly: nodes of any cluster that has ``oarsub``, without the Grid'5000 API.

``--execo-testbed=oar --execo-site=FRONTEND``. Lives here: the testbed and its lease (:mod:`.testbed`, :mod:`.lease`),
the frontend and what it is asked (:mod:`.frontend`, :mod:`.waiting`), the command lines (:mod:`.cli`), what OAR's
programs print (:mod:`.parsing`), and what fits where (:mod:`.fitting`).
"""

from __future__ import annotations

from .lease import OarLease
from .testbed import OarTestbed

__all__ = ("OarLease", "OarTestbed")
