"""The repository root is the package: see docs/decisions/0001-root-as-package.md."""

from setuptools import find_packages, setup

layers = find_packages(include=["domain*", "application*", "infrastructure*", "config*"])
setup(
    script_name="setup.py",  # so that this file is known for what it is and left out of the package
    package_dir={"market_backbone": "."},
    packages=["market_backbone", *("market_backbone." + name for name in layers)],
)
