// Requests by the C ABI: errors, pending requests, cancelling, and what happens when somebody dies. Against the real keeper.
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <thread>
#include <vector>

#include "check.h"
#include "job.h"

namespace {

constexpr int kLimitMs = 20000;

cr_checkpoint_args_t arguments(pid_t target, int fd) {
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_TREE;
  args.cr_target = target;
  args.cr_fd = fd;
  return args;
}

struct Pipe {
  blcr::UniqueFd reading, writing;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) == 0) reading.reset(ends[0]), writing.reset(ends[1]);
  }
  /** Lets everything written into the pipe go on, until its last writer is gone. */
  size_t drain() {
    writing.reset();
    std::vector<char> buffer(1 << 16);
    size_t total = 0;
    for (ssize_t got = 0; (got = ::read(reading.get(), buffer.data(), buffer.size())) > 0;) total += size_t(got);
    return total;
  }
};

blcr::UniqueFd temporary() { return blcr::UniqueFd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); }

bool becomesReadable(unsigned long handle) {
  pollfd item{static_cast<int>(handle), POLLIN, 0};
  return ::poll(&item, 1, kLimitMs) == 1;
}

int reapError(unsigned long handle) {
  if (!becomesReadable(handle)) return -1;
  errno = 0;
  return cr_reap_checkpoint(&handle) < 0 ? errno : 0;
}

int requestError(cr_checkpoint_args_t args) {
  cr_checkpoint_handle_t handle = 4711;
  errno = 0;
  const int result = cr_request_checkpoint(&args, &handle);
  CHECK(result == -1 && handle == 4711);
  return errno;
}

std::string logOf(unsigned long handle) {
  char text[4096];
  return cr_log_checkpoint(&handle, sizeof text, text) > 0 ? text : "";
}

bool sleeps(pid_t pid) { return ::kill(pid, 0) == 0; }

}  // namespace

