"""`llmc bisect`: the application of a pass, and in it the rewrite, that makes a test fail.

verdicts.py   what tells good from bad: a command, a failing pipeline, different numbers, ptxas
search.py     the search over applications, then over rewrites
command.py    the command: files before and after, and the paragraph that says what was found
"""
