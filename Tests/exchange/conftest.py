"""Other libraries warn about versions of their own dependencies."""

import warnings

warnings.simplefilter("ignore")


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore")
