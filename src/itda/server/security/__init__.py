"""Who asks, what may be asked, and how a browser is kept from being misused."""

from __future__ import annotations

from itda.server.security.install import auth_routes, install

__all__ = ["auth_routes", "install"]
