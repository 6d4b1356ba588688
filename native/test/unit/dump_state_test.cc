// What a checkpoint records of descriptors, signals, timers and threads.
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#include <algorithm>

#include "base/codes.h"
#include "base/io.h"
#include "dump/memory/record_memory.h"
#include "dump/tasks/posix_timers.h"
#include "dump_harness.h"
#include "temporary_directory.h"

using namespace harness;

namespace {

std::string siginfoNumbers(const std::vector<image::PendingSignal>& pending) {
  std::string numbers;
  for (const image::PendingSignal& signal : pending) {
    siginfo_t info{};
    memcpy(&info, signal.siginfo.data(), sizeof info);
    numbers += std::to_string(info.si_signo) + "/" + std::to_string(info.si_value.sival_int) + " ";
  }
  return numbers;
}

int fileVictim(const std::string& directory, const std::function<void()>& ready) {
  if (chdir(directory.c_str()) != 0) return 1;
  umask(027);
  const int log = open("log", O_RDWR | O_CREAT | O_APPEND, 0644);  // 3
  if (write(log, "0123456789", 10) != 10 || lseek(log, 4, SEEK_SET) != 4) return 1;
  dup(log);                                            // 4
  open("log", O_RDONLY | O_CLOEXEC);                   // 5
  const int gone = open("a", O_RDWR | O_CREAT, 0600);  // 6
  if (write(gone, "unlinked", 8) != 8) return 1;
  unlink("a");
  open(".", O_RDONLY | O_DIRECTORY);  // 7
  open("/dev/null", O_RDWR);          // 8
  int pipes[2];
  if (pipe(pipes) != 0 || write(pipes[1], "in the pipe", 11) != 11) return 1;  // 9 10
  fcntl(pipes[1], F_SETPIPE_SZ, 16384);
  const int event = eventfd(5, EFD_SEMAPHORE);                      // 11
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);  // 12
  const itimerspec soon{{1, 500}, {1000, 0}};
  timerfd_settime(timer, 0, &soon, nullptr);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGUSR2);
  signalfd(-1, &mask, 0);             // 13
  const int poll = epoll_create1(0);  // 14
  epoll_event watch{EPOLLIN | EPOLLET, {.u64 = 0x123456789abcull}};
  epoll_ctl(poll, EPOLL_CTL_ADD, event, &watch);
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) return 1;  // 15 16
  if (write(sockets[0], "to sixteen", 10) != 10 || write(sockets[1], "to fifteen", 10) != 10) return 1;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) != 0) return 1;  // 17 18
  if (write(sockets[0], "one", 3) != 3 || write(sockets[0], "two", 3) != 3) return 1;
  close(sockets[0]);
  const int memory = memfd_create("named", 0);  // 17 again
  if (ftruncate(memory, 3 * 4096) != 0 || pwrite(memory, "mem", 3, 4096) != 3) return 1;
  int packets[2];
  if (pipe2(packets, O_DIRECT) != 0) return 1;  // 19 20
  if (write(packets[1], "ab", 2) != 2 || write(packets[1], "cde", 3) != 3) return 1;
  mkfifo("fifo", 0600);
  const int fifo = open("fifo", O_RDWR);  // 21
  if (write(fifo, "first", 5) != 5) return 1;
  ready();
  return pauseForever();
}

