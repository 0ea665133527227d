"""One run: what a caller logs into, and its beginning and end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Callable, Union

from . import __version__
from ._artifact_logging import ArtifactLogging
from ._backend_config import configure
from ._format import BLOB_BYTES_MAX, PARAMS, RUN_STARTED, TAGS, TEXT
from ._heartbeat import start_heartbeat
from ._ids import Identity, is_id
from ._losses import RETRY_SECONDS
from ._media_logging import MediaLogging
from ._opening import backend_names, run_started
from ._origin import origin
from ._payload import TAG_VALUE_BYTES_MAX, Json, NotJson, encode, encode_context, is_name, plain_text, to_json
from ._ranks import announce, next_run_id, rank, withdraw
from ._refusals import Refusals, describe, describe_error, warn
from ._series import InContext
from ._status import ExitWatch, Outcome
from ._stream import Stream
from ._values import one_step, to_float, to_seconds, to_step
from ._writer import Writer
from .settings import TraceletSettings, choice, flag

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType

    from ._agent import Agent
    from ._delivery import Delivery, Wait
    from .core.artifacts import TraceletArtifact

# At six bytes a character it fits what a segment keeps for it.
_SHORT_ERROR_CHARACTERS = 600

Tags = Union[Mapping[str, object], Iterable[str]]


class ExperimentConfig:
    """What is recorded beside what the program logs, for scripts that set it. This version acts on `track_git` alone.

    Whatever the other fields say, what the program logs is recorded, and neither the environment, arguments, output,
    checkpoints nor samples of the system. Every field is true unless it is set to False; one that is set without effect
    is named in a warning.
    """

    def __init__(
        self,
        track_metrics: bool | None = None,
        track_environment: bool | None = None,
        track_args: bool | None = None,
        track_stdout: bool | None = None,
        track_checkpoints: bool | None = None,
        track_system_metrics: bool | None = None,
        track_git: bool | None = None,
    ) -> None:
        given = {
            name: value for name, value in locals().items() if name not in ("self", "track_git") and value is not None
        }
        self.track_metrics = track_metrics is not False
        self.track_environment = track_environment is not False
        self.track_args = track_args is not False
        self.track_stdout = track_stdout is not False
        self.track_checkpoints = track_checkpoints is not False
        self.track_system_metrics = track_system_metrics is not False
        self.track_git = track_git is not False
        if given:
            warn(f"this version does not act on {', '.join(given)} of ExperimentConfig yet")


class Experiment(MediaLogging, ArtifactLogging):
    """A run. It records between `start` and `stop`; nothing that is logged raises, whatever it is.

    What cannot be recorded is counted by reason in `refused`, and each reason is said once.

    Args:
        name: default `run-` and the first 8 characters of the id.
        config: what is recorded beside what is logged.
        backend: names of the backends, or one comma list; default: the settings'.
        tags: labels, or a dictionary of texts.
        settings: default: from the environment.
        parent: the run that this one is nested in, or its id.
        resume: an earlier run of this folder, or its id, that is gone on with under that id. It may have ended in any
            way; where there is none, a new run is begun, which is said. Give steps: left out, they begin at 0 again.
    """

    def __init__(
        self,
        name: str | None = None,
        config: ExperimentConfig | None = None,
        backend: str | Iterable[str] | None = None,
        tags: Tags | None = None,
        *,
        settings: TraceletSettings | None = None,
        parent: str | Experiment | None = None,
        resume: str | Experiment | None = None,
    ) -> None:
        self._refusals = Refusals()
        resumed = self._id_of("resume", resume)
        self._resumes = resumed is not None and _is_there(resumed)
        self.id = resumed if resumed is not None and self._resumes else next_run_id()
        if resumed is not None and not self._resumes:
            self._refusals.add("argument", f"resume={describe(resumed)}: there is no such run here; a new one is begun")
        self.parent = self._id_of("parent", parent)
        if config is not None and not isinstance(config, ExperimentConfig):
            self._refusals.add("argument", f"config={describe(config)}")
            config = None
        if settings is not None and not isinstance(settings, TraceletSettings):
            self._refusals.add("argument", f"settings={describe(settings)}")
            settings = None
        self.config = config if config is not None else ExperimentConfig()
        self.settings = settings if settings is not None else TraceletSettings(backend=backend)
        self._created = time.time()
        self.name = self._name_or(name if name is not None else self.settings.experiment_name, f"run-{self.id[:8]}")
        self.project = self._name_or(self.settings.project, "default")
        self._tags: dict[str, str] = {}
        self.is_disabled = is_disabled(self.settings)
        self._number = rank()
        # The context that every series has: empty unless there are several ranks.
        self._context: dict[str, object] = {} if self._number is None else {"rank": self._number}
        self._writer: Writer | None = None
        self._agent: Agent | None = None
        self._delivery: Delivery | None = None
        self._watch: ExitWatch | None = None
        self._is_over = False
        # The thread that is at work in `finish`.
        self._ending_in = 0
        self._open_again_at = 0.0
        self._folder = ""
        # Backend to key to text: for the agent's memory alone.
        self._secrets: dict[str, dict[str, str]] = {}
        # How many events were lost: before the last flush that left nothing to say, and when that was last said.
        self._lost_before = self._lost_said = 0
        self._iteration: int | None = None
        self._artifacts: list[TraceletArtifact] = []
        if tags is not None:
            self._tags = self._clean_tags(tags)

    # What is logged.

    def log_metric(self, name: str, value: object, iteration: int | None = None, step: int | None = None) -> None:
        """Records one value of the series `name`; when it has returned, the value survives the death of the process.

        Args:
            value: any number: also a boolean, a numpy scalar, a tensor of one element, NaN.
            iteration: the step, a whole number within ±(2^53 - 1); default: the one of `set_iteration`, else one more
                than the series' greatest, from 0.
            step: another name for `iteration`: where both are given and differ, it is passed over with a warning.
        """
        # While the run goes on, an attribute of the same name is called in place of this: the writer's own `log`.
        self._log_any(name, value, one_step(iteration, step, self._refusals))

    def log(
        self, metrics: Mapping[str, object], step: int | None = None, context: Mapping[str, object] | None = None
    ) -> None:
        """Records several values at one step.

        Args:
            metrics: name to value, as for `log_metric`.
            step: as `iteration` of `log_metric`.
            context: tells series of one name apart, `{"subset": "val"}`: at most 16 keys, 4,096 bytes of JSON.
        """
        try:
            if not isinstance(metrics, Mapping):
                self._refusals.add("value", f"log takes a dictionary, not {describe(metrics)}")
            elif context is None:
                for name, value in metrics.items():
                    self.log_metric(name, value, step)
            else:
                encoded = encode_context({**self._context, **context}) if isinstance(context, Mapping) else None
                if encoded is None:
                    self._refusals.add("context", describe(context), len(metrics))
                    return
                for name, value in metrics.items():
                    self._log_any(name, value, step, encoded)
        except Exception as error:
            self._fail(error)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Records parameters. Values may be nested; what JSON has no form for is kept as a text.

        Args:
            params: a mapping, a dataclass or an `argparse.Namespace`. Of several values for a key the last shows. A key
                is text; inside of a value other keys become texts too.
        """
        try:
            fields = to_json(params) if not isinstance(params, Mapping) else params
            if not isinstance(fields, Mapping):
                self._refusals.add("param", f"log_params takes a dictionary, not {describe(params)}")
                return
            clean: dict[str, Json] = {}
            for name, value in fields.items():
                try:
                    if is_name(name):
                        clean[plain_text(name)] = to_json(value)
                    else:
                        self._refusals.add("name", describe(name))
                except Exception as error:
                    detail = str(error) if isinstance(error, NotJson) else type(error).__name__
                    self._refusals.add("param", f"{describe(name)}: {detail}")
            self._record_params(clean)
        except Exception as error:
            self._fail(error)

    def log_hyperparameter(self, name: str, value: object) -> None:
        """Records one parameter."""
        try:
            self.log_params({name: value})
        except TypeError:  # It cannot be a key.
            self._refusals.add("name", describe(name))

    def set_tags(self, tags: Tags) -> None:
        """Adds tags or changes their values: a dictionary, or labels (whose value is `""`).

        A key is text; a value of another type becomes one.
        """
        try:
            clean = self._clean_tags(tags)
            self._tags.update(clean)
            if clean and self._writer is not None:
                self._record(TAGS, {"tags": dict(clean)})
        except Exception as error:
            self._fail(error)

    def log_text(
        self, name: str, text: str, step: int | None = None, context: Mapping[str, object] | None = None
    ) -> None:
        """Records a text; `step` and `context` as for `log`."""
        try:
            writer = self._open_writer(name)
            number = None if step is None else to_step(step)
            is_context = context is None or isinstance(context, Mapping)
            encoded = encode_context({**self._context, **(context or {})}) if is_context else None
            if writer is None:
                return
            if not isinstance(text, str):
                self._refusals.add("text", describe(text))
            elif not is_name(name):
                self._refusals.add("name", describe(name))
            elif step is not None and number is None:
                self._refusals.add("step", describe(step))
            elif encoded is None:
                self._refusals.add("context", describe(context))
            else:
                name = plain_text(name)
                number = writer.next_step(TEXT, name, encoded, number)
                fields: dict[str, Json] = {"name": name, "context": {}, "step": number, "text": plain_text(text)}
                head = encode({"time": time.time(), **fields})
                # The context is JSON already: put in where its place was kept.
                writer.record(TEXT, head.replace(b'"context":{}', b'"context":' + encoded.encode("utf-8"), 1))
        except Exception as error:
            self._fail(error)

    def set_iteration(self, iteration: int) -> None:
        """Sets the step of what is logged without one."""
        number = to_step(iteration)
        if number is None:
            self._refusals.add("step", describe(iteration))
            return
        self._iteration = number
        if self._writer is not None:
            self._writer.iteration = number

    # What it is.

    @property
    def iteration(self) -> int:
        """The step that was set by `set_iteration`; 0 before."""
        return self._iteration if self._iteration is not None else 0

    @property
    def tags(self) -> dict[str, str]:
        """The tags: a copy."""
        return dict(self._tags)

    @property
    def created_at(self) -> datetime:
        """When it was made, in UTC."""
        from datetime import datetime, timezone

        return datetime.fromtimestamp(self._created, timezone.utc)

    @property
    def refused(self) -> dict[str, int]:
        """What was not recorded: reason to count. Empty when all of it was."""
        return self._refusals.counts()

    @property
    def is_running(self) -> bool:
        """Whether it has been started and not been stopped."""
        return self._watch is not None and not self._is_over

    @property
    def is_ending(self) -> bool:
        """Whether this thread is in the middle of ending it."""
        return self._ending_in == threading.get_ident()

    @property
    def folder(self) -> str:
        """The tracelet folder it is recorded in, an absolute path; `""` before the start and when disabled."""
        return self._folder

    @property
    def position(self) -> int:
        """Where the next record goes in this process's stream; it grows with everything recorded."""
        return self._writer.position if self._writer is not None else 0

    # Its life.

    def start(self) -> Experiment:
        """Begins the run: from now on it records. Does nothing when it has begun."""
        if not self.is_disabled and self._watch is None and not self._is_over:
            self._watch = ExitWatch(self)
            self._watch.begin()
            self._try_to_open()
            announce(self.id)
        return self

    def flush(self) -> bool:
        """Brings what was logged so far to the disk. When it has returned True, that survives a power cut.

        Returns:
            False when something that was logged since the last flush was lost, or could not be brought to the disk, and
            for as long as the journal cannot be written.
        """
        try:
            writer = self._writer
            if writer is None:
                return self.is_disabled
            # A child that has logged nothing has nothing to bring to the disk.
            is_synced = writer.flush() and (writer.has_stream or writer.is_child)
            lost = self._refusals.counts().get("lost", 0)
            if lost < self._lost_before:
                self._lost_before = self._lost_said = 0  # Forked: the counts began anew.
            news, before = lost - self._lost_before, self._lost_said
            self._lost_said = lost
            if lost > before:
                warn(f"flush: {news} of what was logged {'is' if news == 1 else 'are'} lost; the others are kept")
            if is_synced and not writer.is_losing:
                self._lost_before = lost
            return is_synced and not news
        except Exception as error:
            self._fail(error)
            return False

    def stop(self, wait: Wait | None = None, timeout: float | None = None) -> None:
        """Ends the run; `wait` and `timeout` as for `tracelet.stop_logging`."""
        outcome = self._watch.outcome() if self._watch is not None else Outcome("finished")
        self.finish(outcome, wait, timeout)

    def end(self) -> None:
        """The same as `stop`."""
        self.stop()

    def __enter__(self) -> Experiment:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.stop()
        else:
            self.finish(Outcome.of_exception(error))

    def finish(self, outcome: Outcome, wait: Wait | None = None, timeout: float | None = None) -> None:
        """Ends the run: the end record, the hooks, the delivery. Never raises; only the first call counts."""
        watch, writer = self._watch, self._writer
        if watch is None or self._is_over:
            return
        self._is_over = True
        self._ending_in = threading.get_ident()
        try:
            from . import _active  # not before the look above: when the interpreter goes down nothing can be imported

            _active.unset_active(self)
            vars(self).pop("log_metric", None)
            is_child = writer is not None and writer.is_child
            if writer is not None:
                writer.look()
                # A child that logged nothing has no stream, and needs no end.
                is_told = writer.has_stream or not is_child
                writer.close(*(_ends(outcome) if is_told else ()))
            if not is_child:
                withdraw(self.id)
                if self._agent is not None:
                    self._agent.leave()
                self._deliver(watch, wait, timeout)
            summary = self._refusals.summary()
            if summary:
                warn(f"{self.name}: {summary}")
        except Exception as error:
            self._fail(error)
        finally:
            self._ending_in = 0
            watch.ended()

    def hasten(self) -> None:
        """After SIGTERM: a delivery that is waited for has less time left."""
        if self._delivery is not None:
            self._delivery.hasten(self.settings.sigterm_timeout)

    def when_free(self, action: Callable[[], None]) -> None:
        """Runs `action` now, or when a record that a signal has interrupted is written."""
        if self._writer is not None:
            self._writer.when_free(action)
        else:
            action()

    def log_point_at(
        self,
        name: str,
        value: float,
        step: int | None,
        moment: float,
        context: Mapping[str, object] | None = None,
    ) -> None:
        """Records one value with a time of its own, in seconds since the Unix epoch: for hooks."""
        writer = self._open_writer(name)
        if writer is None:
            return
        if context is None:
            writer.point(name, value, step, moment)
            return
        encoded = encode_context({**self._context, **context})
        if encoded is None:
            self._refusals.add("context", describe(context))
        else:
            writer.point(InContext((plain_text(name), encoded)), value, step, moment)

    def refuse(self, reason: str, detail: str) -> None:
        """Counts a refusal: for hooks."""
        self._refusals.add(reason, detail)

    # Inside.

    def _try_to_open(self) -> None:
        """Makes the writer; where that fails (no working directory, no descriptor left), again a while later."""
        now = time.monotonic()
        if now < self._open_again_at:
            return
        self._open_again_at = now + RETRY_SECONDS
        try:
            # Importing can fail as well: where no descriptor is left, say.
            from . import _active

            if _active.get_active() is not self:
                _active.set_active(self)
            self._open()
        except Exception as error:
            self._refusals.add("lost", f"{getattr(error, 'strerror', None) or error}", 0)

    def _open(self) -> None:
        from ._filesystem import file_system_of
        from ._folder import find_folder

        names = backend_names(self.settings)
        configs, self._secrets = configure(self.settings, names)
        self._folder = find_folder()
        opening = run_started(
            time=self._created,
            run=self.id,
            project=self.project,
            name=self.name,
            tags=self._tags,
            names=names,
            configs=configs,
            version=__version__,
            parent=self.parent,
            origin=origin(with_git=self.settings.track_git and self.config.track_git),
        )
        system = file_system_of(self._folder)
        override = choice("TRACELET_WRITER", ("mmap", "write"))
        mapped = override == "mmap" if override else system.is_mapped
        folder = os.path.join(self._folder, "runs", self.id)
        stream = Stream(
            folder, Identity.here(self.id, None, self._resumes), mapped=mapped, opening=(RUN_STARTED, encode(opening))
        )
        writer = Writer(stream, self._refusals, encode_context(self._context) or "{}", self._log_any)
        writer.iteration = self._iteration
        self._writer = writer
        writer.open()
        self.log_metric = writer.log  # type: ignore[method-assign,assignment]  # one call less a point
        if not system.is_local:
            start_heartbeat(writer)
        self._begin_agent()

    def _begin_agent(self) -> None:
        try:
            from ._agent import Agent

            self._agent = Agent(self._folder, self.id, self._secrets, __version__)
            self._agent.begin(watch=not self._is_over)
        except Exception as error:
            warn(f"no agent could be looked for ({error}); recording goes on")

    def _deliver(self, watch: ExitWatch, wait: Wait | None, timeout: float | None) -> None:
        from ._delivery import Delivery, parse_wait

        if self._agent is None and self._writer is not None:
            self._begin_agent()
        if self._agent is None or self._writer is None or not self._writer.has_stream:
            return
        if isinstance(wait, str):
            is_fine = wait in ("auto", "always", "never")
        else:
            is_fine = wait is None or to_seconds(wait) is not None
        if not is_fine:
            self._refusals.add("argument", f"wait={describe(wait)}")
            wait = None
        if timeout is not None and to_seconds(timeout) is None:
            self._refusals.add("argument", f"timeout={describe(timeout)}")
            timeout = None
        usual = self.settings.sigterm_timeout if watch.was_terminated else self.settings.stop_timeout
        seconds, why = parse_wait(self.settings.stop_wait if wait is None else wait, timeout, usual)
        self._delivery = Delivery(self._agent, self.name, seconds, why)
        if watch.was_terminated:  # between the two looks
            self._delivery.hasten(self.settings.sigterm_timeout)
        self._delivery.run()

    def _log_any(self, name: object, value: object, iteration: object, context: str | None = None) -> None:
        """Records a value of any type at a step of any type; `context` is JSON, or None for the run's own."""
        try:
            if self.is_disabled:
                return
            if not isinstance(name, str):
                self._refusals.add("name", describe(name))
                return
            number = to_float(value)
            if number is None:
                self._refusals.add("value", f"{describe(name)} = {describe(value)}")
                return
            step = None if iteration is None else to_step(iteration)
            if iteration is not None and step is None:
                self._refusals.add("step", f"{describe(name)} at {describe(iteration)}")
                return
            writer = self._open_writer(name)
            if writer is not None:
                name = plain_text(name)
                writer.point(name if context is None else InContext((name, context)), number, step)
        except Exception as error:
            self._fail(error)

    def _open_writer(self, what: str) -> Writer | None:
        """Returns the writer; where there is none, counts `what` as refused or lost."""
        if self._writer is None and self.is_running:
            self._try_to_open()
        if self._writer is not None and not self._is_over:
            return self._writer
        if not self.is_disabled:
            self._refusals.add("lost" if self.is_running else "inactive", describe(what))
        return None

    def _record_params(self, params: dict[str, Json]) -> None:
        """Records params together or, where that is too much, each by itself: one that is too large takes no other."""
        if not params:
            return
        writer = self._open_writer(next(iter(params)))
        if writer is None:
            return
        now = time.time()
        payload = encode({"time": now, "params": dict(params)})
        if len(payload) <= BLOB_BYTES_MAX:
            writer.record(PARAMS, payload)
            return
        for name, value in params.items():
            payload = encode({"time": now, "params": {name: value}})
            if len(payload) <= BLOB_BYTES_MAX:
                writer.record(PARAMS, payload)
            else:
                self._refusals.add("size", f"the param {describe(name)}, {len(payload)} bytes")

    def _record(self, kind: int, fields: dict[str, Json]) -> None:
        writer = self._open_writer(next(iter(fields)))
        if writer is not None:
            writer.record(kind, encode({"time": time.time(), **fields}))

    def _id_of(self, what: str, run: object) -> str | None:
        """Returns the id of a run that an argument names."""
        name = run.id if isinstance(run, Experiment) else run
        if name is None or (isinstance(name, str) and is_id(name)):
            return name
        self._refusals.add("argument", f"{what}={describe(run)}")
        return None

    def _name_or(self, name: object, default: str) -> str:
        if name is None or name == "":
            return default
        if is_name(name):
            return plain_text(str(name))
        self._refusals.add("name", f"{describe(name)}; {default} is used in its place")
        return default

    def _clean_tags(self, tags: Tags) -> dict[str, str]:
        pairs: list[tuple[object, object]]
        if isinstance(tags, str):
            pairs = [(tags, "")]
        elif isinstance(tags, Mapping):
            pairs = list(tags.items())
        else:
            try:
                pairs = [(label, "") for label in tags]
            except Exception:  # No list of anything, or one that fails on the way.
                self._refusals.add("argument", f"tags={describe(tags)}")
                return {}
        clean: dict[str, str] = {}
        for key, value in pairs:
            try:
                text = "" if value is None else value if isinstance(value, str) else str(value)
                size = len(text.encode("utf-8"))
            except Exception as error:  # An object that cannot be shown as a text, a lone surrogate.
                self._refusals.add("tag", f"{describe(key)}: {type(error).__name__}")
                continue
            if not isinstance(key, str) or not is_name(key):
                self._refusals.add("name", describe(key))
            elif size > TAG_VALUE_BYTES_MAX:
                self._refusals.add("tag", describe(key))
            else:
                clean[plain_text(key)] = plain_text(text)
        return clean

    def _fail(self, error: Exception) -> None:
        self._refusals.add("internal", describe_error(error))


