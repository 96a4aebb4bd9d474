"""Groups of processes that run one command together, as the hosts of a pod do."""

import re
import socket
import subprocess
import threading

from scale import processes


class Group:
  """Processes of one command; their output is collected while they run.

  Attributes:
    members: The processes.
    seen: Set when one of them has shown step `until`.
  """

  def __init__(self, arguments, count=2, *, until=3, cwd=processes.ROOT, **variables):
    """Starts them.

    Args:
      arguments: Command line.
      count: Number of processes.
      until: Step at which `seen` is set.
      cwd: Their current folder.
      **variables: Environment variables.
    """
    with socket.socket() as free:
      free.bind(("127.0.0.1", 0))
      port = free.getsockname()[1]
    self.members, self.output = [], [[] for _ in range(count)]
    for index in range(count):
      flags = [f"--coordinator_address=127.0.0.1:{port}", f"--num_processes={count}"]
      self.members.append(
        subprocess.Popen(
          [*arguments, *flags, f"--process_id={index}"],
          env=processes.environment(1, **variables),
          cwd=cwd,
          stdout=subprocess.PIPE,
          stderr=subprocess.STDOUT,
          text=True,
        )
      )
    self.seen, self._until = threading.Event(), until
    self._readers = [threading.Thread(target=self._read, args=(i,)) for i in range(count)]
    for reader in self._readers:
      reader.start()

  def _read(self, index):
    for line in self.members[index].stdout:
      self.output[index].append(line)
      step = re.match(r"step (\d+)/", line)
      if step and int(step[1]) >= self._until:
        self.seen.set()
    self.seen.set()  # ended

  def finish(self):
    """Waits; returns (exit code, output) of each."""
    codes = [member.wait(timeout=1500) for member in self.members]
    for reader in self._readers:
      reader.join()
    return [(code, "".join(lines)) for code, lines in zip(codes, self.output, strict=True)]