void checkFiles(const Dumped& dumped, pid_t pid, const std::string& directory) {
  CHECK(dumped.good && dumped.verified);
  if (!dumped.verified) return;
  const auto file = [&](int fd) -> const image::OpenFile& {
    static const image::OpenFile none;
    const image::OpenFile* found = dumped.file(pid, fd);
    CHECK(found != nullptr);
    return found == nullptr ? none : *found;
  };
  CHECK(dumped.process(pid)->cwd == directory && dumped.process(pid)->umask == 027);
  CHECK(file(3).kind == image::FileKind::kRegular && file(3).offset == 4 && file(3).size == 10 && (file(3).flags & O_APPEND) != 0);
  CHECK(file(3).path == directory + "/log" && &file(3) == &file(4) && &file(3) != &file(5));
  CHECK(file(6).kind == image::FileKind::kUnlinked && dumped.blobs.contains(file(6).blob) && dumped.blobs.at(file(6).blob) == "unlinked");
  CHECK(file(7).kind == image::FileKind::kDirectory && file(8).kind == image::FileKind::kDevice && file(8).path == "/dev/null");
  CHECK(file(9).kind == image::FileKind::kPipe && file(9).end == 0 && file(10).end == 1 && file(9).object == file(10).object);
  CHECK(dumped.image.pipes[file(9).object].content == "in the pipe" && dumped.image.pipes[file(9).object].capacity == 16384);
  CHECK(file(11).kind == image::FileKind::kEventFd && file(11).counter == 5);
  CHECK(file(12).kind == image::FileKind::kTimerFd && file(12).intervalNs == 1000000500 && file(12).clock == CLOCK_MONOTONIC);
  CHECK(file(12).valueNs > 990000000000 && file(12).valueNs < 1000000000000);
  CHECK(file(13).kind == image::FileKind::kSignalFd && file(13).sigmask == 1ull << (SIGUSR2 - 1));
  CHECK(file(14).kind == image::FileKind::kEpoll && file(14).epoll.size() == 1);
  if (file(14).epoll.size() == 1) {
    const image::EpollEntry& entry = file(14).epoll[0];
    CHECK(entry.fd == 11 && entry.data == 0x123456789abcull && (entry.events & EPOLLET) != 0);
    CHECK(&dumped.image.files[entry.file] == &file(11));
  }
  const auto socket = [&](int fd) -> const image::Socket& { return dumped.image.sockets[file(fd).object]; };
  CHECK(file(15).kind == image::FileKind::kSocket && socket(15).peer == file(16).object && socket(16).peer == file(15).object);
  CHECK(socket(15).type == SOCK_STREAM && socket(15).queue.size() == 1 && socket(15).queue[0].data == "to fifteen");
  CHECK(socket(16).queue.size() == 1 && socket(16).queue[0].data == "to sixteen");
  CHECK(socket(18).type == SOCK_SEQPACKET && socket(18).state == image::SocketState::kClosed);
  CHECK(socket(18).queue.size() == 2 && socket(18).queue[0].data == "one" && socket(18).queue[1].data == "two");
  CHECK(file(17).kind == image::FileKind::kMemFd);
  const image::SharedSegment& segment = dumped.image.shared[file(17).object];
  CHECK(segment.memfd && segment.name == "named" && segment.size == 3 * 4096);
  CHECK(dumped.bytes(image::kSharedSpace | file(17).object, 4096, 3) == "mem");
  const image::Pipe& packets = dumped.image.pipes[file(19).object];
  CHECK(packets.packets && packets.content == "abcde" && packets.packetLengths == (std::vector<uint32_t>{2, 3}));
  CHECK(file(21).kind == image::FileKind::kFifo && file(21).path == directory + "/fifo");
  CHECK(dumped.image.pipes[file(21).object].content == "first");
}

}  // namespace

TEST(files_of_every_supported_kind) {
  const TemporaryDirectory directory("dump-test");
  const Victim victim([&](const std::function<void()>& ready) { return fileVictim(directory.path(), ready); });
  CHECK(victim.ready());
  for (int round = 0; round < 2; ++round) {  // the second proves that the first took nothing out
    checkFiles(dump(victim.pid(), round == 0 ? Snapshot::kFork : Snapshot::kPlain), victim.pid(), directory.path());
  }
}