TEST(wrong_arguments_are_refused_at_once) {
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(1, file.get());
  args.cr_version = 2;
  CHECK(requestError(args) == EINVAL);
  args = arguments(1, file.get());
  args.cr_scope = 4;
  CHECK(requestError(args) == EINVAL);
  args.cr_scope = CR_SCOPE_TREE;
  args.cr_signal = 65;
  CHECK(requestError(args) == EINVAL);
  CHECK(requestError(arguments(1, 9999)) == EINVAL);
  const blcr::UniqueFd readOnly(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  CHECK(requestError(arguments(1, readOnly.get())) == EBADF);
  CHECK(cr_request_checkpoint(nullptr, nullptr) == -1 && errno == EINVAL);
}

TEST(a_missing_target_is_reported_now_or_when_reaped) {
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(0x3ffffff, file.get());
  CHECK(requestError(args) == ESRCH);
  args.cr_scope = CR_SCOPE_SESS;
  CHECK(requestError(args) == ESRCH);
  args.cr_flags = CR_CHKPT_ASYNC_ERR;
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  CHECK(!logOf(handle).empty());
  CHECK(reapError(handle) == ESRCH);
}

/** As where a kernel copies it out. */
TEST(a_log_is_not_written_to_bad_memory) {
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(0x3ffffff, file.get());
  args.cr_flags = CR_CHKPT_ASYNC_ERR;
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  const int needed = cr_log_checkpoint(&handle, 0, nullptr);
  CHECK(needed > 8);
  const auto refused = [&](char* buffer) {
    errno = 0;
    return cr_log_checkpoint(&handle, unsigned(needed), buffer) == -1 && errno == EFAULT;
  };
  const size_t page = size_t(::sysconf(_SC_PAGESIZE));
  char* const pages = static_cast<char*>(::mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  CHECK(::mprotect(pages + page, page, PROT_READ) == 0);
  CHECK(refused(nullptr) && refused(reinterpret_cast<char*>(1)) && refused(pages + page));
  CHECK(refused(pages + page - 8));  // ends in the middle of it
  // What is named too long matters only as far as the log goes.
  CHECK(cr_log_checkpoint(&handle, UINT_MAX, pages) == needed && ::strlen(pages) == size_t(needed) - 1);
  CHECK(cr_log_checkpoint(&handle, 5, pages + page - 5) == needed && ::strlen(pages + page - 5) == 4);
  CHECK(reapError(handle) == ESRCH);
  ::munmap(pages, 2 * page);
}

TEST(oneself_can_be_prohibited) {
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(0, file.get());
  args.cr_scope = CR_SCOPE_PROC;
  args.cr_flags = CR_CHKPT_PROHIBIT_SELF;
  CHECK(requestError(args) == EDEADLK);
}

TEST(foreign_handles_are_refused_and_kept) {
  int ends[2];
  CHECK(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
  unsigned long handle = static_cast<unsigned long>(ends[0]);
  CHECK(cr_reap_checkpoint(&handle) == -1 && errno == ENOTTY && handle == static_cast<unsigned long>(ends[0]));
  CHECK(cr_wait_checkpoint(&handle, nullptr) == -1 && errno == ENOTTY);
  ::close(ends[0]);
  ::close(ends[1]);
  CHECK(cr_reap_checkpoint(&handle) == -1 && errno == EBADF);
}

TEST(a_checkpoint_succeeds_and_tells_about_itself) {
  const TestJob job;
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(job.root(), file.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  CHECK(becomesReadable(handle));
  crx_result_t result{};
  result.size = sizeof result;
  CHECK(crx_result(&handle, &result) == 0);
  CHECK(result.error == 0 && result.processes == 1 && result.threads == 1 && result.pages >= 1024);
  CHECK(result.bytes == static_cast<uint64_t>(::lseek(file.get(), 0, SEEK_END)));
  CHECK(cr_reap_checkpoint(&handle) == 0 && handle == static_cast<unsigned long>(-1));
  CHECK(sleeps(job.root()));
}

TEST(a_pending_request_can_be_polled_and_keeps_its_handle) {
  const TestJob job;
  Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.keeper(), pipe.writing.get());  // the keeper's number stands for the job
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  const cr_checkpoint_handle_t before = handle;
  timeval none{0, 1000};
  CHECK(cr_wait_checkpoint(&handle, &none) == 0);
  CHECK(cr_poll_checkpoint(&handle, &none) == 0);
  CHECK(cr_reap_checkpoint(&handle) == -1 && errno == EAGAIN && handle == before);
  crx_result_t result{};
  result.size = sizeof result;
  CHECK(crx_result(&handle, &result) == -1 && errno == EAGAIN);
  CHECK(pipe.drain() > 4 << 20);
  char* messages = nullptr;
  CHECK(cr_poll_checkpoint_msg(&handle, nullptr, &messages) == 1);
  std::free(messages);
}

TEST(one_request_per_job) {
  const TestJob job;
  Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  cr_checkpoint_handle_t first = 0, second = 0;
  CHECK(cr_request_checkpoint(&args, &first) == 0);
  const auto file = temporary();
  args.cr_fd = file.get();
  CHECK(cr_request_checkpoint(&args, &second) == 0);
  CHECK(reapError(second) == EBUSY);
  pipe.drain();
  CHECK(reapError(first) == 0);
}

TEST(a_request_can_be_cancelled) {
  const TestJob job;
  const Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  CHECK(crx_cancel(&handle) == 0);
  CHECK(reapError(handle) == ECANCELED);
  CHECK(sleeps(job.root()));
}

TEST(a_request_has_its_time) {
  const TestJob job;
  const Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  args.cr_timeout = 1;
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  CHECK(reapError(handle) == ETIMEDOUT);
}

TEST(a_reader_that_goes_away_costs_the_request_only) {
  const TestJob job;
  Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  pipe.reading.reset();
  CHECK(reapError(handle) == EPIPE);
  CHECK(sleeps(job.root()));
}

TEST(closing_the_handle_gives_the_request_up) {
  const TestJob job;
  Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  ::close(static_cast<int>(handle));
  pipe.drain();  // ends although nobody reaped: the keeper has let the pipe go
  const auto file = temporary();
  args.cr_fd = file.get();
  for (int tries = 0; tries < 100; ++tries) {
    CHECK(cr_request_checkpoint(&args, &handle) == 0);
    const int error = reapError(handle);
    if (error != EBUSY) {
      CHECK(error == 0);
      break;
    }
    CHECK(tries < 99);
    ::usleep(10000);
  }
}

TEST(a_target_that_dies_is_reported_and_its_status_too) {
  TestJob job;
  const Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  ::kill(job.root(), SIGUSR1);
  const std::string log = becomesReadable(handle) ? logOf(handle) : "no answer\n";
  const int error = reapError(handle);
  if (error != ESRCH) std::printf("  error %d: %s", error, log.c_str());
  CHECK(error == ESRCH);
  const int status = job.wait();
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
}

TEST(a_keeper_that_dies_completes_the_request) {
  TestJob job;
  const pid_t root = job.root();
  const Pipe pipe;
  cr_checkpoint_args_t args = arguments(job.root(), pipe.writing.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  ::kill(job.keeper(), SIGKILL);
  const int error = reapError(handle);
  CHECK(error == EIO || error == ESRCH);
  job.wait();
  for (int tries = 0; sleeps(root) && tries < 500; ++tries) ::usleep(10000);
  CHECK(!sleeps(root));  // it went with its keeper
}

TEST(handles_beyond_fd_setsize_work) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const TestJob job;
  const auto file = temporary();
  std::vector<blcr::UniqueFd> filler;
  while (filler.empty() || filler.back().get() < FD_SETSIZE + 100) {
    filler.emplace_back(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (filler.back().get() < 0) break;
  }
  cr_checkpoint_args_t args = arguments(job.root(), file.get());
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  CHECK(handle > FD_SETSIZE);
  timeval limitOfWait{kLimitMs / 1000, 0};
  CHECK(cr_wait_checkpoint(&handle, &limitOfWait) == 1);
  CHECK(cr_reap_checkpoint(&handle) == 0);
}

TEST(a_process_without_keeper_gets_a_one_shot_one) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    onlyStdioAnd(-1);
    ::execl("/proc/self/exe", "victim", "--victim", nullptr);
    ::_exit(127);
  }
  awaitReady(pid);
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(pid, file.get());
  args.cr_signal = SIGKILL;
  cr_checkpoint_handle_t handle = 0;
  CHECK(cr_request_checkpoint(&args, &handle) == 0);
  CHECK(becomesReadable(handle));
  const std::string log = logOf(handle);
  if (reapError(handle) != 0) std::printf("  %s", log.c_str());
  CHECK(::lseek(file.get(), 0, SEEK_END) > 4 << 20);
  int status = 0;
  CHECK(::waitpid(-1, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  CHECK(::waitpid(-1, &status, __WALL | WNOHANG) == -1 && errno == ECHILD);  // nothing of the keeper is left with us
}

TEST(several_threads_may_request_of_several_jobs) {
  std::vector<std::thread> threads;
  for (int index = 0; index < 3; ++index) {
    threads.emplace_back([] {
      const TestJob job;
      const auto file = temporary();
      cr_checkpoint_args_t args = arguments(job.root(), file.get());
      cr_checkpoint_handle_t handle = 0;
      CHECK(cr_request_checkpoint(&args, &handle) == 0);
      CHECK(reapError(handle) == 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(a_context_that_is_none_is_refused) {
  const auto file = temporary();
  cr_restart_args_t args;
  cr_initialize_restart_args_t(&args);
  args.cr_fd = file.get();
  for (const char* content : {"", "BLCRX?", "0123456789012345678901234567890123456789"}) {
    CHECK(::ftruncate(file.get(), 0) == 0 && ::pwrite(file.get(), content, std::strlen(content), 0) >= 0);
    ::lseek(file.get(), 0, SEEK_SET);
    cr_restart_handle_t handle = 0;
    CHECK(cr_request_restart(&args, &handle) == 0);
    CHECK(becomesReadable(handle));
    CHECK(cr_reap_restart(&handle) == -1 && (errno == EIO || errno == EINVAL));
    CHECK(::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD);  // its keeper has been reaped
  }
}

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--victim") == 0) return victimMain();
  return check::run(argc, argv);
}
