"""Expressions in child processes that can be killed: the adapter of core/ports/evaluator.py.

- pool.py    the evaluator: callers take turns, children are started, kept, ended and replaced
- turns.py   whose turn it is
- child.py   the parent's end of one child process
- inside.py  the program of the child
- frames.py  what both ends say to one another

A child limits itself by means of the kernel: a timer of CPU time per request, whose signal ends the process
whatever it is doing (a regular expression in C, too), and a limit of address space. It ends when its standard
input does, so none outlives the server. Nothing is shared between children, and a child has no environment,
no files and no network of its own to lose.
"""
