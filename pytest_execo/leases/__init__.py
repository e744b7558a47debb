"""Leases that a run holds while nobody watches: reserved, probed, mended, extended, lost, given back. No pytest here.

May import testbeds, sweeps and what is below; not plugin, not results.
"""
