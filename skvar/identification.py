"""Identifications of structural shocks, for ``impact=`` of `VARCoefficients`."""

from ._var.identification import Proxy, ShortRun, SignRestrictions

__all__ = ["Proxy", "ShortRun", "SignRestrictions"]
