#include "dump/memory/copy_sender.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>

#include "dump/files/descriptions.h"
#include "image/crc32c.h"
#include "proc/status.h"

namespace blcr {
namespace {

constexpr size_t kBoardSize = (sizeof(SendBoard) + 4095) / 4096 * 4096;
constexpr long kPatienceNs = 50'000'000;  // between two looks at whether the request was given up

std::atomic_ref<uint32_t> word(uint32_t& value) { return std::atomic_ref(value); }

/** Descriptors of an empty table in the order in which they are made. */
enum CopyFd : int { kSocketOurs = 0, kSocketTheirs = 1, kOutput = 2, kMemory = 3 };

/** A message with two descriptors, as laid out in the data of the copy's scratch. */
struct Letter {
  msghdr header;
  iovec part;
  alignas(16) char control[CMSG_SPACE(2 * sizeof(int))];
  int sockets[2];
  char byte;
};

Status sendDescriptors(int socket, int outputFd, int memory) {
  char byte = 'd';
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const int fds[2] = {outputFd, memory};
  std::memcpy(CMSG_DATA(header), fds, sizeof fds);
  if (::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1) return systemError("descriptors for the copy");
  return {};
}

/** The address of the board in the copy, which then holds the output and nothing else. */
Result<uint64_t> equip(Tracee& copy, const CopyScratch& scratch, int outputFd, int memory) {
  const uint64_t at = scratch.data();
  const Error refused{ENOTSUP, "the copy cannot be given descriptors"};
  RemoteCall sockets{SYS_socketpair, {AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, at + offsetof(Letter, sockets)}};
  BLCR_TRY(scratch.run(copy, std::span(&sockets, 1)));
  if (sockets.result != 0) return refused;
  const auto ours = borrowDescriptor(copy.tid(), copy.tid(), kSocketOurs);
  if (!ours) return ours.error();
  BLCR_TRY(sendDescriptors(ours.value().get(), outputFd, memory));
  Letter letter{};
  letter.part = {reinterpret_cast<void*>(at + offsetof(Letter, byte)), 1};
  letter.header.msg_iov = reinterpret_cast<iovec*>(at + offsetof(Letter, part));
  letter.header.msg_iovlen = 1;
  letter.header.msg_control = reinterpret_cast<void*>(at + offsetof(Letter, control));
  letter.header.msg_controllen = sizeof letter.control;
  const RemoteMemory remote(copy.tid());
  BLCR_TRY(remote.write(at, std::as_bytes(std::span(&letter, 1))));
  std::array<RemoteCall, 5> calls{{
      {SYS_recvmsg, {kSocketTheirs, at, MSG_DONTWAIT | MSG_CMSG_CLOEXEC}},
      {SYS_mmap, {0, kBoardSize, PROT_READ | PROT_WRITE, MAP_SHARED, kMemory, 0}},
      {SYS_close, {kSocketOurs}},
      {SYS_close, {kSocketTheirs}},
      {SYS_close, {kMemory}},
  }};
  BLCR_TRY(scratch.run(copy, calls));
  const auto got = remote.get<Letter>(at);
  if (!got) return got.error();
  int fds[2] = {-1, -1};
  std::memcpy(fds, got.value().control + CMSG_LEN(0), sizeof fds);
  const bool isGood = calls[0].result == 1 && fds[0] == kOutput && fds[1] == kMemory && calls[1].result > 0;
  if (!isGood) return refused;
  return uint64_t(calls[1].result);
}

/** Lets the copy write files as large as the keeper may: the job's own limit is not the context's. */
bool mayWriteFiles(pid_t copy) {
  rlimit ours{}, theirs{};
  if (::getrlimit(RLIMIT_FSIZE, &ours) != 0 || ::prlimit(copy, RLIMIT_FSIZE, nullptr, &theirs) != 0) return false;
  if (theirs.rlim_cur >= ours.rlim_cur) return true;
  theirs.rlim_cur = ours.rlim_cur;
  return theirs.rlim_cur <= theirs.rlim_max && ::prlimit(copy, RLIMIT_FSIZE, &theirs, nullptr) == 0;
}

}  // namespace

Result<std::unique_ptr<CopySender>> CopySender::start(const SnapshotProcess& snapshot, int outputFd) {
  // A table that was emptied call by call may hold what the recording did not see, and the numbers would be others. Kernels with
  // close_range (5.9) are also those on which a page that a pipe refers to is never written again by another process.
  if (!snapshot.isEmpty || !__builtin_cpu_supports("sse4.2")) return Error{ENOTSUP, "pages are read from outside"};
  struct stat output{};
  if (::fstat(outputFd, &output) != 0) return systemError("output of the copy");
  const bool isPipe = S_ISFIFO(output.st_mode);
  if (!isPipe && !(S_ISREG(output.st_mode) && mayWriteFiles(snapshot.pid))) return Error{ENOTSUP, "not an output of a copy"};
  const UniqueFd memory(int(::syscall(SYS_memfd_create, "blcr-board", 1u)));  // MFD_CLOEXEC
  if (!memory || ::ftruncate(memory.get(), kBoardSize) != 0) return systemError("memory shared with the copy");
  void* mapped = ::mmap(nullptr, kBoardSize, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (mapped == MAP_FAILED) return systemError("memory shared with the copy");
  auto* board = static_cast<SendBoard*>(mapped);
  std::unique_ptr<CopySender> sender(new CopySender(snapshot.pid, board));
  board->fd = kOutput;
  board->lends = isPipe ? 1 : 0;
  image::crc32cShiftTable(kSendStream, board->shift);
  Tracee copy = Tracee::adopt(snapshot.pid);
  const auto address = equip(copy, snapshot.scratch, outputFd, memory.get());
  if (!address) return address.error();
  BLCR_TRY(snapshot.scratch.enter(copy, sendLoopCode(), address.value()));
  return sender;
}

CopySender::~CopySender() { ::munmap(board_, kBoardSize); }

void CopySender::begin(uint32_t space, bool checksum, std::function<Status()> check) {
  board_->space = space;
  board_->checksum = checksum ? 1 : 0;
  check_ = std::move(check);
}

Status CopySender::order(image::Writer& writer, uint64_t address, uint32_t length) {
  BLCR_TRY(awaitDone(writer, SendBoard::kSlots - 1));
  const uint32_t number = word(board_->ordered).load(std::memory_order_relaxed);
  SendSlot& slot = board_->slots[number % SendBoard::kSlots];
  slot.address = address;
  slot.length = length;
  word(board_->ordered).store(number + 1, std::memory_order_release);
  ::syscall(SYS_futex, &board_->ordered, FUTEX_WAKE, 1, nullptr);
  return {};
}

Status CopySender::drain(image::Writer& writer) { return awaitDone(writer, 0); }

Status CopySender::finish(image::Writer& writer) {
  BLCR_TRY(order(writer, 0, kNothingMore));
  return drain(writer);
}

/** Until at most so many orders are not done; the frames of the others are entered in the writer's books. */
Status CopySender::awaitDone(image::Writer& writer, uint32_t inFlight) {
  const uint32_t ordered = word(board_->ordered).load(std::memory_order_relaxed);
  while (true) {
    const uint32_t done = word(board_->done).load(std::memory_order_acquire);
    const int error = std::atomic_ref(board_->error).load();
    if (error != 0) {
      errno = error;
      return systemError("writing the context");
    }
    for (; accounted_ != done; ++accounted_) {
      const SendSlot& slot = board_->slots[accounted_ % SendBoard::kSlots];
      for (uint32_t i = 0; i < slot.frames && i < SendSlot::kMaxFrames; ++i) {
        writer.wrote(slot.sent[i].address, slot.sent[i].length, slot.sent[i].crc);
      }
    }
    if (ordered - done <= inFlight) return {};
    const timespec patience{0, kPatienceNs};
    const long woken = ::syscall(SYS_futex, &board_->done, FUTEX_WAIT, done, &patience);
    if (woken == 0) continue;
    BLCR_TRY(check());
  }
}

Status CopySender::check() const {
  if (!isAlive(copy_)) return Error{ESRCH, "the copy that sends its pages has died"};
  return check_ ? check_() : Status();
}

}  // namespace blcr
