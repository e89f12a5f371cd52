"""What the operator reads, in the operator's language.

The rules say their sentences once, in English, and know of no other language; here the finished sentence is
taken apart again by the catalogue. One that is not there stays English. `language` alone loads no catalogue.
"""
