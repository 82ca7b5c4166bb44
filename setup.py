"""What pyproject.toml cannot say: the files at the top of a clone lie in nlviz/data in a wheel."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["nlviz", "nlviz.*"]), "nlviz.data"],
    package_dir={"nlviz.data": "."},
)
