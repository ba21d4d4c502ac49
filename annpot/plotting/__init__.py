"""Pictures: what they show, and functions from that to figures of matplotlib.

The functions are pure: no window, no state.
"""

from __future__ import annotations

from annpot.errors import AnnpotError


def require_matplotlib() -> None:
    """Check that matplotlib, which is optional, is installed.

    Raises
    ------
    AnnpotError
        If it is not.
    """
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise AnnpotError(
            "pictures need matplotlib, which is not installed: "
            "please run pip install 'annpot[plot]'"
        ) from None
