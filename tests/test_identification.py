"""Structural shocks against statsmodels, definitions written out and simulations."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.optimize
import scipy.stats
from statsmodels.tsa.api import SVAR, VAR

from skvar import LinearAttentionVAR, VARCoefficients
from skvar.identification import Proxy, ShortRun, SignRestrictions

NAMES = ["Consumption", "Income", "Savings"]


@pytest.fixture(scope="module")
def table(us_change):
    return us_change[NAMES]


@pytest.fixture(scope="module")
def ols(table):
    return VAR(table).fit(2, trend="c")


@pytest.fixture(scope="module")
def var(ols, table):
    return of_statsmodels(ols, table)


@pytest.fixture(scope="module")
def bayesian(table):
    return LinearAttentionVAR(2, n_layers=0).fit(table).var_coefficients()


def of_statsmodels(result, table):
    return VARCoefficients(
        result.coefs, result.intercept, result.sigma_u, history=table
    )


def cube(tidy, value="value", shocks=NAMES):
    """(n_horizons, n_responses, n_shocks) from a tidy table."""
    wide = tidy.pivot(index="horizon", columns=["response", "shock"], values=value)
    order = pd.MultiIndex.from_product([NAMES, shocks])
    return wide[order].to_numpy().reshape(-1, len(NAMES), len(shocks))


def test_tables_have_one_order_of_columns(var):
    for table in (
        var.irf(2, bands=0.9, n_draws=10, random_state=0),
        var.fevd(2, bands=0.9, n_draws=10, random_state=0),
    ):
        assert list(table)[:3] == ["horizon", "response", "shock"]
        assert list(table)[-2:] == ["lower", "upper"]
    parts = var.historical_decomposition()
    assert list(parts) == ["time", "response", "shock", "value"]
    effects = var.long_run_effects(bands=0.9, n_draws=10, random_state=0)
    assert list(effects) == ["response", "shock", "value", "lower", "upper"]


def test_order_of_recursive_shocks_is_that_of_columns_in_statsmodels(var, table):
    order = ["Savings", "Consumption", "Income"]
    theirs = VAR(table[order]).fit(2, trend="c")
    responses = cube(var.irf(6, impact="cholesky", order=order))
    places = [order.index(name) for name in NAMES]
    expected = theirs.irf(6).orth_irfs[:, places][:, :, places]
    np.testing.assert_allclose(responses, expected, atol=1e-8)
    shares = cube(var.fevd(6, impact="cholesky", order=order), "share")
    decomposed = theirs.fevd(6).decomp.swapaxes(0, 1)[:, places][:, :, places]
    np.testing.assert_allclose(shares, decomposed, atol=1e-8)


def test_known_effects_multiply_the_moving_average(var, ols):
    known = pd.DataFrame(
        [[2.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 1.0, 1.0]],
        NAMES,
        ["demand", "income", "rates"],
    )
    found = cube(var.irf(5, impact=known), shocks=list(known))
    expected = ols.ma_rep(5) @ known.to_numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)
    turned = cube(var.irf(5, impact=known.iloc[::-1]), shocks=list(known))
    np.testing.assert_array_equal(turned, found)
    plain = cube(var.irf(5, impact=known.to_numpy()))
    np.testing.assert_array_equal(plain, found)


def test_shares_of_known_effects_do_not_depend_on_their_size(var, ols):
    factor = np.linalg.cholesky(ols.sigma_u)
    expected = var.fevd(4)["share"]
    known = pd.DataFrame(factor * [3.0, -0.1, 7.0], NAMES, NAMES)
    np.testing.assert_allclose(var.fevd(4, impact=known)["share"], expected)


def test_generalized_shocks_are_expected_errors(var, ols):
    """Pesaran and Shin (1998), equations 10 and 12, written out."""
    sigma, effects = np.asarray(ols.sigma_u), ols.ma_rep(5)
    expected = np.empty((6, 3, 3))
    shares = np.empty((6, 3, 3))
    for h in range(6):
        for i in range(3):
            variance = sum((a @ sigma @ a.T)[i, i] for a in effects[: h + 1])
            for j in range(3):
                root = np.sqrt(sigma[j, j])
                expected[h, i, j] = effects[h][i] @ sigma[:, j] / root
                with_j = sum((a[i] @ sigma[:, j]) ** 2 for a in effects[: h + 1])
                shares[h, i, j] = with_j / sigma[j, j] / variance
    np.testing.assert_allclose(cube(var.irf(5, impact="generalized")), expected)
    found = var.fevd(6, impact="generalized")
    np.testing.assert_allclose(cube(found, "share"), shares)
    normalised = shares[-1] / shares[-1].sum(axis=1, keepdims=True)
    connected = var.connectedness(6)
    np.testing.assert_allclose(connected.pairwise, normalised)
    others = normalised - np.diag(np.diag(normalised))
    np.testing.assert_allclose(connected.from_others, others.sum(axis=1))
    np.testing.assert_allclose(connected.to_others, others.sum(axis=0))
    np.testing.assert_allclose(connected.net.sum(), 0, atol=1e-12)
    assert connected.total == pytest.approx(others.sum() / 3)
    assert connected.net_pairwise.loc["Income", "Savings"] == pytest.approx(
        normalised[2, 1] - normalised[1, 2]
    )
    assert list(connected.to_frame()) == ["response", "shock", "share"]


def test_first_of_generalized_shocks_is_the_first_recursive_one(var):
    plain = var.irf(5, impact="generalized").query("shock == 'Consumption'")
    recursive = var.irf(5, impact="cholesky").query("shock == 'Consumption'")
    np.testing.assert_allclose(plain["value"], recursive["value"])


def test_long_run_effects_of_long_run_shocks_are_triangular(var, ols):
    order = ["Income", "Savings", "Consumption"]
    effects = var.long_run_effects(impact="long_run", order=order)
    lasting = effects.loc[order, order].to_numpy()
    assert np.abs(np.triu(lasting, 1)).max() < 1e-12
    assert (np.diag(lasting) > 0).all()
    total = pd.DataFrame(ols.long_run_effects(), NAMES, NAMES)
    variance = (
        total
        @ pd.DataFrame(ols.sigma_u).set_axis(NAMES).set_axis(NAMES, axis=1)
        @ total.T
    )
    np.testing.assert_allclose(
        lasting @ lasting.T, variance.loc[order, order], rtol=1e-10
    )


@pytest.mark.parametrize(
    ("kind", "A", "B"),
    [
        ("A", [[1, 0, 0], ["E", 1, 0], ["E", "E", 1]], None),
        ("A", [["E", 0, 0], ["E", "E", 0], [0, "E", "E"]], None),
        ("B", None, [["E", 0, 0], [0, "E", 0], ["E", "E", "E"]]),
        (
            "AB",
            [[1, 0, 0], ["E", 1, "E"], [0, 0, 1]],
            [["E", 0, 0], [0, "E", 0], [0, 0, "E"]],
        ),
    ],
)
def test_short_run_restrictions_are_those_of_statsmodels(table, kind, A, B):
    A, B = (None if x is None else np.array(x, dtype=object) for x in (A, B))
    theirs = SVAR(table, svar_type=kind, A=A, B=B).fit(
        maxlags=2, maxiter=2000, override=True
    )
    model = VARCoefficients(
        theirs.coefs, theirs.intercept, theirs.sigma_u, history=table
    )
    ours = cube(model.irf(4, impact=ShortRun(A, B)))
    expected = theirs.irf(4).svar_irfs
    sign = np.sign(np.diag(ours[0])) * np.sign(np.diag(expected[0]))
    # Theirs stops where the likelihood changes by 1e-8: about 1e-4 from its maximum.
    np.testing.assert_allclose(ours, expected * sign, rtol=1e-3, atol=1e-3)


def test_overidentified_shocks_are_the_most_likely_ones(var, ols):
    """The likelihood of Amisano and Giannini (1997), by a general optimiser."""
    sigma = np.asarray(ols.sigma_u)
    free_a = ([1, 2], [0, 1])

    def matrices(free):
        a = np.eye(3)
        a[free_a] = free[:2]
        return a, np.diag(free[2:])

    def loss(free):
        a, b = matrices(free)
        k = np.linalg.solve(b, a)
        return -np.linalg.slogdet(k)[1] + np.trace(k @ sigma @ k.T) / 2

    start = [0, 0, *np.sqrt(np.diag(sigma))]
    best = scipy.optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-9})
    a, b = matrices(best.x)
    A = np.array([[1, 0, 0], [np.nan, 1, 0], [0, np.nan, 1]])
    B = np.where(np.eye(3) > 0, np.nan, 0.0)
    found = cube(var.irf(0, impact=ShortRun(A, B)))[0]
    np.testing.assert_allclose(found, np.linalg.solve(a, b), atol=1e-6)


def test_just_identified_shocks_make_up_the_covariance(bayesian):
    """Of every draw: bands of recursive shocks by both ways are the same."""
    nan = np.nan
    B = [[nan, 0, 0], [nan, nan, 0], [nan, nan, nan]]
    options = {"bands": 0.8, "n_draws": 200, "random_state": 3}
    ours = bayesian.irf(3, impact=ShortRun(B=B), **options)
    recursive = bayesian.irf(3, impact="cholesky", **options)
    for column in ("value", "lower", "upper"):
        np.testing.assert_allclose(ours[column], recursive[column], atol=1e-7)


def haar(rng, n):
    q, r = np.linalg.qr(rng.normal(size=(n, n)))
    return q * np.sign(np.diag(r))


SIGNS = pd.DataFrame({"demand": [1, 1, np.nan], "saving": [-1, np.nan, 1]}, index=NAMES)


def accepted_by_brute_force(rng, effects, factor, n):
    """Impact columns of rotations whose responses at 0 and 1 have the signs."""
    kept = []
    for _ in range(n):
        impact = factor @ haar(rng, 3)[:, :2]
        for shock in range(2):
            asked = SIGNS.iloc[:, shock].to_numpy()
            held = ~np.isnan(asked)
            agree = [(a @ impact)[held, shock] * asked[held] for a in effects[:2]]
            if (np.concatenate(agree) < 0).all():
                impact[:, shock] *= -1
            elif not (np.concatenate(agree) > 0).all():
                break
        else:
            kept.append(impact)
    return np.array(kept)


def test_signs_keep_the_rotations_that_have_them(var, ols):
    effects = ols.ma_rep(3)
    factor = np.linalg.cholesky(ols.sigma_u)
    rng = np.random.default_rng(0)
    n = 4000
    kept = accepted_by_brute_force(rng, effects, factor, n)
    restrictions = SignRestrictions(SIGNS, periods=1)
    found = var.irf(3, impact=restrictions, random_state=0)
    share = len(kept) / n
    # Theirs are 10,000 rotations.
    error = np.sqrt(share * (1 - share) * (1 / n + 1 / 10_000))
    assert abs(found.attrs["accepted"] - share) < 4 * error
    assert set(found["shock"]) == {"demand", "saving"}
    expected = effects[:2] @ np.median(kept, axis=0)
    ours = cube(found, shocks=list(SIGNS))
    spread = (effects[:2] @ kept[:, np.newaxis]).std(axis=0)
    # The rotation nearest to the medians, not the medians themselves.
    assert (np.abs(ours[:2] - expected) < spread).all()
    # Orthogonal shocks of variance one.
    whitened = np.linalg.solve(factor, ours[0])
    np.testing.assert_allclose(whitened.T @ whitened, np.eye(2), atol=1e-10)


def test_bands_of_signs_are_those_of_accepted_draws(bayesian):
    restrictions = SignRestrictions(SIGNS, periods=1, n_rotations=20)
    bands = bayesian.irf(3, impact=restrictions, bands=0.8, n_draws=400, random_state=0)
    matrices, _, covariances = bayesian.draws(200, random_state=1)
    rng = np.random.default_rng(1)
    responses = []
    for a, s in zip(matrices, covariances, strict=True):
        effects = [np.eye(3), a[0], a[0] @ a[0] + a[1]]
        kept = accepted_by_brute_force(rng, effects, np.linalg.cholesky(s), 20)
        responses += [[effect @ impact for effect in effects] for impact in kept]
    responses = np.array(responses)
    # Draws of matrices, at most 200, are independent; rotations of one are not.
    error = np.sqrt(0.1 * 0.9 / 200)
    for column, is_out in (("lower", np.less), ("upper", np.greater)):
        ends = cube(bands, column, list(SIGNS))[:3]
        outside = is_out(responses, ends).mean(axis=0)
        np.testing.assert_allclose(outside, 0.1, atol=4 * error)
    restricted = bands.query(
        "shock == 'demand' and response == 'Income' and horizon < 2"
    )
    assert (restricted["lower"] > 0).all()
    assert bands.attrs["coverage"] == 0.8
    assert 0 < bands.attrs["accepted"] < 1


def simulated(seed, impact, n_rows=400):
    """A VAR(1) with shocks of known impact, and the shocks."""
    rng = np.random.default_rng(seed)
    matrix = np.array([[0.5, 0.1, 0.0], [0.2, 0.4, -0.1], [0.0, 0.3, 0.3]])
    shocks = rng.normal(size=(n_rows + 50, 3))
    rows = np.zeros((n_rows + 50, 3))
    for t in range(1, len(rows)):
        rows[t] = matrix @ rows[t - 1] + impact @ shocks[t]
    return pd.DataFrame(rows[50:], columns=NAMES), shocks[50:], matrix


IMPACT = np.array([[1.0, 0.3, -0.4], [0.5, 0.8, 0.2], [-0.3, 0.4, 0.6]])


def test_a_proxy_of_little_noise_tells_the_shock():
    rows, shocks, matrix = simulated(0, IMPACT, n_rows=20_000)
    proxy = pd.Series(
        3 * shocks[:, 1] + 0.1 * np.random.default_rng(1).normal(size=len(shocks))
    )
    var = LinearAttentionVAR(1, n_layers=0).fit(rows).var_coefficients()
    table = var.irf(2, impact=Proxy(proxy, "policy"))
    truth = [np.linalg.matrix_power(matrix, h) @ IMPACT[:, [1]] for h in range(3)]
    np.testing.assert_allclose(cube(table, shocks=["policy"]), truth, atol=0.03)
    assert table.attrs["first_stage_f"] > 1000
    shares = var.fevd(4, impact=Proxy(proxy, "policy"))
    assert shares["share"].between(0, 1).all()
    parts = var.historical_decomposition(impact=Proxy(proxy, "policy"))
    assert set(parts["shock"]) == {"policy", "other", "baseline"}
    total = parts.groupby(["time", "response"])["value"].sum().unstack()[NAMES]
    np.testing.assert_allclose(total, rows.iloc[1:], atol=1e-8)


def test_a_proxy_is_regressed_on_the_errors_that_it_shares(var, ols):
    """By least squares of statsmodels, with gaps and times of its own."""
    from statsmodels.api import OLS, add_constant

    rng = np.random.default_rng(0)
    errors = ols.resid
    proxy = errors["Income"] + rng.normal(size=len(errors))
    proxy.iloc[5:20] = np.nan
    proxy = pd.concat([proxy, pd.Series([1.0], [errors.index[-1] + 4])])
    known = proxy.reindex(errors.index).dropna()
    result = OLS(known, add_constant(errors.loc[known.index])).fit()
    beta, sigma = result.params[NAMES].to_numpy(), np.asarray(ols.sigma_u)
    found = var.irf(0, impact=Proxy(proxy))
    expected = sigma @ beta / np.sqrt(beta @ sigma @ beta)
    np.testing.assert_allclose(found["value"], expected)
    assert found.attrs["first_stage_f"] == pytest.approx(result.fvalue)


def test_weak_proxies_are_told(var, ols):
    noise = pd.Series(
        np.random.default_rng(0).normal(size=len(ols.resid)), ols.resid.index
    )
    message = "The proxy is weak: its F statistic is"
    for ask in (partial(var.irf, 1), var.historical_decomposition):
        with pytest.warns(UserWarning, match=message) as told:
            ask(impact=Proxy(noise))
        assert told[0].filename == __file__


def coverage(bands_of, truths):
    return np.mean(
        [
            ((table["lower"] <= true) & (true <= table["upper"])).mean()
            for table, true in zip(bands_of, truths, strict=True)
        ]
    )


def test_bands_of_proxies_cover():
    truth = np.concatenate([[IMPACT[:, 0]]]).ravel()
    tables = []
    for seed in range(40):
        rows, shocks, _ = simulated(seed, IMPACT, n_rows=200)
        noise = np.random.default_rng(1000 + seed).normal(size=len(rows))
        var = LinearAttentionVAR(1, n_layers=0).fit(rows).var_coefficients()
        proxy = Proxy(pd.Series(shocks[:, 0] + noise))
        options = {"bands": 0.9, "n_draws": 400, "random_state": seed}
        tables.append(var.irf(0, impact=proxy, **options))
    share = coverage(tables, [truth] * 40)
    # 40 samples of three dependent responses: between 40 and 120 draws of 0.9.
    assert abs(share - 0.9) < 3 * np.sqrt(0.09 / 40)


def test_bands_of_signs_cover_truths_that_are_as_likely_as_their_prior():
    rng = np.random.default_rng(0)
    base = np.linalg.cholesky(IMPACT @ IMPACT.T)
    signs = pd.DataFrame({"demand": [1, 1, np.nan]}, NAMES)
    tables, truths = [], []
    while len(tables) < 40:
        impact = base @ haar(rng, 3)
        impact *= np.sign(impact[0])
        if impact[1, 0] < 0:
            continue
        rows, _, _ = simulated(len(tables), impact, n_rows=200)
        var = LinearAttentionVAR(1, n_layers=0).fit(rows).var_coefficients()
        restriction = SignRestrictions(signs, n_rotations=10)
        options = {"bands": 0.9, "n_draws": 300, "random_state": len(tables)}
        tables.append(var.irf(0, impact=restriction, **options))
        truths.append(impact[:, 0])
    assert abs(coverage(tables, truths) - 0.9) < 3 * np.sqrt(0.09 / 40)


def test_bootstraps_take_all_identifications(table):
    var = LinearAttentionVAR(1, n_layers=0, alpha=0).fit(table).var_coefficients()
    proxy = Proxy(var.residuals["Income"])
    options = {"bands": 0.9, "method": "bootstrap", "n_draws": 20, "random_state": 0}
    kinds = ["generalized", "long_run", ShortRun(B=np.tril(np.full((3, 3), np.nan)))]
    for impact in [*kinds, proxy, SignRestrictions(SIGNS)]:
        one, again = (var.irf(2, impact=impact, **options) for _ in range(2))
        pd.testing.assert_frame_equal(one, again)
        assert (one["lower"] <= one["upper"]).all()


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("irf", {"impact": "choleski"}, "impact must be None, one of"),
        ("irf", {"order": NAMES}, "order goes with impact='cholesky'"),
        ("irf", {"impact": "cholesky", "order": ["Income"]}, "pass all of"),
        ("irf", {"impact": np.eye(2)}, r"impact has shape \(2, 2\)"),
        ("irf", {"impact": np.ones((3, 3))}, "impact is singular"),
        ("fevd", {"impact": None}, "impact=None: the errors"),
        ("fevd", {"impact": np.eye(3)}, "impact: its shocks are correlated"),
        ("historical_decomposition", {"impact": "generalized"}, "do not add up"),
        ("irf", {"impact": ShortRun(B=np.full((3, 3), np.nan))}, "9 free entries"),
        ("irf", {"impact": ShortRun(A=np.eye(2))}, r"A has shape \(2, 2\)"),
        ("irf", {"impact": SignRestrictions(SIGNS * 2)}, "other numbers than 1"),
        ("irf", {"impact": SignRestrictions(SIGNS.rename({"Income": "x"}))}, "rows"),
        ("irf", {"impact": Proxy(pd.Series([1.0, 2.0]))}, "proxy shares 0 times"),
        ("irf", {"impact": "cholesky", "order": 3}, "order is 3; pass all of"),
        ("irf", {"impact": [[1, 0], [0]]}, "impact must be None, one of"),
        ("irf", {"impact": pd.DataFrame(np.eye(3), NAMES, list("aab"))}, "each shock"),
        ("irf", {"impact": ShortRun(A=np.full((3, 3), "x"))}, "A holds what is no"),
        ("irf", {"impact": SignRestrictions(SIGNS, periods=-1)}, "periods == -1"),
        ("irf", {"impact": SignRestrictions(SIGNS, n_rotations=0)}, "n_rotations == 0"),
        ("irf", {"impact": SignRestrictions(SIGNS.replace(1, "+"))}, "other numbers"),
    ],
)
def test_errors_name_the_remedy(var, method, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(var, method)(**options)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda proxy: proxy.to_numpy(), TypeError, "pass a Series with times"),
        (lambda proxy: pd.concat([proxy, proxy]), ValueError, "several values at"),
        (lambda proxy: proxy.replace(proxy.iloc[3], np.inf), ValueError, "holds inf"),
        (lambda proxy: proxy.map(str) + "%", ValueError, "no number"),
        (lambda proxy: 0 * proxy + 2, ValueError, "proxy is 2 at all"),
    ],
)
def test_proxies_that_tell_nothing_say_so(var, change, error, message):
    with pytest.raises(error, match=message):
        var.irf(1, impact=Proxy(change(var.residuals["Income"])))


def test_classes_are_no_identifications(var):
    with pytest.raises(TypeError, match=r"ShortRun\(\.\.\.\)"):
        var.irf(1, impact=ShortRun)


@pytest.mark.parametrize(
    "impact",
    [
        "cholesky",
        "long_run",
        ShortRun(A=[[1, np.nan], [0, 1]], B=np.diag([np.nan] * 2)),
    ],
    ids=str,
)
def test_singular_covariances_have_no_orthogonal_shocks(impact):
    matrices = [[[0.5, 0.2], [0.1, 0.4]]]
    var = VARCoefficients(matrices, [0, 0], np.ones((2, 2)))
    with pytest.raises(ValueError, match="not positive definite"):
        var.irf(1, impact=impact)


def test_names_are_not_their_text():
    """Numbers and text of the same look are different series."""
    matrices, sigma_u = [[[0.5, 0.2], [0.1, 0.4]]], [[4, 1], [1, 2]]
    var = VARCoefficients(matrices, [0, 0], sigma_u, names=[1, "1"])
    found = var.irf(0, impact="cholesky", order=["1", 1])["value"]
    # Of the second series first: a lower triangle in the other order.
    expected = [np.sqrt(4 - 1 / 2), 1 / np.sqrt(2), 0, np.sqrt(2)]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    for order in (["1", "1"], [1, 1]):
        with pytest.raises(ValueError, match="each once"):
            var.irf(0, impact="cholesky", order=order)
    with pytest.raises(ValueError, match="impact has rows"):
        var.irf(0, impact=pd.DataFrame(np.eye(2), ["1", "2"]))


UNITS = np.array([1e9, 1.0, 1e-9])


@pytest.mark.parametrize(
    "kind", ["array", "short run", "signs", "proxy", "cholesky", "long_run"]
)
def test_shares_do_not_depend_on_units(var, kind):
    """Nor do their bands."""
    relative = UNITS[:, np.newaxis] / UNITS
    others = VARCoefficients(
        var.matrices * relative,
        var.intercept * UNITS,
        var.sigma_u * np.outer(UNITS, UNITS),
        history=var.history * UNITS,
    )
    noise = np.random.default_rng(0).normal(size=len(var.residuals))
    proxy = Proxy(var.residuals["Income"] + noise)
    lower = np.where(np.tri(3, dtype=bool), np.nan, 0.0)
    shares = []
    for one in (var, others):
        impact = {
            "array": np.linalg.cholesky(one.sigma_u),
            "short run": ShortRun(B=lower),
            "signs": SignRestrictions(SIGNS),
            "proxy": proxy,
        }.get(kind, kind)
        options = {"bands": 0.9, "n_draws": 20, "random_state": 0}
        found = one.fevd(3, impact=impact, **options)
        shares.append(found[["share", "lower", "upper"]])
    # Of the search under short-run restrictions; others are exact.
    np.testing.assert_allclose(*shares, atol=1e-6 if kind == "short run" else 1e-9)


def test_residuals_of_an_array_are_of_the_last_rows(var):
    others = VARCoefficients(
        var.matrices,
        var.intercept,
        var.sigma_u,
        history=var.history,
        residuals=var.residuals.to_numpy(),
    )
    pd.testing.assert_frame_equal(others.residuals, var.residuals)


def test_what_is_known_is_not_biased():
    """All of the variance of one series is its own shock's, in every replicate."""
    rows = np.random.default_rng(0).normal(size=(50, 1))
    var = LinearAttentionVAR(1, n_layers=0, alpha=0).fit(rows).var_coefficients()
    shares = var.fevd(3, bands=0.9, n_draws=5, random_state=0)
    np.testing.assert_allclose(shares[["share", "lower", "upper"]], 1, atol=1e-12)


