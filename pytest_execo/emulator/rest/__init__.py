"""The REST API of Grid'5000 as the emulator serves it: paths, texts, headers and quirks of the real one.

Lives here: what is between a request and the platform. What is behind it (jobs, deployments, VLANs…) is not.
"""

from .application import Application

__all__ = ("Application",)
