"""Supervision of the child processes of `serve`: gunicorn and a background worker.

SIGTERM stops them when their requests have ended, SIGINT and SIGQUIT at once. SIGHUP reloads: it
replaces the children, and the program of this process, by the present code and settings. A trial
process first checks that they work. Then this process executes its program again, and starts new
children. The old gunicorn accepts connections until the new one serves, and then finishes its
requests.

A service manager such as systemd is told when the service is ready, reloads and stops. Its watchdog
is told every second that the service runs, but only if a web process reports it, from the thread
that receives requests, and if the background worker is not suspended. Whether the worker makes
progress is left to /readyz: a worker that waits for a database gains nothing from a restart.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from typing import Final

from django.conf import settings

from images import process_metrics
from images.management import handover, probes, service_manager
from images.management.handover import Handover
from images.management.listeners import Sockets
from images.management.processes import (
    Process,
    Web,
    is_running,
    start,
    start_worker,
)

log = logging.getLogger(__name__)

STOP_SIGNALS: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
# logrotate sends SIGUSR1; operators who know gunicorn can send SIGUSR2.
IGNORED: Final = {signal.SIGUSR1, signal.SIGUSR2}
RESTART_PAUSE: Final = 2.0  # seconds
WORKER_PATIENCE: Final = 10.0  # seconds
PREPARE: Final = "--prepare-only"
RESTARTS: Final = "component_restarts_total"  # a metric


def block_signals() -> set[signal.Signals]:
    """Block the signals that a supervisor handles, until it receives them; return these signals.

    SIGHUP is not among them if the parent process ignores it, as nohup does.
    """
    signals = STOP_SIGNALS | IGNORED | {signal.SIGCHLD}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        signals.add(signal.SIGHUP)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    return signals


class Supervisor:
    """Runs gunicorn and the background worker until the service is stopped.

    The worker is restarted whenever it ends, gunicorn only when a signal has killed it. In the
    meantime, new connections wait in the queues of the listening sockets.
    """

    def __init__(
        self,
        sockets: Sockets,
        web_options: list[str],
        service: probes.Service,
        signals: set[signal.Signals],
    ) -> None:
        """Prepare to run gunicorn with the options ``web_options``.

        The supervisor keeps ``service`` up to date, which the probes report. ``signals`` are the
        signals that ``block_signals`` has returned.
        """
        self._sockets, self._web_options = sockets, web_options
        self._service, self._signals = service, signals
        self._has_terminal = _has_terminal()
        self._stopping = self._reload_wanted = False
        self._is_ready = False  # as far as the service manager knows
        self._restart_at, self._stop_at = 0.0, math.inf
        self._trial: Process | None = None  # tries whether a reload would work

    def run(self, former: Handover) -> int:
        """Start gunicorn and the worker, and supervise them until they end; return the exit code.

        ``former`` has the child processes from before a reload.
        """
        self._leaving = former.adopted_web()  # gunicorns that finish their requests
        # The gunicorn that serves until the new one does.
        self._former = self._leaving.pop() if self._leaving else None
        self._web = self._start_web()
        self._former_workers = former.adopted_workers()
        for worker in self._former_workers:
            worker.send_signal(signal.SIGTERM)
        self._worker = start_worker()
        for component in ("web", "worker"):
            process_metrics.count(RESTARTS, component, by=0)
        while not self._is_over():
            self._service.web_runs = any(web.runs() for web in self._serving())
            caught = signal.sigtimedwait(self._signals, 1)
            if caught and caught.si_signo in STOP_SIGNALS:
                self._begin_stop(caught.si_signo)
            elif caught and caught.si_signo == signal.SIGHUP:
                self._hang_up()
            self._pass_reports_on()
            self._service.web_serves = any(
                web.serves and web.runs() for web in self._serving()
            )
            if not self._stopping:
                self._advance()
            self._announce_readiness()
            if time.monotonic() >= self._stop_at and not self._stopping:
                self._stop(signal.SIGTERM)
        self._end_workers()
        code = self._web.process.returncode or 0
        return 0 if self._stopping and code < 0 else abs(code)

    def _is_over(self) -> bool:
        if any(web.runs() for web in (*self._serving(), *self._leaving)):
            return False
        return self._stopping or not self._web.was_killed()

    def _pass_reports_on(self) -> None:
        """Tell the watchdog that the service runs, if web processes report it and the worker runs."""
        reporting = [web for web in self._serving() if web.reports()]
        web_runs = any(is_running(web.process) for web in reporting)
        if web_runs and is_running(self._worker):
            service_manager.feed_watchdog()

    def _announce_readiness(self) -> None:
        """Tell the service manager once that a start or a reload has ended and the service serves."""
        is_changing = self._trial or self._former or self._service.stops
        if self._web.serves and not is_changing and not self._is_ready:
            self._is_ready = True
            service_manager.report_ready("Serves requests.")

    def _serving(self) -> list[Web]:
        return [self._web, self._former] if self._former else [self._web]

    def _start_web(self) -> Web:
        sockets = [listener.socket.fileno() for listener in self._sockets.api]
        return Web.start(sockets, self._web_options)

    # The end

    def _begin_stop(self, number: int) -> None:
        """Stop the service because of signal ``number``.

        For the first SIGTERM, let the probes fail, and stop only after IMAGECATALOG_STOP_DELAY
        seconds.
        """
        delay = settings.IMAGECATALOG_STOP_DELAY
        if number != signal.SIGTERM or not delay or self._service.stops:
            self._stop(number)
            return
        log.info("not ready from now on; the service stops in %s seconds", delay)
        service_manager.report_stop(f"Serves until it stops in {delay} seconds.")
        self._service.stops = True
        self._stop_at = time.monotonic() + delay
        for web in self._serving():
            web.announce_stop()

    def _stop(self, number: int) -> None:
        self._stopping = self._service.stops = True
        service_manager.report_stop("Stops when its requests have ended.")
        for listener in self._sockets.api:
            listener.close()  # else new clients would wait in its queue
        if self._trial:
            self._trial.send_signal(signal.SIGTERM)
        self._worker.send_signal(signal.SIGTERM)
        quick = signal.SIGTERM if number == signal.SIGTERM else signal.SIGINT
        for web in (*self._serving(), *self._leaving):
            web.stop(quick)

    def _end_workers(self) -> None:
        """Stop the background workers; after 10 seconds kill the workers that still run.

        A worker ends between two tasks; a task that waits for a store can hang.
        """
        workers = [self._worker, *self._former_workers]
        for number in (signal.SIGTERM, signal.SIGKILL):
            for worker in workers:
                worker.send_signal(number)
            deadline = time.monotonic() + WORKER_PATIENCE
            while workers and time.monotonic() < deadline:
                signal.sigtimedwait({signal.SIGCHLD}, 0.1)
                workers = [worker for worker in workers if worker.poll() is None]

    # A reload

    def _hang_up(self) -> None:
        if self._has_terminal and not _has_terminal():
            self._stop(signal.SIGTERM)  # the terminal was closed
        else:
            self._reload_wanted = True

    def _advance(self) -> None:
        """Begin the next step of a reload if it is due, and restart child processes that have ended."""
        if self._trial:
            self._await_trial(self._trial)
        elif self._former:
            self._await_web(self._former)
        elif self._reload_wanted and not self._service.stops:
            log.info("reload: trying the code and the settings")
            self._reload_wanted = self._is_ready = False
            service_manager.report_reload(
                "Tries the code and the settings for a reload."
            )
            self._trial = start(*sys.orig_argv[1:], PREPARE)
        self._leaving = [web for web in self._leaving if web.runs()]
        former = self._former_workers
        self._former_workers = [it for it in former if it.poll() is None]
        self._restart()

    def _await_trial(self, trial: Process) -> None:
        if trial.poll() is None:
            return
        self._trial = None
        if self._service.stops:
            return
        if trial.returncode:
            log.error(
                "not reloaded: the lines above say why. The service goes on as it was; correct "
                "it, and send SIGHUP again."
            )
            return
        try:
            handover.execute(self._handover())
        except OSError:
            log.exception("not reloaded: the program cannot be executed")

    def _handover(self) -> Handover:
        web = [it for it in (*self._leaving, self._web) if it.runs()]
        workers = [*self._former_workers, self._worker]
        return Handover(
            self._sockets.descriptors(),
            [(it.process.pid, it.link.fileno()) for it in web],
            [worker.pid for worker in workers if worker.poll() is None],
        )

    def _await_web(self, former: Web) -> None:
        if self._web.serves:
            log.info("reloaded: the former web processes finish their requests")
            former.finish()
            self._leaving.append(former)
            self._former = None
        elif not self._web.runs():
            log.error("the new web server cannot start; the former one goes on")
            self._web, self._former = former, None

    def _restart(self) -> None:
        """Restart gunicorn or the worker, two seconds after its end was noticed.

        Stop the service if gunicorn has ended without being killed by a signal.
        """
        if self._web.runs() and self._worker.poll() is None:
            return
        if not self._web.runs() and not self._web.was_killed():
            self._stop(signal.SIGTERM)
            return
        self._restart_at = self._restart_at or time.monotonic() + RESTART_PAUSE
        if time.monotonic() < self._restart_at:
            return
        self._restart_at = 0.0
        if not self._web.runs():
            number = -(self._web.process.returncode or 0)
            log.warning("gunicorn was killed by signal %s; it is restarted", number)
            self._web = self._start_web()
            process_metrics.count(RESTARTS, "web")
        if self._worker.poll() is not None:
            self._worker = start_worker()
            process_metrics.count(RESTARTS, "worker")


def _has_terminal() -> bool:
    """Return whether this process has a controlling terminal."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True
