"""Trials: a workflow run against answers that the caller supplies, by the real machine and engine.

- mocks.py    what a caller says that each step is answered, and its checking
- loop.py     the event loop on which time is moved instead of waited for
- cloud.py    the provider that answers as it was told, and a board that lets every call through
- callers.py  who sends signals and callbacks
- children.py how child executions end
- outside.py  expressions, which take real time, asked of the server's own evaluator
- stage.py    one trial, from its creation to its result
- trials.py   how many there may be, where they run, and for how long
"""
