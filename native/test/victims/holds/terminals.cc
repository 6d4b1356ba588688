// Pseudo-terminals with both ends in the job, as script, expect and tmux have them.
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

#include "holds.h"

namespace holds {
namespace {

struct Pty {
  int master = -1, slave = -1;
  std::string name;
};

Pty openPty() {
  Pty pty;
  pty.master = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(pty.master >= 0 && grantpt(pty.master) == 0 && unlockpt(pty.master) == 0);
  pty.name = ptsname(pty.master);
  pty.slave = open(pty.name.c_str(), O_RDWR | O_NOCTTY);
  REQUIRE(pty.slave >= 0);
  return pty;
}

void makeRaw(int fd) {
  termios mode{};
  REQUIRE(tcgetattr(fd, &mode) == 0);
  cfmakeraw(&mode);
  REQUIRE(tcsetattr(fd, TCSANOW, &mode) == 0);
}

void queuedData() {
  const Pty pty = openPty();
  makeRaw(pty.slave);
  const winsize size{33, 101, 5, 6};
  REQUIRE(ioctl(pty.slave, TIOCSWINSZ, &size) == 0);
  REQUIRE(put(pty.master, "to the program\003") == 0 && put(pty.slave, "from the program\n") == 0);
  hold();
  REQUIRE(pty.name == ptsname(pty.master) && pty.name == ttyname(pty.slave));
  winsize now{};
  REQUIRE(ioctl(pty.master, TIOCGWINSZ, &now) == 0 && memcmp(&now, &size, sizeof now) == 0);
  termios mode{};
  REQUIRE(tcgetattr(pty.slave, &mode) == 0 && (mode.c_lflag & (ICANON | ECHO | ISIG)) == 0 && (mode.c_oflag & OPOST) == 0);
  REQUIRE(take(pty.slave) == "to the program\003" && take(pty.master) == "from the program\n");
  REQUIRE(put(pty.master, "again") == 0 && take(pty.slave) == "again");
}

/** Whole lines wait to be read, and one is being typed. */
void lines() {
  const Pty pty = openPty();
  termios mode{};
  REQUIRE(tcgetattr(pty.slave, &mode) == 0);
  mode.c_lflag &= tcflag_t(~ECHO);
  mode.c_cc[VERASE] = '%';
  REQUIRE(tcsetattr(pty.slave, TCSANOW, &mode) == 0);
  REQUIRE(put(pty.master, "first\nsecond\nthi") == 0);
  hold();
  REQUIRE(take(pty.slave) == "first\n" && take(pty.slave) == "second\n");
  int waiting = -1;
  REQUIRE(ioctl(pty.slave, FIONREAD, &waiting) == 0 && waiting == 0);
  REQUIRE(put(pty.master, "X%rd\n") == 0 && take(pty.slave) == "third\n");
  REQUIRE(put(pty.slave, "line\n") == 0 && take(pty.master) == "line\r\n");
}

volatile sig_atomic_t interrupts = 0, resizes = 0;

/** A terminal gives what it has, which may be a part. */
std::string takeAll(int fd, size_t size) {
  std::string all;
  while (all.size() < size) {
    const std::string part = take(fd, size - all.size());
    REQUIRE(!part.empty());
    all += part;
  }
  return all;
}

/** A shell-like child leads a session on the terminal, with a job of its own in the foreground. */
void controllingTerminal() {
  const Pty pty = openPty();
  const pid_t shell = spawn([&] {
    close(pty.master);
    REQUIRE(setsid() == getpid() && ioctl(pty.slave, TIOCSCTTY, 0) == 0);
    for (int fd = 0; fd < 3; ++fd) dup2(pty.slave, fd);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGWINCH, [](int) { resizes = resizes + 1; });
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    const pid_t job = spawn([&] {
      signal(SIGINT, [](int) { interrupts = interrupts + 1; });
      REQUIRE(setpgid(0, 0) == 0 && tcsetpgrp(0, getpid()) == 0 && put(ends[1], "x") == 0);
      until([] { return interrupts != 0; });
    });
    REQUIRE(take(ends[0], 1) == "x" && put(1, "up\n") == 0);
    REQUIRE(endsWell(job));
    const int tty = open("/dev/tty", O_RDWR);
    REQUIRE(tty >= 0 && tcgetsid(tty) == getpid() && tcgetpgrp(tty) == job && resizes == 0 && interrupts == 0);
    REQUIRE(tcsetpgrp(0, getpid()) == 0);
    REQUIRE(put(tty, "done\n") == 0);
  });
  close(pty.slave);
  REQUIRE(takeAll(pty.master, 4) == "up\r\n");
  hold();
  REQUIRE(put(pty.master, "\003") == 0 && takeAll(pty.master, 2) == "^C");
  std::string seen;
  while (seen.find("done\r\n") == std::string::npos) seen += take(pty.master, 1);
  REQUIRE(endsWell(shell));
  char byte = 0;
  REQUIRE(read(pty.master, &byte, 1) == -1 && errno == EIO);
}

void packetMode() {
  const Pty pty = openPty();
  makeRaw(pty.slave);
  const int on = 1;
  REQUIRE(ioctl(pty.master, TIOCPKT, &on) == 0);
  REQUIRE(put(pty.slave, "data") == 0);
  hold();
  int mode = 0;
  REQUIRE(ioctl(pty.master, TIOCGPKT, &mode) == 0 && mode == 1);
  REQUIRE(take(pty.master) == std::string("\0data", 5));
  REQUIRE(tcflush(pty.slave, TCIFLUSH) == 0 && take(pty.master)[0] == TIOCPKT_FLUSHREAD);
}

/** The program's end is closed: what it wrote is still there, then the terminal is dead. */
void hungUp() {
  const Pty pty = openPty();
  makeRaw(pty.slave);
  REQUIRE(put(pty.slave, "last words") == 0);
  close(pty.slave);
  hold();
  REQUIRE(take(pty.master) == "last words");
  char byte = 0;
  REQUIRE(read(pty.master, &byte, 1) == -1 && errno == EIO);
  const int again = open(pty.name.c_str(), O_RDWR | O_NOCTTY);
  REQUIRE(again >= 0 && put(again, "!") == 0 && take(pty.master) == "!");
}

/** Several, of which some are gone: numbers have gaps. Non-blocking, close-on-exec, duplicated. */
void several() {
  Pty ptys[4];
  for (Pty& pty : ptys) pty = openPty();
  close(ptys[0].master), close(ptys[0].slave), close(ptys[2].master), close(ptys[2].slave);
  const int copy = dup(ptys[3].slave), fresh = open(ptys[3].name.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  makeRaw(ptys[1].slave), makeRaw(ptys[3].slave);
  REQUIRE(put(ptys[1].master, "one") == 0 && put(ptys[3].master, "three") == 0);
  hold();
  REQUIRE(take(ptys[1].slave) == "one" && take(fresh, 2) == "th" && take(copy) == "ree");
  REQUIRE(fcntl(fresh, F_GETFL) & O_NONBLOCK && fcntl(fresh, F_GETFD) == FD_CLOEXEC && !(fcntl(copy, F_GETFL) & O_NONBLOCK));
  REQUIRE(ptys[3].name == ptsname(ptys[3].master) && ptys[1].name == ptsname(ptys[1].master));
}

/** The master is gone: the program's end is dead, whoever has its number now. */
void deadTerminal() {
  const Pty pty = openPty();
  close(pty.master);
  const Pty living = openPty();
  hold();
  char byte = 0;
  REQUIRE(read(pty.slave, &byte, 1) == 0 && write(pty.slave, "x", 1) == -1 && errno == EIO);
  makeRaw(living.slave);
  REQUIRE(put(living.master, "living") == 0 && take(living.slave) == "living");
}

void unopened() {
  const int master = posix_openpt(O_RDWR | O_NOCTTY);
  REQUIRE(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
  hold();
  const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
  REQUIRE(slave >= 0 && put(slave, "x") == 0 && take(master) == "x");
}

const Case kDead(Supported{"ptyDead", "descriptors", "pseudo-terminals: one whose master is closed", "restored"}, deadTerminal);
const Case kUnopened(Supported{"ptyUnopened", "descriptors", "pseudo-terminals: one whose program's end was never opened",
                               "refused: has not been opened yet"},
                     unopened);
const Case kQueued(Supported{"ptyQueued", "descriptors", "pseudo-terminals: number, modes, window size, data queued in both directions",
                             "restored"},
                   queuedData);
const Case kLines(Supported{"ptyLines", "descriptors", "pseudo-terminals: whole and unfinished lines in canonical mode", "restored"},
                  lines);
const Case kControlling(Supported{"ptyControlling", "descriptors",
                                  "pseudo-terminals: controlling terminal, session and foreground group inside the job", "restored"},
                        controllingTerminal);
const Case kPacket(Supported{"ptyPacket", "descriptors", "pseudo-terminals: packet mode", "restored"}, packetMode);
const Case kHungUp(Supported{"ptyHungUp", "descriptors", "pseudo-terminals: one whose program's end is closed", "restored"}, hungUp);
const Case kSeveral(Supported{"ptySeveral", "descriptors", "pseudo-terminals: several, opened and duplicated several times", "restored"},
                    several);

}  // namespace
}  // namespace holds
