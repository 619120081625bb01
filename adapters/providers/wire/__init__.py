"""What the four providers share: one guarded HTTP client, the origin rules, credentials refreshed ahead of
time, and the outcomes that do not depend on a vendor. Knows no vendor and imports no provider.
"""
