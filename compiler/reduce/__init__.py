"""`llmc-reduce`: IR made small while it keeps showing one failure.

interest.py   what must stay: a command's verdict, a failing pass, pipelines that disagree, ptxas's refusal
edits.py      the ways to make IR smaller
search.py     which edits are tried, in which order
command.py    the command
"""
