"""django-q2's cluster, made to outlive the sudden death of any of its processes.

The kernel may kill a process at any moment, for memory say. In plain django-q2 that can end all work without
a word: who waits for the next job holds the lock of the cluster's own queue meanwhile, and takes it along;
the replacement then waits for ever. The same holds for the one who saves results, and so its results stay
unconfirmed. If the sentinel dies, its workers go on unguarded. Three things help here:

- nobody holds a lock while waiting (`Queue`);
- the sentinel looks each second whether what waits is also taken, and gives up if it is not (`Sentinel`);
- the main process starts the sentinel and all below it anew when it is gone or stands still (`Cluster`).

Jobs that are lost by that are found by the sweep, as after any crash.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from multiprocessing.sharedctypes import RawValue
from queue import Empty
from types import FrameType
from typing import Any, Final

import structlog
from django.db import connections
from django_q import cluster, queues
from django_q.signals import post_execute, pre_execute

PR_SET_PDEATHSIG: Final = 1
LOOK_SECONDS: Final = 0.5
JOB_SECONDS: Final = 10.0
"""All workers idle and jobs waiting, for so long: nobody can take them."""
STILL_SECONDS: Final = 30.0
"""No turn of the sentinel's guard, or no result saved of those that wait, for so long."""
START_SECONDS: Final = 5.0
"""Between two starts, where a start fails: the database may be away."""
IDLE: Final = -1
GAVE_UP: Final = 3

log = structlog.get_logger(__name__)


class Queue(queues.Queue):  # type: ignore[misc]
    """A queue whose readers take its lock only while something is there to read."""

    def get(self, *args: Any, **kwargs: Any) -> Any:
        """Waits for the next item; arguments are django-q2's and it gives none."""
        while True:
            self._reader.poll(None)
            try:
                return super().get(block=False)
            except Empty:
                # Another reader was quicker, or is just at it.
                time.sleep(0.005)

    @property
    def waiting(self) -> int:
        """How many items wait, read without the lock: its holder may be dead."""
        return int(self.size.count.get_obj().value)


class Signs:
    """When something was last seen to go on, in seconds of the monotonic clock, which all processes share."""

    def __init__(self) -> None:
        now = time.monotonic()
        self.turned, self.begun, self.saved = (RawValue("d", now) for _ in range(3))

    def connect(self) -> None:
        """Has workers and monitor leave their signs. Called before they are forked."""
        pre_execute.connect(self._begin, dispatch_uid="signs-begun")
        post_execute.connect(self._save, dispatch_uid="signs-saved")

    def _begin(self, **_: Any) -> None:
        self.begun.value = time.monotonic()

    def _save(self, **_: Any) -> None:
        self.saved.value = time.monotonic()


class Sentinel(cluster.Sentinel):  # type: ignore[misc]
    """The guard of the workers, who also sees when they can't take what waits."""

    signs: Signs
    since_begun: float = 0.0
    since_saved: float = 0.0

    def start(self) -> None:
        """Guards until the end, deaf to SIGTERM as all below it are: only the main process decides.

        A process manager may tell every process of the service to end. Who dies of that in the middle of its
        job, or while another waits for its sign, keeps the main process from ending for ever.
        """
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        try:
            super().start()
        finally:
            self._kill_all()

    def spawn_process(self, target: Any, *args: Any) -> Any:
        """Starts a worker or a helper; a worker that hangs in its job can be killed only."""
        process = super().spawn_process(target, *args)
        process.terminate = process.kill
        return process

    def status(self) -> str:
        """Asked for at each turn of the guard. Ends the whole cluster if nobody can go on."""
        now = time.monotonic()
        self.signs.turned.value = now
        self._look(now)
        return str(super().status())

    def _look(self, now: float) -> None:
        if not self.task_queue.waiting or not self._all_idle():
            self.since_begun = now
        if not self.result_queue.waiting:
            self.since_saved = now
        if now - max(self.since_begun, self.signs.begun.value) > JOB_SECONDS:
            self._give_up("Jobs wait, all workers are idle, and none can take one.")
        if now - max(self.since_saved, self.signs.saved.value) > STILL_SECONDS:
            self._give_up("Results wait, and nobody saves them.")

    def _all_idle(self) -> bool:
        # Without the timers' locks: a worker may have died with its own.
        return all(process.timer.get_obj().value == IDLE for process in self.pool)

    def _give_up(self, words: str) -> None:
        log.error("workers_hang", detail=words)
        self._kill_all()
        os._exit(GAVE_UP)

    def _kill_all(self) -> None:
        """Nobody of those below is left: at a clean end they have ended by themselves."""
        for process in filter(None, (*self.pool, self.monitor, self.pusher)):
            process.kill()


class Cluster(cluster.Cluster):  # type: ignore[misc]
    """The main process: keeps a sentinel with its workers running until it is told to end."""

    def __init__(self) -> None:
        super().__init__()
        self.ending = False
        self.signs = Sentinel.signs = Signs()
        self.signs.connect()
        # django-q2 offers no other way to bring one's own.
        cluster.Queue, cluster.Sentinel = Queue, Sentinel
        _end_with_parent()

    def sig_handler(self, signum: int, frame: FrameType | None) -> None:
        """SIGTERM or SIGINT: jobs in hand are finished, then all end.

        Only noted here, as the handler may interrupt itself: a process manager and `run` may both send one,
        and an event that is set within its own setting waits for its lock for ever.
        """
        self.ending = True

    def run(self) -> None:
        """Runs until a signal. Raises RuntimeError if the first start fails by itself, and was not killed."""
        self._keep_running()
        if self.sentinel is not None:
            self.stop()

    def _keep_running(self) -> None:
        try:
            self._start()
        except RuntimeError:
            if self.sentinel.exitcode >= 0:
                raise
            self._start_again()
        while not self.ending:
            self.sentinel.join(LOOK_SECONDS)
            if not self.ending and (problem := self._problem()):
                log.error("workers_start_anew", detail=problem)
                self.sentinel.kill()
                self.sentinel.join()
                self._start_again()

    def _problem(self) -> str:
        if not self.sentinel.is_alive():
            return f"The sentinel has ended (exit code {self.sentinel.exitcode})."
        still = time.monotonic() - self.signs.turned.value
        return f"The sentinel has stood still for {still:.0f} s." if still > STILL_SECONDS else ""

    def _start(self) -> None:
        connections.close_all()  # no child may share one
        self.signs.turned.value = time.monotonic()
        self.start()

    def _start_again(self) -> None:
        while not self.ending:
            try:
                self._start()
            except RuntimeError as error:
                log.error("workers_cannot_start", detail=str(error))
                time.sleep(START_SECONDS)
            else:
                return


def _end_with_parent() -> None:
    """From here on each forked process dies with its parent (Linux; other systems go without)."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    parent = [0]

    def remember() -> None:
        parent[0] = os.getpid()

    def bind() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent[0]:  # it died before we could ask
            os._exit(GAVE_UP)

    os.register_at_fork(before=remember, after_in_child=bind)
