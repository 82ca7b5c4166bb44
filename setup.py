"""What pyproject.toml cannot say: the files at the top of a clone lie in nlviz/data in a wheel."""

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

DATA = "nlviz.data"


class Build(build_py):
    """Of the top of a clone, package-data alone; no other Python file that lies there."""

    def find_package_modules(self, package: str, package_dir: str) -> list[tuple[str, str, str]]:
        """The modules of a package."""
        return [] if package == DATA else super().find_package_modules(package, package_dir)


setup(
    packages=[*find_packages(include=["nlviz", "nlviz.*"]), DATA],
    package_dir={DATA: "."},
    cmdclass={"build_py": Build},
)
