"""The OAR of one emulated site: resources, requests, admission rules, scheduler and jobs. No HTTP, no threads.

:mod:`.engine` is the front door: an :class:`Oar` lives in memory and moves when somebody calls
:meth:`~.engine.Oar.advance`. :mod:`.rest` writes its jobs as the Grid'5000 API does.
"""
