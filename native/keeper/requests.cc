#include "requests.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <algorithm>

#include "base/clock.h"
#include "base/codes.h"
#include "base/io.h"
#include "crx.h"
#include "dump/frozen.h"
#include "dump/required_calls.h"
#include "log_once.h"
#include "proc/status.h"
#include "protocol/address.h"
#include "request_facts.h"

namespace blcr {

namespace {

constexpr size_t kMaxRequesters = 64;
constexpr int kAbandonLimitMs = 10000;
constexpr int64_t kTemporaryNs = 400000000;
constexpr int64_t kAttemptUs = 20000;

void send(int connection, crx_result_t result, const std::string& log) {
  wire::Reply reply;
  reply.result = result;
  reply.result.size = sizeof reply.result;
  // A requester that has gone or does not read needs no answer.
  static_cast<void>(sendMessage(connection, std::string(bytesOf(reply)) + log));
}

/**
 * A task that did not stop in time for its checkpoint, in an uninterruptible call, stops when the call is over: it must not stay so. Fails
 * for a child that job control has stopped, which nobody traces.
 */
bool letGoLate(pid_t pid, int status) {
  const bool delivery = (status >> 16) == 0 && WSTOPSIG(status) != (SIGTRAP | 0x80);
  return ::ptrace(PTRACE_DETACH, pid, nullptr, delivery ? WSTOPSIG(status) : 0) == 0;
}

/** A description of our own of the same pipe, non-blocking, so that a dump whose reader is slow can be cancelled: the requester's own
 * description must stay as it is. What cannot be opened again (another owner's, or a FIFO without a reader) is used as it came. */
UniqueFd withoutBlocking(UniqueFd context) {
  struct stat status{};
  if (!context || ::fstat(context.get(), &status) != 0 || !S_ISFIFO(status.st_mode)) return context;
  const std::string path = descriptorPath(context.get());
  UniqueFd own(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  return own ? std::move(own) : std::move(context);
}

/** Where requesters find this process; "" when that cannot be told. */
std::string ownName() {
  auto name = keeperAddress(::geteuid(), ::getpid());
  return name ? std::string(reinterpret_cast<const char*>(&name->address), name->length) : std::string();
}

}  // namespace

Requests::Requests(Loop& loop, JobFacts facts, std::function<void(pid_t, int)> onExit)
    : loop_(loop), facts_(std::move(facts)), onExit_(std::move(onExit)), store_(loop) {}

Requests::~Requests() {
  abandon(ECANCELED, "the keeper has ended");
  for (const Requester& requester : requesters_) loop_.forget(requester.connection.get());
}

void Requests::add(UniqueFd connection) {
  if (requesters_.size() >= kMaxRequesters) {
    const auto served = std::find_if(requesters_.begin(), requesters_.end(), [](const Requester& one) { return one.served; });
    if (served == requesters_.end()) return;  // closing it answers EIO
    drop(*served);
  }
  Requester& requester = requesters_.emplace_back();
  requester.connection = std::move(connection);
  loop_.watch(requester.connection.get(), POLLIN, [this, &requester](short) { onReadable(requester); });
}

void Requests::drop(Requester& requester) {
  loop_.forget(requester.connection.get());
  if (pending_ && pending_->requester == &requester) {
    pending_->requester = nullptr;
    giveUp(ECANCELED, "the requester has gone");
  }
  requesters_.remove_if([&requester](const Requester& one) { return &one == &requester; });
  if (gone_) gone_();
}

void Requests::onReadable(Requester& requester) {
  auto message = receiveMessage(requester.connection.get(), MSG_DONTWAIT);
  if (!message && message.error().code == EAGAIN) return;
  if (!message || message->bytes.empty()) return drop(requester);
  if (message->as<wire::Cancel>() != nullptr) {
    if (pending_ && pending_->requester == &requester) giveUp(ECANCELED, "cancelled by the requester");
    return;
  }
  if (const auto* wish = message->as<wire::StoreRequest>(); wish != nullptr && !requester.served)
    return handOver(requester, wish->handleInode);
  const auto* request = message->as<wire::CheckpointRequest>();
  if (request == nullptr || requester.served) return drop(requester);
  requester.served = true;
  requester.handleInode = request->handleInode;
  requester.keeperInode = request->keeperInode;
  if (pending_) return refuse(requester, EBUSY, "another checkpoint of this job is being taken");
  begin(requester, *request, *message);
}

void Requests::handOver(Requester& requester, uint64_t handleInode) {
  UniqueFd connection = std::move(requester.connection);
  loop_.forget(connection.get());
  requesters_.remove_if([&requester](const Requester& one) { return &one == &requester; });
  store_.add(std::move(connection), handleInode);
}

void Requests::refuse(const Requester& requester, int code, const char* reason) {
  crx_result_t result{};
  result.error = code;
  send(requester.connection.get(), result, std::string(reason) + "\n");
}

void Requests::begin(Requester& requester, const wire::CheckpointRequest& request, Message& message) {
  pending_ = std::make_unique<Pending>();
  pending_->requester = &requester;
  pending_->startNs = nowNs();
  if (const Status prepared = prepare(request, message); !prepared) return conclude(prepared.error());
  if (request.timeoutSeconds > 0) {
    pending_->timer = loop_.after(int64_t(request.timeoutSeconds) * 1000, [this] { giveUp(ETIMEDOUT, "the request's time is over"); });
  }
  advance();
}

Status Requests::prepare(const wire::CheckpointRequest& request, Message& message) {
  BLCR_TRY(refuseDeadlyFilters());
  size_t next = 0;
  const auto take = [&](uint32_t what) {
    const bool present = (request.attached & what) != 0 && next < message.fds.size();
    return present ? std::move(message.fds[next++]) : UniqueFd();
  };
  context_ = withoutBlocking(take(wire::kContext));
  if (!context_) return Error{EBADF, "the request came without a descriptor for the context"};
  CaptureRequest files;
  files.root = take(wire::kCaptureRoot);
  files.into = take(wire::kCaptureInto);
  files.baseline = take(wire::kCaptureBaseline);
  for (; next < message.fds.size(); ++next) files.extra.push_back(std::move(message.fds[next]));
  auto described = describe(request);
  if (!described) return described.error();
  pending_->described = *std::move(described);
  if (files.root) {
    pending_->capture = Capture(std::move(files));
    BLCR_TRY(pending_->capture.prepare());
    pending_->described.insideStop = [this] { return pending_->capture.run(pending_->log); };
  }
  BLCR_TRY(applySkips(pending_->described, request.flags));
  return ask(request);
}

/** Programs that take part in their own checkpoint hear of it before anything is stopped. */
Status Requests::ask(const wire::CheckpointRequest& request) {
  const pid_t requester = peerOf(pending_->requester->connection.get());
  const DumpRequest& dump = pending_->described;
  pending_->flags = request.flags;
  auto members = scopeMembers(dump);
  if (!members) return members.error();
  const bool self = std::find(members.value().begin(), members.value().end(), requester) != members.value().end();
  if (self && (request.flags & CR_CHKPT_PROHIBIT_SELF) != 0) return Error{EDEADLK, "the requester itself would be checkpointed"};
  wire::Prepare words;
  words.signal = request.signal;
  words.requester = requester;
  words.target = dump.target;
  words.scope = request.scope;
  Cooperation::Handlers handlers{[this] { advance(); }, [this](uint32_t scope, pid_t target) { return forward(scope, target); }};
  pending_->cooperation = std::make_unique<Cooperation>(loop_, words, pathOf(context_.get()), std::move(handlers), pending_->log);
  const auto invited = pending_->cooperation->invite(members.value());
  return invited ? Status() : Status(invited.error());
}

int Requests::forward(uint32_t scope, pid_t target) {
  if (scope > CR_SCOPE_TREE) return EINVAL;
  DumpRequest wanted = pending_->described;
  wanted.scope = static_cast<Scope>(scope);
  wanted.target = target;
  wanted.also.clear();
  const auto members = scopeMembers(wanted);
  if (!members) return members.error().code;
  for (const pid_t pid : members.value()) {
    if ((pending_->flags & CR_CHKPT_PROHIBIT_SELF) != 0 && pid == peerOf(pending_->requester->connection.get())) return EDEADLK;
    if (pid == 1 && pid != ::getpid()) return CR_ENOSUPPORT;  // the whole machine
    if (pid == ::getpid() || (::kill(pid, 0) != 0 && errno == EPERM)) return EPERM;
  }
  if (const Status free = pending_->cooperation->checkFree(members.value()); !free) return free.error().code;
  pending_->described.also.push_back({wanted.scope, target});
  if (const Status skipped = applySkips(pending_->described, pending_->flags); !skipped) {
    pending_->described.also.pop_back();
    return skipped.error().code;
  }
  return 0;
}

/** Something has happened on the way. */
void Requests::advance() {
  if (pending_->stage == Stage::kAsking) {
    const auto ready = allReady();
    if (!ready) return conclude(ready.error());
    if (ready.value()) startDump();
  } else if (pending_->stage == Stage::kReturning && pending_->cooperation->done()) {
    answer();
  }
}

/** True when all clients, those included that were forwarded to or have been started meanwhile, wait for the dump. */
Result<bool> Requests::allReady() {
  Cooperation& clients = *pending_->cooperation;
  if (!clients.ready()) return false;
  bool permanent = false;
  const Status verdict = clients.verdict(permanent);
  const auto members = scopeMembers(pending_->described);
  if (permanent && members) {
    for (const pid_t pid : members.value()) ::kill(pid, SIGKILL);
  }
  if (!verdict) return verdict.error();
  if (!members) return members.error();
  const auto invited = clients.invite(members.value());
  if (!invited) return invited.error();
  return !invited.value();
}

void Requests::startDump() {
  DumpRequest& dump = pending_->described;
  Cooperation& clients = *pending_->cooperation;
  clients.rest();
  pending_->stage = Stage::kDumping;
  dump.cooperating = clients.taking();
  for (const Requester& one : requesters_) {
    for (const uint64_t inode : {one.handleInode, one.keeperInode}) {
      if (inode != 0) dump.deadSockets.push_back(inode);
    }
  }
  store_.addHandles(dump.deadSockets);
  for (const pid_t pid : clients.omitted()) dump.leftOut.push_back(pid);
  dump.deadSockets.insert(dump.deadSockets.end(), clients.sockets().begin(), clients.sockets().end());
  if (const Status started = startPatiently(dump); !started) {
    pending_->dump.reset();
    return conclude(started.error());
  }
  loop_.watch(pending_->dump->pollFd(), POLLIN, [this](short) { complete(); });
}

/** A state that passes by itself, such as that of a connection which is just being made, is another one a moment later. */
Status Requests::startPatiently(const DumpRequest& request) {
  const Log before = pending_->log;
  for (const int64_t begin = nowNs();;) {
    pending_->dump = Dump::create(request, pending_->log);
    Status started = pending_->dump->start();
    if (started.ok() || started.error().code != kErrorTemporary || nowNs() - begin > kTemporaryNs) return started;
    pending_->dump.reset();
    pending_->log = before;
    sleepUs(kAttemptUs);
  }
}

Result<DumpRequest> Requests::describe(const wire::CheckpointRequest& request) {
  DumpRequest dump;
  // The keeper itself stands for its job: that is the number its parent knows.
  const bool whole = facts_.root > 0 && (request.target == 0 || request.target == facts_.keeper);
  dump.target = whole ? facts_.root : request.target;
  dump.scope = static_cast<Scope>(request.scope);
  const pid_t looked = dump.scope == Scope::kProcess || dump.scope == Scope::kTree ? dump.target : 0;
  if (looked > 0) {
    const auto status = readStatus(looked);
    if (!status) return Error{ESRCH, "process " + std::to_string(looked) + " is gone"};
  } else if (whole) {
    dump.target = dump.scope == Scope::kGroup ? ::getpgid(facts_.root) : ::getsid(facts_.root);
  }
  dump.outputFd = context_.get();
  dump.snapshot = static_cast<Snapshot>(request.snapshot);
  dump.memoryBudget = request.memoryBudget;
  dump.signal = request.signal;
  dump.checksum = request.checksum != 0;
  dump.sync = (request.flags & CRX_CHKPT_SYNC) != 0;
  dump.tcp = static_cast<ConnectionPolicy>(request.tcp);
  dump.local = static_cast<ConnectionPolicy>(request.unixSockets);
  dump.pipes = static_cast<PipePolicy>(request.pipes);
  dump.cpuBaseline = facts_.cpuBaseline;
  dump.carry = carriedFiles(request.flags);
  dump.keeper = facts_.keeper;
  dump.isolated = facts_.restarted;
  dump.jobRoot = facts_.root;
  dump.keeperName = ownName();
  if (facts_.root == 0) {
    stdio_ = borrowStdio(dump.target);
    for (size_t number = 0; number < stdio_.size(); ++number) dump.stdioFds[number] = stdio_[number].get();
  }
  dump.omit = {::getpid()};
  dump.onExit = onExit_;
  return dump;
}

bool Requests::onChild(pid_t pid, int status) {
  if (pending_ && pending_->cooperation && pending_->cooperation->onChild(pid, status)) return true;
  if (pending_ && pending_->dump && pending_->dump->onChild(pid, status)) return true;
  return WIFSTOPPED(status) && letGoLate(pid, status);
}

void Requests::giveUp(int code, const char* reason) {
  if (!pending_ || pending_->stage == Stage::kReturning || pending_->abandonCode != 0) return;
  pending_->abandonCode = code;
  pending_->abandonReason = reason;
  if (pending_->dump) return pending_->dump->cancel();
  conclude(Error{code, reason});
}

void Requests::abandon(int code, const char* reason) {
  if (!pending_) return;
  giveUp(code, reason);
  if (pending_ && pending_->dump) {
    pollfd item{pending_->dump->pollFd(), POLLIN, 0};
    while (::poll(&item, 1, kAbandonLimitMs) < 0 && errno == EINTR) continue;
    complete();
  }
  if (pending_) answer();  // without waiting for clients
}

void Requests::complete() {
  loop_.forget(pending_->dump->pollFd());
  Result<DumpResult> outcome = pending_->dump->finish();
  if (const Status listed = outcome ? pending_->capture.writeIndex() : Status(); !listed) outcome = listed.error();
  // Removing copies takes as long as the kernel needs to take their memory back: after the answer, where the next request comes to this
  // keeper. It traces the originals: the keeper of the next request would find them traced, and who is stopped is to be woken now.
  std::unique_ptr<Dump> copies = std::move(pending_->dump);
  if (facts_.root == 0 || (pending_->cooperation && pending_->cooperation->hasStopped())) copies.reset();
  if (!outcome && pending_->abandonCode != 0) outcome = Error{pending_->abandonCode, pending_->abandonReason};
  conclude(std::move(outcome));
}

/** The outcome is known; clients hear it and return from their callbacks before the requester does. */
void Requests::conclude(Result<DumpResult> outcome) {
  pending_->stage = Stage::kReturning;
  pending_->outcome = std::move(outcome);
  if (!pending_->cooperation) return answer();
  pending_->cooperation->release(pending_->outcome->ok() ? 0 : pending_->outcome->error().code);
  advance();
}

/** What remains to be done to clients when their callbacks have returned. */
static Result<DumpResult> settle(const Cooperation* clients, const DumpRequest& request, const Result<DumpResult>& outcome) {
  if (clients == nullptr || !outcome) return outcome;
  const std::vector<pid_t> failed = clients->failed();
  for (const pid_t pid : failed) ::kill(pid, SIGKILL);
  if (!failed.empty()) {
    return Error{CR_EPERMFAIL, "process " + std::to_string(failed.front()) + ": a callback failed after the checkpoint; it is killed"};
  }
  for (const pid_t pid : request.cooperating) {
    if (request.signal != 0) ::kill(pid, request.signal);
  }
  return outcome;
}

void Requests::answer() {
  const std::unique_ptr<Pending> done = std::move(pending_);
  loop_.cancel(done->timer);
  context_.reset();  // before the answer: a reader of a pipe then sees its end
  crx_result_t result{};
  const Result<DumpResult> outcome = settle(done->cooperation.get(), done->described, *done->outcome);
  if (done->cooperation) done->cooperation->rest();  // after the signals: who sees that they are stopped may continue them
  result.total_us = microsecondsSince(done->startNs);
  if (done->cooperation) done->cooperation->unclaim();  // before the answer: the requester may ask again at once
  if (outcome) {
    const DumpResult& facts = outcome.value();
    result.snapshot = static_cast<uint32_t>(facts.snapshot);
    result.processes = facts.processes;
    result.threads = facts.threads;
    result.stop_us = facts.stopUs;
    result.capture_us = done->capture.result().microseconds;
    result.pages = facts.pages;
    result.bytes = facts.bytes;
    result.captured_files = done->capture.result().files;
    result.captured_bytes = done->capture.result().bytes;
  } else {
    result.error = outcome.error().code;
    logOnce(done->log, outcome.error());
  }
  if (done->requester != nullptr) send(done->requester->connection.get(), result, done->log.text());
}

}  // namespace blcr