def _present(inside: Callable[..., None], outside: Callable[..., None]) -> None:
    """Has `help(run.log_metric)` show what a user calls, and not what stands in for it while the run goes on."""
    for name in ("__doc__", "__name__", "__qualname__", "__module__", "__annotations__"):
        setattr(inside, name, getattr(outside, name))
    # `help` names the class of what a method is bound to; no message of ours does.
    for name in ("__name__", "__qualname__", "__module__"):
        setattr(Writer, name, getattr(Experiment, name))


_present(Writer.log, Experiment.log_metric)


def _is_there(run: str) -> bool:
    """Whether the folder has a run of that id."""
    from ._folder import find_folder

    try:
        return os.path.isdir(os.path.join(find_folder(), "runs", run, "journal"))
    except OSError:  # the working directory is gone
        return False


def is_disabled(settings: TraceletSettings) -> bool:
    """Tells whether nothing is to be recorded: `TRACELET_DISABLED`, or the backend `none`."""
    return flag("TRACELET_DISABLED", default=False) or "none" in settings.backend


def _ends(outcome: Outcome) -> tuple[bytes, ...]:
    """Returns payloads of the end record: the whole one, and one with no more than the end of the error."""
    whole = _finished(outcome)
    if outcome.error is None:
        return (encode(whole),)
    return encode(whole), encode({**whole, "error": outcome.error[-_SHORT_ERROR_CHARACTERS:]})


def _finished(outcome: Outcome) -> dict[str, Json]:
    fields: dict[str, Json] = {"time": time.time(), "status": outcome.status}
    if outcome.exit_code is not None:
        fields["exitCode"] = outcome.exit_code
    if outcome.error is not None:
        fields["error"] = outcome.error
    return fields