TEST(signals_timers_and_limits) {
  const Victim victim([](const std::function<void()>& ready) {
    sigset_t mask;
    sigfillset(&mask);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    struct sigaction action{};
    action.sa_sigaction = [](int, siginfo_t*, void*) {};
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);
    for (int i = 1; i < 4; ++i) sigqueue(getpid(), SIGRTMIN + 1, sigval{.sival_int = i});
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR2);
    static char stack[65536];
    const stack_t alternate{stack, 0, sizeof stack};
    sigaltstack(&alternate, nullptr);
    const itimerval interval{{0, 250000}, {500, 0}};
    setitimer(ITIMER_REAL, &interval, nullptr);
    timer_t timer = nullptr;
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN + 3;
    event.sigev_value.sival_int = 77;
    timer_create(CLOCK_MONOTONIC, &event, &timer);
    const itimerspec value{{0, 5000000}, {300, 0}};
    timer_settime(timer, 0, &value, nullptr);
    const rlimit limit{100, 200};
    setrlimit(RLIMIT_NOFILE, &limit);
    prctl(PR_SET_NAME, "renamed");
    ready();
    return pauseForever();
  });
  for (const char* disabled : {"", "batch"}) {
    setenv("BLCR_DISABLE", disabled, 1);
    const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
    CHECK(dumped.verified);
    if (!dumped.verified) return;
    const image::Process& process = dumped.image.processes[0];
    const image::Task& task = process.tasks[0];
    const std::string rt = std::to_string(SIGRTMIN + 1);
    CHECK(siginfoNumbers(process.pending) == rt + "/1 " + rt + "/2 " + rt + "/3 ");
    CHECK(siginfoNumbers(task.pending).starts_with(std::to_string(SIGUSR2) + "/"));
    CHECK(task.sigmask == (~0ull & ~(1ull << (SIGKILL - 1)) & ~(1ull << (SIGSTOP - 1)) & ~(3ull << 31)));
    CHECK(process.actions[SIGUSR1 - 1].handler > 4096 && (process.actions[SIGUSR1 - 1].flags & SA_ONSTACK) != 0);
    CHECK(process.actions[SIGTERM - 1].handler == 0);
    CHECK(task.altstackSize == 65536 && task.comm == "renamed" && task.clearChildTid != 0);
    CHECK(process.timers[0].intervalUs == 250000 && process.timers[0].valueUs > 490000000 && process.timers[0].valueUs <= 500000000);
    CHECK(process.posixTimers.size() == 1);
    if (process.posixTimers.size() == 1) {
      const image::PosixTimer& timer = process.posixTimers[0];
      CHECK(timer.clock == CLOCK_MONOTONIC && timer.signal == SIGRTMIN + 3 && uint32_t(timer.sigvalue) == 77);
      CHECK(timer.intervalNs == 5000000 && timer.valueNs > 290000000000);
    }
    CHECK(process.limits[RLIMIT_NOFILE].soft == 100 && process.limits[RLIMIT_NOFILE].hard == 200);
    CHECK(process.credentials.uid[1] == geteuid() && process.memory.auxv.size() > 64 && process.memory.brk >= process.memory.startBrk);
    CHECK(process.memory.exe != image::kNone && dumped.image.mapped[process.memory.exe].identity.starts_with("build-id:"));
  }
  unsetenv("BLCR_DISABLE");
}

TEST(threads_are_recorded_with_their_own_state) {
  const Victim victim([](const std::function<void()>& ready) {
    std::vector<std::thread> threads;
    for (int i = 0; i < 5; ++i) {
      threads.emplace_back([i] {
        pthread_setname_np(pthread_self(), ("worker" + std::to_string(i)).c_str());
        pauseForever();
      });
    }
    sleepUs(50000);
    ready();
    return pauseForever();
  });
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(dumped.verified && dumped.image.processes[0].tasks.size() == 6 && dumped.result.threads == 6);
  if (!dumped.verified) return;
  const auto& tasks = dumped.image.processes[0].tasks;
  CHECK(tasks[0].tid == victim.pid());
  for (size_t i = 1; i < tasks.size(); ++i) {
    CHECK(tasks[i].comm.starts_with("worker") && tasks[i].rseqAddress != 0 && tasks[i].robustList != 0 && tasks[i].clearChildTid != 0);
    CHECK(tasks[i].regs.size() == tasks[0].regs.size() && tasks[i].xstate.size() == dumped.image.host.xstateSize);
  }
}

