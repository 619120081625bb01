"""The `sidestep` command: a client of the HTTP API, the server's and localcloud's starter, and the demo.

Commands import what they need when they run, so that `sidestep --help` stays fast.
"""
