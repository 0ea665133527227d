"""Counts what could not be kept, and says each kind of it once.

Messages go to the logger `tracelet`, and obey whatever logging a program has set up; in a plain script warnings are
lines on stderr. Nothing here raises: a refusal must never reach the user's loop.
"""

from __future__ import annotations

import sys
import threading

from ._format import STEP_MAX

# logging.INFO and logging.WARNING
_INFO, _WARNING = 20, 30

# reason -> (what the first warning says, what the summary at the end says)
_SENTENCES: dict[str, tuple[str, str]] = {
    "value": ("a value that is not one number was not recorded", "not one number"),
    "step": (f"a step that is not a whole number within ±{STEP_MAX} was refused, with its value", "step out of range"),
    "name": ("a name must be text of 1 to 1,024 bytes of UTF-8; what carried another one was refused", "unusable name"),
    "context": (
        "a context must hold at most 16 keys and 4,096 bytes of texts, booleans and finite numbers; "
        "what carried another one was refused",
        "unusable context",
    ),
    "param": ("a parameter that JSON cannot hold was refused", "unusable parameter"),
    "tag": ("a tag needs a text of at most 65,536 bytes of UTF-8; another one was refused", "unusable tag"),
    "text": ("log_text takes texts; something else was refused", "not a text"),
    "media": ("something that has no form as what it was logged as was not recorded", "unusable image or the like"),
    "artifact": ("something of an artifact was not kept", "not kept of artifacts"),
    "argument": ("an argument of the wrong kind was passed over", "unusable argument"),
    "time": ("a time that is not a number of seconds was replaced by the present", "unusable time"),
    "size": ("something of more than 64 MiB was refused", "larger than 64 MiB"),
    "lost": ("the journal cannot be written, so what is logged now is lost; training goes on", "lost: no journal"),
    "inactive": ("something was logged outside of a run, before start or after stop; it was not recorded", "no run"),
    "internal": ("an error inside tracelet kept something from being recorded; training goes on", "internal error"),
}


def warn(sentence: str) -> None:
    """Shows one sentence at the level of a warning."""
    _say(sentence, _WARNING)


def inform(sentence: str) -> None:
    """Shows one sentence at the level of an information, which a plain script does not print."""
    _say(sentence, _INFO)


def _say(sentence: str, level: int) -> None:
    """Shows a sentence by way of `logging` if the program has loaded it, else as that would without being set up.

    It is not imported here. This may be a thread of ours, and a process that is forked while a thread imports a module
    waits for ever when it imports the same one.
    """
    if sys.is_finalizing():
        return  # A daemon thread that was stopped for ever may hold the lock of stderr, or of a handler.
    try:
        logging = sys.modules.get("logging")
        if logging is not None and hasattr(
            logging, "shutdown"
        ):  # the last thing that it defines: it is loaded to its end
            logging.getLogger("tracelet").log(level, "tracelet: %s", sentence)
        elif level >= _WARNING and sys.stderr is not None:
            sys.stderr.write(f"tracelet: {sentence}\n")
    except Exception:
        pass  # A logging handler of the user's that fails, a closed stderr, an interpreter that is going down.


class Refusals:
    """What one run refused or lost: a count for each reason (the keys are those of `experiment.refused`)."""

    __slots__ = ("_counts", "_lock", "_said")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._said: set[str] = set()
        self._lock = threading.RLock()

    def add(self, reason: str, detail: str = "", count: int = 1) -> None:
        """Counts `count` refusals; the first of a reason is said, with `detail` (what it was, at most a line)."""
        if sys.is_finalizing():
            return  # As in `_say`; and nobody reads the counts any more.
        with self._lock:
            self._counts[reason] = self._counts.get(reason, 0) + count
            if reason in self._said:
                return
            self._said.add(reason)
        sentence = _SENTENCES[reason][0]
        warn(f"{sentence}{': ' + detail if detail else ''} (said once; all are counted)")

    def say_again(self, reason: str) -> None:
        """Lets the next refusal of this reason be said: what caused the ones before is over."""
        with self._lock:
            self._said.discard(reason)

    def counts(self) -> dict[str, int]:
        """Returns a copy: reason to count."""
        with self._lock:
            return {reason: count for reason, count in self._counts.items() if count}

    def summary(self) -> str:
        """Returns a sentence such as `3 values refused: 2 not one number, 1 unusable name`, or `""` for none."""
        counts = self.counts()
        total = sum(counts.values())
        if total == 0:
            return ""
        parts: list[str] = [f"{count} {_SENTENCES[reason][1]}" for reason, count in sorted(counts.items())]
        return f"{total} value{'' if total == 1 else 's'} refused: {', '.join(parts)}"

    def forked(self) -> None:
        """In a forked child: counts start anew, and the lock may have been held by a thread that is not here."""
        self._lock = threading.RLock()
        self._counts = {}


def describe_error(error: BaseException) -> str:
    """Returns an error as `type: message`; never raises, though the error be the user's own."""
    kind = type(error).__name__
    try:
        return f"{kind}: {error}"
    except Exception:
        return kind


def describe(value: object) -> str:
    """Returns a short line about any value, for a warning; never raises."""
    try:
        text = repr(value)
    except Exception:
        text = "?"  # An object whose own repr fails.
    text = "".join(c if c.isprintable() else "?" for c in text[:80])
    return f"{text}{'…' if len(text) == 80 else ''} ({type(value).__name__})"
