// What travels between libcr and a keeper: SOCK_SEQPACKET messages of fixed structures, both sides being of one build on one machine.
//
//   requester -> keeper   CheckpointRequest (+ descriptors) or StoreRequest, later perhaps Cancel; RestartRequest (+ descriptors) to a
//   fresh keeper keeper -> requester   one Reply; the requester's end of the connection is the handle that libcr gives its caller keeper
//   <-> client     (a process that called cr_init) see client_wire.h outer <-> inner       (the two halves of a restarted job's keeper)
//   Connection, Signal; Restored, Stopped, Ended
#pragma once

#include <cstdint>

#include "crx.h"

namespace blcr::wire {

inline constexpr uint32_t kMagic = 0x5243724bu;
inline constexpr uint32_t kVersion = 1;
inline constexpr uint32_t kMaxExtra = 32;            // crx_checkpoint_options_t.capture_extra
inline constexpr uint32_t kMaxPipes = 40;            // descriptors that a restart may put in place of pipes to the outside
inline constexpr uint32_t kMaxPaths = 128 * 1024;    // bytes of all paths of a RestartRequest
inline constexpr uint32_t kMaxMessage = 192 * 1024;  // below the default socket buffer
inline constexpr uint32_t kMaxDescriptors = 64;

enum class Kind : uint32_t {
  kCheckpoint = 1,
  kCancel,
  kRestart,
  kReply,
  kConnection,
  kSignal,
  kRestored,
  kStopped,
  kEnded,
  kHello,
  kPrepare,
  kForward,
  kForwarded,
  kReady,
  kOutcome,
  kDone,
  kReturned,
  kWelcome,
  kStore,
};

/** First in every message; a message of another magic, version or length is dropped with its connection. */
struct Header {
  uint32_t magic = kMagic;
  uint32_t version = kVersion;
  Kind kind{};
  uint32_t reserved = 0;
};

/** Which descriptors follow, in this order. */
enum Attached : uint32_t {
  kContext = 1u << 0,      // written (checkpoint) or read (restart)
  kCaptureRoot = 1u << 1,  // directories as the requester sees them: keeper and requester may live in different mount namespaces
  kCaptureInto = 1u << 2,
  kCaptureBaseline = 1u << 3,
  kLifeline = 1u << 4,
  kStdin = 1u << 5,
  kStdout = 1u << 6,
  kStderr = 1u << 7,
  kConnectionFd = 1u << 8,
};

struct CheckpointRequest {
  Header header{.kind = Kind::kCheckpoint};
  int32_t target = 0;  // pid, pgid or sid in the innermost pid namespace of the target; the keeper's own pid means its job's root
  uint32_t scope = 0;
  int32_t signal = 0;
  uint32_t timeoutSeconds = 0;
  uint32_t flags = 0;  // CR_CHKPT_*
  uint32_t snapshot = 0;
  uint64_t memoryBudget = 0;
  uint32_t checksum = 1;
  uint32_t tcp = 0, unixSockets = 0;  // CRX_CONNECTIONS_*
  uint32_t pipes = 0;                 // CRX_PIPES_*
  uint32_t attached = 0;              // Attached
  uint32_t extraCount = 0;            // descriptors of capture_extra, last
  uint64_t handleInode = 0;           // of the requester's socket: it is a descriptor of the job when the requester belongs to the job
  uint64_t keeperInode = 0;           // of the one-shot keeper's end, which the requester holds, too, until the keeper has started
};

/** From inside a job: whoever holds the lifeline shall checkpoint the job into its store. */
struct StoreRequest {
  Header header{.kind = Kind::kStore};
  uint64_t handleInode = 0;  // as in CheckpointRequest
};

struct Cancel {
  Header header{.kind = Kind::kCancel};
};

/** Followed by 2 * (relocateCount + bindCount) NUL-terminated paths: old, new, old, new, … */
struct RestartRequest {
  Header header{.kind = Kind::kRestart};
  int32_t signal = 0;
  uint32_t flags = 0;  // CR_RSTRT_*
  uint32_t files = 0;
  uint32_t attached = 0;
  uint32_t relocateCount = 0;
  uint32_t bindCount = 0;
  uint32_t answers = 0;           // 1: the holder of the lifeline answers StoreRequests
  uint32_t pipeCount = 0;         // pipes and sockets of the requester that outlive exec, the last descriptors
  int32_t pipes[kMaxPipes] = {};  // their numbers
};

/** Followed by the log's text (no terminator). */
struct Reply {
  Header header{.kind = Kind::kReply};
  crx_result_t result{};
};

/** Outer to inner: a requester whose credentials have been checked (attached descriptor). */
struct Connection {
  Header header{.kind = Kind::kConnection};
};

/** Outer to inner: deliver to the job's root. */
struct Signal {
  Header header{.kind = Kind::kSignal};
  int32_t number = 0;
  int32_t code = 0;         // si_code: SI_QUEUE carries value
  uint64_t value = 0;       // sigval
  uint32_t foreground = 0;  // SIGCONT: the shell has put the job into the foreground
};

/** Inner to outer, once: how the restart went. Followed by the log's text. */
struct Restored {
  Header header{.kind = Kind::kRestored};
  crx_result_t result{};
};

/** Inner to outer: the job's root was stopped at the terminal (^Z). */
struct Stopped {
  Header header{.kind = Kind::kStopped};
};

/** Inner to outer: the job's root has ended. */
struct Ended {
  Header header{.kind = Kind::kEnded};
  int32_t status = 0;  // wait status
};

}  // namespace blcr::wire
