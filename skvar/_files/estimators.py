"""Estimators as files: which classes these hold, and what of them."""

import numbers
import os
import pickle
import types
import typing
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, BinaryIO

from sklearn.utils.metadata_routing import MetadataRequest

from .._typing import PathLike
from .archive import read_archive, replacing, write_archive
from .document import Kind, Kinds, Reader, Writer
from .kinds import LIBRARIES, by_attributes, called
from .versions import versions

_FORMAT = 1

_ESTIMATORS = {
    "AarenClassifier": "skvar.classification",
    "AarenForecaster": "skvar.forecasting",
    "ITransformerForecaster": "skvar.forecasting",
    "InformerForecaster": "skvar.forecasting",
    "LinearAttentionVAR": "skvar.forecasting",
    "LinearAttentionVARRegressor": "skvar.regression",
    "LinearTransformerForecaster": "skvar.forecasting",
    "SAMoVARForecaster": "skvar.forecasting",
    "SAMoVARRegressor": "skvar.regression",
}

# What scikit-learn, sktime and fits leave on an estimator beside its parameters.
_FITTED = {
    "_class_dictionary",
    "_config_dynamic",
    "_converter_store_y",
    "_cutoff",
    "_estimator_type",
    "_fh",
    "_fitted",
    "_is_fitted",
    "_is_vectorized",
    "_pretrained_attrs",
    "_sklearn_output_config",
    "_state",
    "_tags_dynamic",
    "_X_metadata",
    "_X_mtype_last_seen",
    "_y_inner_mtype",
    "_y_metadata",
    "_y_mtype_last_seen",
    "classes_",
    "feature_names_in_",
    "fit_time_",
    "n_classes_",
    "n_features_in_",
    "pretrained_",
}

_DATACLASSES = {
    "skvar._closed_form.conformal": "CalibrationErrors Tracked",
    "skvar._closed_form.covariates": "CovariateEffect CovariateFeatures",
    "skvar._closed_form.direct": "DirectRidge",
    "skvar._closed_form.evidence": "Evidence",
    "skvar._closed_form.form": "Form",
    "skvar._closed_form.spread": "Spread",
    "skvar._closed_form.sums": "SummedTable Sums",
    "skvar._closed_form.terms": "Deterministic Ordered",
    "skvar._forecasting.calibration": "Calibration CalibrationModel KnownErrors",
    "skvar._forecasting.draws": "Posterior Refit TrackedPosterior",
    "skvar._forecasting.fitted_series": "SeriesStep",
    "skvar._forecasting.history": "Forgotten History Schema SeriesHistory",
    "skvar._forecasting.intervals": "StreamErrors",
    "skvar._forecasting.residuals": "Filler",
    "skvar._forecasting.state": "ForecasterState",
    "skvar._models.classification": (
        "AarenClassifierSpecification Classes FittedClassifier"
    ),
    "skvar._models.families": (
        "AarenSpecification ITransformerSpecification InformerSpecification "
        "LinearAttentionVARSpecification LinearTransformerSpecification "
        "SAMoVARSpecification"
    ),
    "skvar._models.fitted": "ClosedForm FittedModel",
    "skvar._models.regression": "FittedRegression RegressionStep Units",
    "skvar._training.loop": "TrainingRecord",
    "skvar._var.conversion": "RefitVAR RefitVECM",
    "skvar._var.terms": "Terms",
}

# The member that sktime unpickles to learn which class to ask.
_FOR_SKTIME = "_metadata"

# Requests for metadata are made anew, by the name of a method.
_REQUESTS = "_metadata_request"


def _estimator_parts(estimator) -> dict:
    """Parameters by name, and what fits left."""
    state = dict(vars(estimator))
    names = estimator.get_params(deep=False)
    parameters = {name: state.pop(name) for name in names}
    state.pop("_lock", None)
    requests = state.pop(_REQUESTS, None)
    strange = sorted(set(state) - _FITTED)
    if strange:
        raise ValueError(
            f"The attributes {strange} of {type(estimator).__name__} are none of its "
            "own, and files do not hold them; delete them, or use joblib.dump."
        )
    return {
        "parameters": parameters,
        "fitted": state,
        "requests": None if requests is None else requests._serialize(),
    }


