"""The demo's functions, laid out as `localcloud.loading` reads a user's directory of functions.

`work` says what they do; the modules of each vendor adapt it, most of them through the wrapper
`sidestep_function`.
"""
