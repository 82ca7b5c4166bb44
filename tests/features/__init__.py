"""Tests of nlviz.features."""
