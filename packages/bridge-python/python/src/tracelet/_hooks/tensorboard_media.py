"""What `SummaryWriter` is given that is no scalar, as the medium that it is.

Each function takes the arguments of the method of its name, of PyTorch 2 and of tensorboardX 2.6; those that only
TensorBoard knows are passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Callable

from .. import _media
from .._array import flatten, shape_of, to_host
from .._values import to_float

if TYPE_CHECKING:
    from .._experiment import Experiment

Recorder = Callable[..., None]


def _image(
    run: Experiment,
    tag: object,
    img_tensor: object,
    global_step: object = None,
    walltime: object = None,
    dataformats: str = "CHW",
    **_: object,
) -> None:
    run.log_medium("image", tag, lambda: _media.image(img_tensor, dataformats), global_step, None, walltime)


def _images(
    run: Experiment,
    tag: object,
    img_tensor: object,
    global_step: object = None,
    walltime: object = None,
    dataformats: str = "NCHW",
    **_: object,
) -> None:
    run.log_medium("image", tag, lambda: _media.image(img_tensor, dataformats), global_step, None, walltime)


def _image_with_boxes(
    run: Experiment,
    tag: object,
    img_tensor: object,
    box_tensor: object,
    global_step: object = None,
    walltime: object = None,
    rescale: float = 1,
    dataformats: str = "CHW",
    *_: object,
    **__: object,
) -> None:
    """The image alone: TensorBoard draws the boxes with what may not be installed."""
    run.log_medium("image", tag, lambda: _media.image(img_tensor, dataformats), global_step, None, walltime)


def _figure(
    run: Experiment,
    tag: object,
    figure: object,
    global_step: object = None,
    close: bool = True,
    walltime: object = None,
    **_: object,
) -> None:
    several = figure if isinstance(figure, (list, tuple)) else [figure]
    for at, each in enumerate(several):
        context = {"index": at} if len(several) > 1 else None
        run.log_medium("figure", tag, lambda each=each: _media.figure(each), global_step, context, walltime)  # type: ignore[misc]


def _histogram(
    run: Experiment,
    tag: object,
    values: object,
    global_step: object = None,
    bins: object = None,
    walltime: object = None,
    *_: object,
    **__: object,
) -> None:
    count = bins if isinstance(bins, int) and not isinstance(bins, bool) else 64
    run.log_medium("histogram", tag, lambda: _media.histogram(values, count), global_step, None, walltime)


def _histogram_raw(
    run: Experiment,
    tag: object,
    min: object,
    max: object,
    num: object,
    sum: object,
    sum_squares: object,
    bucket_limits: object,
    bucket_counts: object,
    global_step: object = None,
    walltime: object = None,
    **_: object,
) -> None:
    def make() -> _media.Medium:
        limits = flatten(bucket_limits)
        low = to_float(min)
        first = [limits[0] if low is None or low > limits[0] else low] if limits else []
        return _media.histogram({"edges": first + limits, "counts": bucket_counts})

    run.log_medium("histogram", tag, make, global_step, None, walltime)


def _audio(
    run: Experiment,
    tag: object,
    snd_tensor: object,
    global_step: object = None,
    sample_rate: int = 44_100,
    walltime: object = None,
    **_: object,
) -> None:
    run.log_medium("audio", tag, lambda: _media.audio(snd_tensor, sample_rate), global_step, None, walltime)


def _video(
    run: Experiment,
    tag: object,
    vid_tensor: object,
    global_step: object = None,
    fps: float = 4,
    walltime: object = None,
    **_: object,
) -> None:
    """Several videos (N, T, C, H, W) are told apart by their context."""
    videos = to_host(vid_tensor)
    count = shape_of(videos)[0]
    for at in range(count):
        context = {"index": at} if count > 1 else None
        run.log_medium("video", tag, lambda at=at: _media.video(videos[at], fps), global_step, context, walltime)  # type: ignore[misc,index]


def _embedding(
    run: Experiment,
    mat: object,
    metadata: object = None,
    label_img: object = None,
    global_step: object = None,
    tag: object = "default",
    metadata_header: object = None,
    **_: object,
) -> None:
    def make() -> _media.Medium:
        rows, columns = shape_of(mat)
        flat = flatten(mat)
        points = [flat[at * columns : (at + 1) * columns] for at in range(rows)]
        return _media.as_json({"points": points, "metadata": metadata, "header": metadata_header})

    run.log_medium("embedding", tag, make, global_step)
    if label_img is not None:
        run.log_medium("image", tag, lambda: _media.image(label_img, "NCHW"), global_step)


def _mesh(
    run: Experiment,
    tag: object,
    vertices: object,
    colors: object = None,
    faces: object = None,
    config_dict: object = None,
    global_step: object = None,
    walltime: object = None,
    **_: object,
) -> None:
    def make() -> _media.Medium:
        parts = {"vertices": vertices, "colors": colors, "faces": faces}
        lists = {name: None if part is None else _lists(part) for name, part in parts.items()}
        return _media.as_json({**lists, "config": config_dict})

    run.log_medium("mesh", tag, make, global_step, None, walltime)


def _lists(array: object) -> object:
    host = to_host(array)
    shape_of(host)
    to_list = getattr(host, "tolist", None)
    return to_list() if callable(to_list) else host


def _pr_curve(
    run: Experiment,
    tag: object,
    labels: object,
    predictions: object,
    global_step: object = None,
    num_thresholds: int = 127,
    weights: object = None,
    walltime: object = None,
    **_: object,
) -> None:
    run.log_medium(
        "pr_curve",
        tag,
        lambda: _media.pr_curve(labels, predictions, num_thresholds, weights),
        global_step,
        None,
        walltime,
    )


def _pr_curve_raw(
    run: Experiment,
    tag: object,
    true_positive_counts: object,
    false_positive_counts: object,
    true_negative_counts: object,
    false_negative_counts: object,
    precision: object,
    recall: object,
    global_step: object = None,
    num_thresholds: int = 127,
    weights: object = None,
    walltime: object = None,
    **_: object,
) -> None:
    """Precision and recall follow from the counts."""
    counts = (true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts)
    run.log_medium("pr_curve", tag, lambda: _media.pr_counts(*map(flatten, counts)), global_step, None, walltime)


def _text(
    run: Experiment, tag: object, text_string: object, global_step: object = None, walltime: object = None, **_: object
) -> None:
    run.log_text(tag, text_string, global_step)  # type: ignore[arg-type]  # it refuses what does not fit


def _hparams(
    run: Experiment, hparam_dict: Mapping[str, object], metric_dict: object = None, *_: object, **__: object
) -> None:
    """The params: what it has of metrics comes by `add_scalar`."""
    run.log_params(hparam_dict)


RECORDERS: dict[str, Recorder] = {
    "add_image": _image,
    "add_images": _images,
    "add_image_with_boxes": _image_with_boxes,
    "add_figure": _figure,
    "add_histogram": _histogram,
    "add_histogram_raw": _histogram_raw,
    "add_audio": _audio,
    "add_video": _video,
    "add_embedding": _embedding,
    "add_mesh": _mesh,
    "add_pr_curve": _pr_curve,
    "add_pr_curve_raw": _pr_curve_raw,
    "add_text": _text,
    "add_hparams": _hparams,
}