def _estimator(cls: type, parameters, fitted, requests):
    estimator = cls(**parameters)
    strange = sorted(fitted.keys() - _FITTED)
    if strange:
        raise ValueError(f"an estimator has the attributes {strange}")
    vars(estimator).update(fitted)
    for name in ("_fitted", "pretrained_"):
        _check_class(fitted.get(name), _CLASS_OF[name])
    if requests is not None:
        made = MetadataRequest(owner=estimator)
        for method, wanted in requests.items():
            for name, alias in wanted.items():
                getattr(made, method).add_request(param=name, alias=alias)
        vars(estimator)[_REQUESTS] = made
    return estimator


# Classes that fitted attributes may have.
_CLASS_OF = {
    "_fitted": ("ForecasterState", "FittedRegression", "FittedClassifier", "NoneType"),
    "pretrained_": ("FittedModel", "NoneType"),
}


def _check_class(value, names: tuple) -> None:
    if type(value).__name__ not in names:
        raise ValueError(f"an estimator holds a {type(value).__name__}")


def _dataclass_parts(value) -> dict:
    """Fields, as pickles have them: without what follows from the others."""
    getstate = getattr(value, "__getstate__", None)
    state = vars(value) if getstate is None else getstate()
    names = [field.name for field in fields(value) if field.name != "_lock"]
    return {name: state[name] for name in names}


def _dataclass(cls: Any, **parts: Any) -> Any:
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in fields(cls)}
    if hasattr(cls, "__setstate__"):
        # What it makes anew is checked there.
        known.pop("network")
    for name, value in parts.items():
        if name in known and not _fits(value, hints[name]):
            raise ValueError(f"{name} of {cls.__name__} is no {hints[name]}")
    if not hasattr(cls, "__setstate__"):
        return cls(**parts)
    needed = {name for name, field in known.items() if field.default is MISSING}
    # Files of earlier versions lack what came later, which has a default.
    if not needed | {"network"} <= set(parts) <= {*known, "network"}:
        raise ValueError(f"{cls.__name__} has the fields {sorted(parts)}")
    made = cls.__new__(cls)
    made.__setstate__(parts)
    return made