def test_shocks_that_nothing_identifies_are_refused(var):
    nan = np.nan
    # Two columns with the same free entries may be turned into each other.
    B = [[nan, nan, 0], [nan, nan, 0], [0, 0, nan]]
    with pytest.raises(ValueError, match="do not identify the shocks"):
        var.irf(2, impact=ShortRun(B=B))


def test_signs_that_no_rotation_has_are_refused(var):
    impossible = pd.DataFrame(
        {"one": [1, 1, 1], "two": [1, 1, 1], "three": [1, 1, 1]}, NAMES
    )
    covariance = np.eye(3)
    alone = VARCoefficients(np.zeros((1, 3, 3)), [0, 0, 0], covariance, names=NAMES)
    with pytest.raises(ValueError, match="none of 10000 rotations"):
        alone.irf(0, impact=SignRestrictions(impossible))


def test_unstable_matrices_have_no_long_run_shocks():
    walk = VARCoefficients([np.eye(3)], [0, 0, 0], np.eye(3), names=NAMES)
    with pytest.raises(ValueError, match="fit to changes"):
        walk.irf(2, impact="long_run")


def test_unknown_options_are_refused_without_bands(var):
    with pytest.raises(TypeError, match="orth"):
        var.fevd(3, orth=True)


def test_connectedness_finds_who_drives_whom():
    """Where one series moves the others, and errors are not correlated."""
    matrix = np.diag([0.5, 0.5, 0.5])
    matrix[1:, 0] = 0.4
    var = VARCoefficients([matrix], np.zeros(3), np.eye(3))
    connected = var.connectedness(10)
    assert connected.net.idxmax() == "y0"
    assert connected.from_others["y0"] == 0
