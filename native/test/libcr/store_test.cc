// crx_request_store: what a program of a job asks goes to whoever holds the lifeline, and the answer comes back. Against the real keeper.
#include <poll.h>
#include <sys/socket.h>

#include <vector>

#include "check.h"
#include "job.h"
#include "protocol/find_keeper.h"

namespace {

constexpr int kLimitMs = 20000;

bool becomesReadable(int fd) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, kLimitMs) == 1;
}

/** Asks once, and prints the outcome: errno and log. */
int ask() {
  cr_checkpoint_handle_t handle = 0;
  if (crx_request_store(&handle) != 0) return std::printf("refused %d\n", errno), 0;
  if (!becomesReadable(static_cast<int>(handle))) return 1;
  char log[256] = "";
  cr_log_checkpoint(&handle, sizeof log, log);
  const int result = cr_reap_checkpoint(&handle);
  std::printf("%d %s\n", result < 0 ? errno : 0, log);
  return 0;
}

/** Connects to the keeper and says nothing, as a requester that was stopped in between; prints what it finds when the connection ends. */
int connectOnly() {
  pid_t nearest = 0;
  const auto keeper = blcr::connectKeeper(::getpid(), nearest);
  if (!keeper || !keeper.value()) return 1;
  ::prctl(PR_SET_NAME, "ready");
  const int fd = keeper.value().get();
  if (!becomesReadable(fd)) return 2;
  char byte = 0;
  std::printf("read %d\n", int(::read(fd, &byte, 1)));
  return 0;
}

/** This program under a keeper, whose lifeline and the program's output the test holds. */
class Job {
 public:
  Job(const char* part, bool answers) {
    int lifeline[2], output[2];
    char keeper[PATH_MAX];
    if (crx_keeper_path(keeper, sizeof keeper) < 0 || ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lifeline) != 0 ||
        ::pipe2(output, O_CLOEXEC) != 0)
      return;
    keeper_ = ::fork();
    if (keeper_ == 0) {
      ::dup2(output[1], 1);
      onlyStdioAnd(lifeline[1]);
      std::vector<const char*> arguments{keeper, "run", "--lifeline", "3"};
      if (answers) arguments.push_back("--answers");
      for (const char* rest : {"--", self(), part}) arguments.push_back(rest);
      arguments.push_back(nullptr);
      ::execv(keeper, const_cast<char* const*>(arguments.data()));
      ::_exit(127);
    }
    ::close(lifeline[1]);
    ::close(output[1]);
    lifeline_.reset(lifeline[0]);
    output_.reset(output[0]);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() {
    lifeline_.reset();
    if (keeper_ > 0) ::waitpid(keeper_, nullptr, 0);
  }
  [[nodiscard]] pid_t keeper() const { return keeper_; }
  [[nodiscard]] std::string hear() const { return read(lifeline_.get()); }
  [[nodiscard]] std::string output() const { return read(output_.get()); }
  void say(const std::string& text) const { CHECK(::write(lifeline_.get(), text.data(), text.size()) == ssize_t(text.size())); }

 private:
  static std::string read(int fd) {
    char text[256];
    const ssize_t got = becomesReadable(fd) ? ::read(fd, text, sizeof text) : -1;
    return {text, got > 0 ? size_t(got) : 0};
  }
  pid_t keeper_ = 0;
  blcr::UniqueFd lifeline_, output_;
};

}  // namespace

TEST(theHolderOfTheLifelineIsAskedAndItsAnswerHandedOn) {
  const Job job("--ask", true);
  CHECK(job.hear() == "checkpoint 1\n");
  job.say("nonsense\n7 0 of nobody\n1 28 ERR_STORE_FULL no ro");
  job.say("om\n");
  CHECK(job.output() == "28 ERR_STORE_FULL no room\n");
}

TEST(success) {
  const Job job("--ask", true);
  CHECK(job.hear() == "checkpoint 1\n");
  job.say("1 0\n");
  CHECK(job.output() == "0 \n");
}

TEST(aJobWithoutAStore) {
  const Job job("--ask", false);
  CHECK(job.output() == std::to_string(ENOTSUP) + " the job has no store\n\n");
}

TEST(noKeeper) {
  cr_checkpoint_handle_t handle = 0;
  CHECK(crx_request_store(&handle) == -1 && errno == ENOTCONN);
  CHECK(crx_request_store(nullptr) == -1 && errno == EINVAL);
}

TEST(aRequesterThatTheKeeperHasNotHeardYetIsNoObstacle) {
  const blcr::UniqueFd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  {
    const Job job("--connect", true);
    const std::string children = "/proc/" + std::to_string(job.keeper()) + "/task/" + std::to_string(job.keeper()) + "/children";
    int root = 0;
    for (int tries = 0; tries < 2000 && root == 0; ++tries) {
      const blcr::UniqueFd list(::open(children.c_str(), O_RDONLY | O_CLOEXEC));
      char text[32] = "";
      if (::read(list.get(), text, sizeof text - 1) <= 0 || std::sscanf(text, "%d", &root) != 1) ::usleep(5000);
    }
    awaitReady(root);
    cr_checkpoint_args_t args;
    cr_initialize_checkpoint_args_t(&args);
    args.cr_scope = CR_SCOPE_TREE;
    args.cr_target = root;
    args.cr_fd = file.get();
    args.cr_signal = SIGKILL;
    cr_checkpoint_handle_t handle = 0;
    CHECK(cr_request_checkpoint(&args, &handle) == 0 && becomesReadable(static_cast<int>(handle)));
    char log[1024] = "";
    cr_log_checkpoint(&handle, sizeof log, log);
    const bool taken = cr_reap_checkpoint(&handle) == 0;
    CHECK(taken);
    if (!taken) return static_cast<void>(std::printf("  %s\n", log));
  }
  ::lseek(file.get(), 0, SEEK_SET);
  int output[2];
  CHECK(::pipe2(output, O_CLOEXEC) == 0);
  cr_restart_args_t args;
  cr_initialize_restart_args_t(&args);
  args.cr_fd = file.get();
  crx_restart_options_t options{};
  options.size = sizeof options;
  options.lifeline_fd = -1;
  options.stdio_fd[0] = -1, options.stdio_fd[1] = options.stdio_fd[2] = output[1];
  cr_restart_handle_t handle = 0;
  CHECK(crx_request_restart(&args, &options, &handle) == 0 && becomesReadable(static_cast<int>(handle)));
  const pid_t keeper = cr_reap_restart(&handle);
  CHECK(keeper > 0);
  ::close(output[1]);
  char text[64] = "";
  CHECK(::read(output[0], text, sizeof text - 1) > 0 && std::string(text) == "read 0\n");
  ::close(output[0]);
  int status = -1;
  CHECK(::waitpid(keeper, &status, 0) == keeper && status == 0);
}

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--ask") == 0) return ask();
  if (argc > 1 && std::strcmp(argv[1], "--connect") == 0) return connectOnly();
  return check::run(argc, argv);
}
