// What waits in a pseudo-terminal to be read, taken out and put in again.
#pragma once

#include <asm/termbits.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace blcr {

struct TerminalQueue {
  std::vector<std::string> lines;  // to the program, in canonical mode: each as one read gives it, an end-of-file mark is not part of it
  std::string input;               // to the program: the line that is not finished yet, or all that waits in other modes
  std::string output;              // to the master
};

/** A terminal by descriptors of both ends, the program's open for reading and writing. */
struct TerminalEnds {
  int master = -1, slave = -1;
};

/** The program's end in the file system. */
[[nodiscard]] inline std::string terminalPath(int number) { return "/dev/pts/" + std::to_string(number); }

[[nodiscard]] Result<termios2> terminalModes(int fd);
[[nodiscard]] Status setTerminalModes(int fd, const termios2& modes);

/**
 * Reads everything, which cannot be done without taking it; fillTerminal() has to follow in any case. Packet mode must be off. Nothing may
 * use the terminal meanwhile. Other modes are set than before.
 */
[[nodiscard]] Status drainTerminal(const TerminalEnds& ends, const termios2& modes, TerminalQueue& into);

/** Puts everything in as it was, without echo or effect, and sets `modes`. ENOBUFS when there is no room. */
[[nodiscard]] Status fillTerminal(const TerminalEnds& ends, const termios2& modes, const TerminalQueue& queue);

/** Whether both ends take data now: not when output was stopped (^S), or much of it waits. */
[[nodiscard]] bool takesData(const TerminalEnds& ends);

}  // namespace blcr
