"""A Grid'5000 on this machine: its REST API, scheduler, deployments, VLANs, metrics and faults, on loopback.

Lives here: what stands for the testbed's servers (:mod:`.oar` the scheduler, :mod:`.rest` the API, :mod:`.server` the
process) and for its nodes (:mod:`.machines`). What stands for its users, the client, is in
:mod:`pytest_execo.testbeds.grid5000` and does not know that it talks to an emulator.
"""
