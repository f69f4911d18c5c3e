"""The lower trace: what every pass did, as numbered files and one HTML page that is written while the passes run.

`instrument.py` watches the passes, `states.py` holds a module as it stood between two of them, `streams.py` connects the modules that
passes work on (the whole model, then its kernels one by one), `writer.py` writes. The page itself is in `page/`. No pass knows of it.
"""

from .instrument import LowerTrace

__all__ = ["LowerTrace"]
