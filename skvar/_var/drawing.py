"""Pictures of what `VARCoefficients` computes."""

from .. import plots


class VARPlots:
    """The methods that draw; `skvar.plots` has them as functions of tables."""

    def plot_matrices(self, *, relative: bool = True, max_lags: int = 6, ax=None):
        """Draw the matrices as heat maps, lags side by side.

        Parameters
        ----------
        relative : bool, default=True
            Whether in typical moves of the series, as in ``influence``, or in their
            units.
        max_lags : int, default=6
            Later lags are left out.
        ax : Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        Axes
        """
        matrices = self.relative_matrices() if relative else self.matrices
        ax = plots.plot_matrices(matrices, names=self.names, max_lags=max_lags, ax=ax)
        ax.set_title(self.label)
        return ax

    def plot_influence(self, *, threshold: float = 0.1, ax=None):
        """Draw ``influence`` as a graph.

        Parameters
        ----------
        threshold : float, default=0.1
            Links below this share of the strongest are left out.
        ax : Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        Axes
        """
        return plots.plot_influence(self.influence(), threshold=threshold, ax=ax)

    def plot_irf(self, periods: int = 10, *, ax=None, **options):
        """Draw impulse responses, one panel for each pair of series.

        Parameters
        ----------
        periods : int, default=10
            Horizons 0 to ``periods``.
        ax : ndarray of Axes of shape (n_series, n_series), optional
            Where to draw; by default on a new figure.
        **options
            Of ``irf``: ``orth``, ``cumulative``, ``bands`` and those of the bootstrap.

        Returns
        -------
        ndarray of Axes of shape (n_series, n_series)
        """
        return plots.plot_irf(self.irf(periods, **options), ax=ax)

    def plot_fevd(self, periods: int = 10, *, ax=None):
        """Draw the forecast error variance decomposition, one panel for each series.

        Parameters
        ----------
        periods : int, default=10
            Horizons 1 to ``periods``.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        return plots.plot_fevd(self.fevd(periods), ax=ax)

    def plot_decomposition(self, *, orth: bool = True, ax=None):
        """Draw the historical decomposition, one panel for each series.

        Parameters
        ----------
        orth : bool, default=True
            As in ``historical_decomposition``.
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        return plots.plot_decomposition(self.historical_decomposition(orth=orth), ax=ax)

    def plot_forecast(self, steps: int, *, coverage: float = 0.9, ax=None):
        """Draw the end of the history, ``forecast`` and ``forecast_interval``.

        Parameters
        ----------
        steps : int
            Rows ahead.
        coverage : float, default=0.9
            Of the intervals, in (0, 1).
        ax : array of n_series Axes, optional
            Where to draw; by default on a new figure.

        Returns
        -------
        ndarray of Axes of shape (n_series,)
        """
        interval = self.forecast_interval(steps, coverage)
        return plots.plot_forecast(self.history, self.forecast(steps), interval, ax=ax)
