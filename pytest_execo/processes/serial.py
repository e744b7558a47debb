"""A serial console as a process: what the device says is its output, what is written goes to the device."""

from __future__ import annotations

from typing import Any, Self

from ..errors import ExecoError, ExpectFailed, InvalidInput, StartFailed
from ..hosts import Host
from ..units import parse_duration
from .expect import Expectation
from .output import Output
from .process import Process

__all__ = ("Serial",)

# Bytes of what the helpers say that are kept, whatever is kept of the device: our own messages are among them.
_KEPT_ERRORS = 64 * 1024
_OPEN = "serial: open: "

# sh -c SCRIPT serial DEVICE SPEED      POSIX sh, stty, cat: dash, busybox sh and bash are tested
#
# The device is opened once, in a subshell: the shell itself is the leader of its session, of which the device would
# become the controlling terminal, and be hung up at its end. What follows the subshell keeps shells from saving it.
# Standard input ends without the console's end; the end of the device is the end of all.
_SCRIPT = f"""
refuse() {{ echo "serial: $1" >&2; exit 1; }}
[ -e "$1" ] || refuse "$1: no such device"
[ -c "$1" ] || refuse "$1: not a terminal device"
[ -r "$1" ] && [ -w "$1" ] || refuse "$1: user $(id -un) may not read and write it: $(ls -ldL "$1")"
(
    [ -t 3 ] || refuse "$1: not a terminal device"
    stty "$2" raw -echo -iexten -ixon -ixoff cs8 -parenb -cstopb cread clocal <&3 ||
        refuse "$1: stty can't set it to $2 bits per second"
    exec 4<&0
    cat <&4 >&3 3<&- 4<&- &
    exec 4<&-
    echo "{_OPEN}$1" >&2
    cat <&3
    kill $! 2>/dev/null
    refuse "$1: the device was closed or taken away"
) 3<>"$1"
exit $?
"""

# What a serial line has no use for.
_REFUSED = ("cmd", "pty", "detached")


class Serial(Process):
    """The console behind a serial device, of this machine or of a host.

    ::

        with Serial("/dev/ttyUSB0", 115200, host=frontend) as console:
            console.write("\\n").expect("login: ", timeout=60)

    ``stdout`` is what the device says, byte by byte (raw mode, 8 bits, no parity, one stop bit, no flow control by
    characters); what is written goes to the device as it is. ``stderr`` has what the helpers say, such as why the
    device could not be opened. It is a :class:`Process` in all else: handlers, :meth:`expect`, time-out, scope.

    It runs until it is killed or the device is taken away, which is a failure. A device that can't be opened ends it
    with :exc:`StartFailed` as its ``error``. The machine of the device needs a POSIX ``sh``, ``stty`` and ``cat``. The
    device is closed at the end and can be opened again; it keeps its settings. Two consoles on one device at a time
    would each get a part of what it says.

    :param device: path of the device, ``/dev/ttyS0``.
    :param speed: bits per second, one that the device can do.
    :param host: whose device it is; ``None``: this machine; a string is an address for ssh.
    :param options: those of :class:`Process`, without ``pty`` and ``detached``.
    :raises InvalidInput: for what is no path or no speed.
    """

    def __init__(self, device: str, speed: int, host: Host | str | None = None, **options: Any) -> None:
        if not isinstance(device, str) or not device:
            raise InvalidInput(f"device: {device!r} is not the path of a device, like '/dev/ttyS0'")
        if not isinstance(speed, int) or speed <= 0:
            raise InvalidInput(f"speed: {speed!r} is not a number of bits per second, like 115200")
        if wrong := [option for option in _REFUSED if option in options]:
            raise InvalidInput(f"{wrong[0]}: a serial console has no such option")
        options.setdefault("name", f"serial {device} at {speed}")
        super().__init__(["/bin/sh", "-c", _SCRIPT, "serial", device, str(speed)], host, **options)
        self.device = device
        self.speed = speed
        self._output["stderr"] = Output(_KEPT_ERRORS)

    def ready(self, timeout: float | str | None = None) -> Self:
        """Wait until the device is open: nothing that it says from then on is missed. ``with`` does so too.

        :param timeout: seconds, or ``"1m30s"``.
        :raises ProcessFailed: when it could not be opened, with the reason.
        :raises ExpectFailed: when it was not open in time.
        :raises ProcessError: when it was not started.
        """
        self._refuse_unstarted("ready()")
        seconds = None if timeout is None else parse_duration(timeout)
        try:
            Expectation(self, self._output["stderr"], "stderr").expect(f"^{_OPEN}.*\n", timeout=seconds)
        except ExpectFailed as failure:
            if failure.cause == "timeout":
                raise
            self.wait().check()
            raise  # it was killed
        return self

    def __enter__(self) -> Self:
        self.start()
        try:
            return self.ready()
        except BaseException:
            self.kill()
            raise

    def _finish(self, error: ExecoError | None) -> None:
        if error is None and self.exit_code and not self._was_open():
            said = self._output["stderr"].excerpt(_KEPT_ERRORS).split("\n")
            reason = next((line for line in reversed(said) if line), f"no word from {self.device}")
            error = StartFailed(str(self.host or "localhost"), reason.removeprefix("serial: "))
        super()._finish(error)

    def _was_open(self) -> bool:
        return _OPEN.encode() in self._output["stderr"].read()
