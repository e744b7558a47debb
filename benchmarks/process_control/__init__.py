"""Process control side by side: this package, and what people use otherwise, on the same hosts in the same run.

python -m benchmarks.process_control [--rows contact,local] [--hosts 1,10,100] [--peers execo,asyncssh] [--json FILE]

``contact``: a first command on N hosts, then a second one over whatever connections the tool keeps. ``local``: 1000
times ``true`` on this machine. ``lines``: 1 GB of text lines, each given to a handler, from a process of this machine;
``ssh-lines``: from a host. ``put``: a file of 64 MB to 16 hosts.

The hosts are addresses of 127.1.0.0/16 behind one stock OpenSSH server that the benchmark starts (:mod:`.farm`). Every
peer runs in an interpreter of its own (:mod:`.driver`), in its natural idiom (:mod:`.drivers`), and so does this
package. What is measured (:mod:`.trees`):

``wall``: seconds. Libraries are imported before the clock starts.
``CPU``: seconds, user and system, of the peer's process and of every process it started here (the ``ssh`` that it
forks, the ``true`` that it runs); not of the server, whose work is the same for all and shares the cores.
``memory``: peak of the process tree in MB (10^6 bytes): private memory of each process, plus the shared pages of the
one that has most. Sampled several times a second; that of the peer's own process is the kernel's high-water mark.
``ok``: hosts whose output was what it has to be; lines and files are checked too.
"""
