"""Folders outside the package that an installation needs: pyproject.toml alone cannot map them into it."""

from setuptools import find_packages, setup

DATA = {"gateway.firmware_profiles": "firmware_profiles", "gateway.demo_config": "config/demo"}

setup(
    packages=[*find_packages(include=["gateway*"]), *DATA],
    package_dir=DATA,
    package_data={name: ["*.yaml"] for name in DATA},
)
