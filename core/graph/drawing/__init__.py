"""A workflow as a picture.

`parts` is what a picture consists of, `outline` reads a workflow into it, `labels` puts what its steps say
into short lines. `mermaid` and `svg` write it; `layout` finds the places for the latter, by `layers`.
Pure: no clock, no chance, the same workflow always gives the same text.
"""
