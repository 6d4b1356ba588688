// Open files of the whole job.
#pragma once

#include <set>

#include "base/log.h"
#include "base/result.h"
#include "dump/files/descriptions.h"
#include "dump/frozen.h"
#include "dump/recording.h"
#include "dump/sockets/sockets.h"

namespace blcr {

/**
 * Records every descriptor of the frozen processes into image.files and its companions, and the processes' descriptors and cwd. Content of
 * pipes, socket queues and unlinked files is copied here, inside the stop. kErrorNoSupport (naming process, descriptor and path) for what
 * cannot be rebuilt.
 */
[[nodiscard]] Status recordFiles(std::deque<FrozenProcess>& processes, const DumpRequest& request, Recording& recording);

/** What the recorders of single kinds of files work with. */
struct FileContext {
  std::deque<FrozenProcess>& processes;
  const DumpRequest& request;
  Recording& recording;
  std::vector<FoundDescriptor>& found;
  std::map<ObjectKey, uint32_t> pipeOf;  // pipe inode: Image::pipes
  SocketTable& sockets;
  std::map<ObjectKey, uint32_t> socketOf;  // socket inode: Image::sockets
  std::set<pid_t> members;
  std::map<int, uint32_t> terminalOf;  // number: Image::terminals
};

/** Another name of an unlinked file in the directory where it was opened; empty when there is none. */
[[nodiscard]] std::string otherName(const FoundDescriptor& found);

[[nodiscard]] Error refuseFile(const FoundDescriptor& found, const std::string& why);

/** One description each; `found` is one of its descriptors. */
[[nodiscard]] Status recordRegular(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
[[nodiscard]] Status recordDirectory(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
[[nodiscard]] Status recordPathOnly(const FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
[[nodiscard]] Status recordPipe(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
[[nodiscard]] Status recordSocket(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
/** Of an io_uring that is idle; of any other one the reason is told why it cannot be made again. */
[[nodiscard]] Status recordRing(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
[[nodiscard]] Status recordAnonymousInode(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
/**
 * Pseudo-terminals whose master is in the job, before any description is recorded: modes, what waits in them, whose controlling terminals
 * they are. What waits is taken and put back. kErrorTemporary when that would not be safe now.
 */
[[nodiscard]] Status lookAtTerminals(FileContext& context, const std::deque<FrozenProcess>& processes);
/** A master, a program's end, or /dev/tty of a process whose controlling terminal is one of those. */
[[nodiscard]] bool isTerminal(const FileContext& context, const FoundDescriptor& found);
[[nodiscard]] Status recordTerminal(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);
/** After all descriptions are known. */
[[nodiscard]] Status connectSockets(FileContext& context);
[[nodiscard]] Status recordEpollTargets(FileContext& context, const FoundDescriptor& found, image::OpenFile& file);

}  // namespace blcr
