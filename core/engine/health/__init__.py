"""The health board of one process: counts calls, keeps breakers, probes, and tells other replicas.

The decisions are core.failover's; here are the clock, the tasks and the state that they need. No adapter and
no web framework.
"""