def _fits(value, hint) -> bool:
    """Whether a value is what the annotation of a field says."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if hint is type(None) or hint is None:
        return value is None
    if origin is None:
        hint = {float: numbers.Real, int: numbers.Integral}.get(hint, hint)
        return hint is typing.Any or isinstance(value, hint)
    if not isinstance(value, origin):
        return False
    if issubclass(origin, Mapping):
        key, item = arguments
        pairs = value.items()
        return all(_fits(k, key) and _fits(v, item) for k, v in pairs)
    if origin is tuple and arguments[-1] is not ...:
        pairs = zip(value, arguments, strict=True)
        return all(_fits(item, argument) for item, argument in pairs)
    return all(_fits(item, arguments[0]) for item in value)


def _stream_parts(stream) -> dict:
    return {"step": stream._step, "state": stream._state}


def _stream(cls: type, step, state):
    _check_class(step, ("SeriesStep", "RegressionStep", "FittedClassifier"))
    return cls(step, state)


def _matrices_parts(var) -> dict:
    names = "matrices intercept sigma_u names label history df_model n_rows scale alpha"
    return {
        **by_attributes(*names.split(), "posterior", "terms")(var),
        "residuals": var._residuals,
        "refit": None if var._is_least_squares else var.refit,
    }


KINDS = Kinds(
    {
        **LIBRARIES,
        **{
            name: Kind(module, _estimator_parts, _estimator)
            for name, module in _ESTIMATORS.items()
        },
        **{
            name: Kind(module, _dataclass_parts, _dataclass)
            for module, names in _DATACLASSES.items()
            for name in names.split()
        },
        "Stream": Kind("skvar._models.stream", _stream_parts, _stream),
        "VARCoefficients": Kind("skvar.analysis", _matrices_parts, called),
    }
)
_PUBLIC = {*_ESTIMATORS, "Stream", "VARCoefficients"}


def save(estimator: Any, path: PathLike | BinaryIO, *, history: bool = True) -> None:
    """Save an estimator of skvar to a file that runs no code when it is opened.

    The file is a zip archive of a document in JSON and of all arrays as safetensors,
    with their checksums. The same estimator makes the same bytes. It takes the place of
    an earlier file as a whole, once it is on the disk: whatever happens meanwhile, the
    path has one or the other.

    Parameters
    ----------
    estimator : estimator of skvar, Stream or VARCoefficients
        Fitted or not, or pretrained. Of a pipeline or another estimator around one of
        skvar, save the one of skvar, or use joblib.
    path : str, path or binary file
        Where to; a file may be one in memory.
    history : bool, default=True
        Whether to save the rows that it was fitted to. Without them a file holds the
        last ones and the errors that calibrate intervals up to the horizon, and gives
        the same forecasts of the next rows up to rounding; what reads earlier rows,
        such as forecasts in-sample and learning from further ones, raises.

    Raises
    ------
    ValueError
        If the estimator, a parameter or a label is of a class that files do not hold.

    See Also
    --------
    load : Make the estimator of the file again.

    Examples
    --------
    >>> import tempfile, skvar
    >>> y = skvar.datasets.make_var(200, random_state=0).series
    >>> forecaster = skvar.LinearAttentionVAR(n_layers=0).fit(y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skvar.save(forecaster, f"{folder}/model.skvar")
    ...     loaded = skvar.load(f"{folder}/model.skvar")
    >>> bool((loaded.predict([1, 2]) == forecaster.predict([1, 2])).all(axis=None))
    True
    """
    if KINDS.name_of(estimator) not in _PUBLIC:
        raise ValueError(
            f"{type(estimator).__name__} is no estimator of skvar, nor a stream or "
            "matrices of one. Save the part of it that is, or use joblib.dump."
        )
    if not history and hasattr(estimator, "_without_history"):
        estimator = estimator._without_history()
    write(estimator, path)


def load(path: PathLike | BinaryIO) -> Any:
    """Load what `save` saved.

    Nothing in the file is run or imported: it names classes of a closed list, and all
    else in it is numbers and text. Networks are loaded on the CPU.

    Parameters
    ----------
    path : str, path or binary file
        Where the file is, or the file itself, opened for reading.

    Returns
    -------
    estimator, Stream or VARCoefficients

    Raises
    ------
    ValueError
        If the file is damaged, no file of skvar, or one of a later version.
    FileNotFoundError
        If there is none.

    See Also
    --------
    save : Write such a file.
    """
    if hasattr(path, "read"):
        return _loaded(path, getattr(path, "name", "the file"))
    with open(path, "rb") as file:
        return _loaded(file, Path(path))


def write(
    estimator: Any, path: PathLike | BinaryIO, *, for_sktime: bool = False
) -> None:
    """Write an estimator, with what ``sktime.base.load`` looks at first if asked to."""
    writer = Writer(KINDS)
    writer.write(estimator, type(estimator).__name__)
    document = {
        "format": _FORMAT,
        "versions": versions(),
        "class": type(estimator).__name__,
        "nodes": writer.nodes,
    }
    extra = {_FOR_SKTIME: _class_for_sktime(estimator)} if for_sktime else {}
    if isinstance(path, (str, os.PathLike)):
        opened: AbstractContextManager[BinaryIO] = replacing(path)
    else:
        opened = nullcontext(path)
    with opened as file:
        write_archive(file, document, writer.arrays, extra)


def _class_for_sktime(estimator: Any) -> bytes:
    """A pickle of the class, which skvar compares but never opens."""
    return pickle.dumps(type(estimator), protocol=0)


def _loaded(file, name):
    try:
        document, arrays, extra = read_archive(file, [_FOR_SKTIME])
        version = document["format"]
        if version == _FORMAT:
            found = _read(document, arrays)
            if extra.get(_FOR_SKTIME, "") not in ("", _class_for_sktime(found)):
                raise ValueError(f"its member {_FOR_SKTIME} is another one")
            return found
    # Whatever is wrong in a file that was made up shows somewhere on the way.
    except Exception as error:
        raise ValueError(
            f"{name} cannot be loaded: it is damaged, or no file that skvar.save made "
            f"({type(error).__name__}: {error!s:.300})."
        ) from error
    raise ValueError(
        f"{name} is of format {version!r:.50}, and this version of skvar, "
        f"{versions()['skvar']}, reads format {_FORMAT}. Load it with the version "
        f"that saved it: {document.get('versions')!r:.300}."
    )


def _read(document: dict, arrays: Mapping):
    if set(document) != {"format", "versions", "class", "nodes"}:
        raise ValueError(f"its document has the names {sorted(document)}")
    found = Reader(KINDS, arrays).read(document["nodes"])
    name = KINDS.name_of(found)
    if name not in _PUBLIC or name != document["class"]:
        raise ValueError(f"it holds a {type(found).__name__}")
    return found
