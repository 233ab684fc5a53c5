"""What sktime 1.2 and scikit-learn 1.9 need of an estimator of sktime of ours."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from zipfile import ZipFile

from .._files.estimators import load, write
from .._typing import PathLike

if TYPE_CHECKING:
    from typing_extensions import Self


class SktimeEstimator:
    """Goes before sktime's base class."""

    is_fitted: bool

    # scikit-learn's meta-estimators leave these on a step before they call its fit,
    # and sktime's fit would delete them (seen in scikit-learn 1.9, sktime 1.2).
    _kept_by_reset = (
        "_lock",
        "_parent_callback_ctx",
        "_skl_callbacks",
        "_skl_callbacks_to_teardown",
        "_callback_fit_ctx",
        "_metadata_request",
        "_sklearn_output_config",
    )

    def reset(self) -> "Self":
        """Return to the state after construction, but for what warm_start carries.

        Returns
        -------
        self
        """
        kept = self._kept_by_reset
        state = {name: self.__dict__[name] for name in kept if name in self.__dict__}
        super().reset()  # type: ignore[misc]  # of the base class of sktime
        self.__dict__.update(state)
        return self

    def save(
        self,
        path: PathLike | None = None,
        serialization_format: Literal["skvar"] = "skvar",
    ) -> ZipFile | tuple[type, bytes]:
        """Save to a zip file, or to memory, as `skvar.save` does.

        Parameters
        ----------
        path : str or Path, optional
            Where to, without the ending ".zip", which is added.
        serialization_format : "skvar"
            The only one; use joblib.dump for a pickle.

        Returns
        -------
        ZipFile or tuple
            The file, or without a path the class and the bytes of one, of which
            ``sktime.base.load`` makes the estimator again.

        Raises
        ------
        ValueError
            If the format is another one, or as in `skvar.save`.

        Notes
        -----
        ``sktime.base.load`` unpickles the class from the file, and pickles can run
        code: load files of others by `skvar.load` or ``load_from_path``.
        """
        if serialization_format != "skvar":
            raise ValueError(
                f"serialization_format={serialization_format!r} is not 'skvar', which "
                "runs no code when it is opened; use joblib.dump for a pickle."
            )
        if path is None:
            memory = io.BytesIO()
            write(self, memory, for_sktime=True)
            return type(self), memory.getvalue()
        path = _with_ending(path)
        write(self, path, for_sktime=True)
        return ZipFile(path)

    @classmethod
    def load_from_serial(cls, serial: bytes) -> Any:
        """Load what ``save`` returned without a path.

        Parameters
        ----------
        serial : bytes
            The second item of the tuple.

        Returns
        -------
        estimator
        """
        return load(io.BytesIO(serial))

    @classmethod
    def load_from_path(cls, serial: PathLike) -> Any:
        """Load what ``save`` saved at a path.

        Parameters
        ----------
        serial : str or Path
            The path, with or without the ending ".zip".

        Returns
        -------
        estimator

        Raises
        ------
        ValueError
            As in `skvar.load`.
        """
        return load(serial if Path(serial).is_file() else _with_ending(serial))

    def _after_reading(self, view: Any) -> None:
        """Take over what a call that reads may leave behind: nothing."""

    # scikit-learn's check_is_fitted else looks for attributes that end in "_".
    def __sklearn_is_fitted__(self) -> bool:
        return self.is_fitted


def _with_ending(path: PathLike) -> Path:
    return Path(f"{path}.zip")
