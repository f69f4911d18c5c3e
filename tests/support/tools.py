"""Tests that need a tool which is no Python package."""

from __future__ import annotations

import pytest
from llmc.codegen.ptx.assemble import find_tool

needs_ptxas = pytest.mark.skipif(find_tool("ptxas") is None, reason="ptxas is not installed")
