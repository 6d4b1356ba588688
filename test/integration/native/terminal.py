"""An interactive shell on a pseudo terminal: argv = directory of the utilities, scratch directory. Exits 0 when all went as expected."""
import os, pty, re, select, subprocess, sys, time

native, scratch = sys.argv[1:3]
pid, terminal = pty.fork()
if pid == 0:
    os.chdir(scratch)
    os.environ.update(PS1="PROMPT>", TERM="dumb")
    os.closerange(3, 4096)
    os.execlp("bash", "bash", "--norc", "--noediting", "-i")
seen = ""


def expect(pattern, seconds=15):
    """Reads on until the pattern appears in what has not been matched yet."""
    global seen
    end = time.time() + seconds
    while (found := re.search(pattern, seen)) is None:
        if time.time() > end:
            sys.exit(f"waited for {pattern!r}, got {seen!r}")
        if select.select([terminal], [], [], 0.1)[0]:
            seen += os.read(terminal, 4096).decode(errors="replace")
    seen = seen[found.end():]
    return found


def say(text):
    os.write(terminal, text.encode())


def command(line):
    expect("PROMPT>")
    say(line + "\n")
    expect("\n")


PROGRAM = "bash -c 'read x; echo got-$x; read y; echo got-$y; exit 6'"
command(f"{native}/cr_run {PROGRAM}")
say("one\n")
expect("got-one")
say("\x1a")
expect("Stopped")
command("fg")
time.sleep(0.3)
shell_children = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
subprocess.run([f"{native}/cr_checkpoint", "-f", f"{scratch}/context", "--kill", shell_children[0]], check=True, timeout=20)
expect("Killed")
command(f"{native}/cr_restart context")
time.sleep(0.5)
say("\x1a")
expect("Stopped")
command("fg")
time.sleep(0.3)
say("two\n")
expect("got-two")
command("echo status-$?")
expect("status-6")
command(f"{native}/cr_run cat")
time.sleep(0.3)
say("\x03")
command("echo status-$?")
expect("status-130")
command("exit")
