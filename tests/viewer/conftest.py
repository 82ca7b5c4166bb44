"""Viewers alone on a page, for the tests of this folder."""

from tests.support.viewer_page import show as show
