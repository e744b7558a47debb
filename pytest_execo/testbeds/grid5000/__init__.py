"""Grid'5000: nodes of a real testbed, by its REST API.

Lives here: the HTTP client (:mod:`.client`), the reference data and what is asked of them (:mod:`.reference`), how a
request becomes words for OAR and what the charter says to it (:mod:`.requests`), when and where it fits
(:mod:`.planning`), and what is done with jobs, deployments, VLANs, subnets and metrics (:mod:`.operations`).
"""