TEST(sharing_across_processes) {
  auto* shared = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const Victim victim([shared](const std::function<void()>& ready) {
    int pipes[2];
    if (pipe(pipes) != 0) return 1;
    shared[0] = 'x';
    if (fork() == 0) {
      shared[4096] = 'y';
      return pauseForever();
    }
    sleepUs(30000);
    ready();
    return pauseForever();
  });
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(dumped.verified && dumped.image.processes.size() == 2);
  if (!dumped.verified || dumped.image.processes.size() != 2) return;
  const pid_t child = dumped.image.processes[1].pid;
  CHECK(dumped.file(victim.pid(), 3) == dumped.file(child, 3) && dumped.file(victim.pid(), 4) == dumped.file(child, 4));
  CHECK(dumped.file(victim.pid(), 3) != dumped.file(victim.pid(), 4));
  CHECK(dumped.image.shared.size() >= 1);
  int found = 0;
  for (const auto& [key, bytes] : dumped.pages) {
    if ((key.first & image::kSharedSpace) == 0) continue;
    found += (bytes[0] == 'x' ? 1 : 0) + (bytes[0] == 'y' ? 1 : 0);
  }
  CHECK(found == 2);
  CHECK(dumped.file(victim.pid(), 1)->kind == image::FileKind::kInherited ||
        dumped.file(victim.pid(), 1)->kind == image::FileKind::kDevice);
  munmap(shared, 8192);
}

/** The list that was read before the stop may have been overtaken by the process. */
TEST(flags_of_areas_are_confirmed) {
  constexpr size_t kSize = 1 << 16;
  char* area = static_cast<char*>(mmap(nullptr, 2 * kSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  const auto at = reinterpret_cast<uint64_t>(area);
  image::Process recorded;
  recorded.pid = getpid();
  recorded.memory.areas = {{.start = at, .end = at + kSize}, {.start = at + kSize, .end = at + 2 * kSize}};
  const auto& areas = recorded.memory.areas;
  CHECK(madvise(area, kSize, MADV_DONTDUMP) == 0);
  const auto child = [](const auto& ready) { return ready(), pauseForever(); };
  const Victim copy(child);
  CHECK(correctFlags(copy.pid(), recorded).ok() && areas[0].flags == image::kDontDump && areas[1].flags == 0);
  CHECK(madvise(area + kSize, kSize, MADV_WIPEONFORK) == 0);
  const Victim wiped(child);
  const Status status = correctFlags(wiped.pid(), recorded);
  CHECK(!status.ok() && status.error().code == kErrorTemporary);
  CHECK(correctFlags(getpid(), recorded).ok() && areas[1].flags == image::kWipeOnFork);
  munmap(area, 2 * kSize);
}

TEST(another_root_directory) {
  if (geteuid() != 0) return;
  const Victim victim([](const auto& ready) { return chroot("/usr") == 0 && chdir("/") == 0 ? (ready(), pauseForever()) : 1; });
  const Dumped dumped = dump(victim.pid(), Snapshot::kFork);
  CHECK(!dumped.good && dumped.error.code == kErrorNoSupport && dumped.error.detail.find("(chroot): /usr") != std::string::npos);
}

TEST(timer_lists_are_parsed) {
  auto timers = parseTimers(
      "ID: 1\nsignal: 60/00007fff86e452a8\nnotify: signal/tid.2634\nClockID: 0\n"
      "ID: 0\nsignal: 14/0000000000000000\nnotify: none/pid.1\nClockID: -6\n");
  CHECK(timers.ok() && timers->size() == 2);
  if (!timers.ok()) return;
  const auto& list = timers.value();
  CHECK(list[0].id == 1 && list[0].signal == 60 && list[0].sigvalue == 0x7fff86e452a8 && list[0].tid == 2634);
  CHECK(list[0].notify == (SIGEV_SIGNAL | SIGEV_THREAD_ID) && list[1].notify == SIGEV_NONE && list[1].clock == -6);
  CHECK(!parseTimers("signal: 1/2\n").ok() && !parseTimers("ID\n").ok());
}

CHECK_MAIN
