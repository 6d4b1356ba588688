// crx_*: capture inside the stop, snapshots by choice, restart with a lifeline and stdio of one's own.
#include <poll.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "check.h"
#include "job.h"
#include "temporary_directory.h"

namespace fs = std::filesystem;

namespace {

constexpr int kLimitMs = 20000;

class Scratch {
 public:
  [[nodiscard]] std::string operator/(const std::string& part) const { return own_.path() + "/" + part; }

 private:
  TemporaryDirectory own_{"extensions-test"};
};

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

bool becomesReadable(int fd) {
  pollfd item{fd, POLLIN, 0};
  return ::poll(&item, 1, kLimitMs) == 1;
}

blcr::UniqueFd temporary() { return blcr::UniqueFd(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600)); }

cr_checkpoint_args_t arguments(pid_t target, int fd) {
  cr_checkpoint_args_t args;
  cr_initialize_checkpoint_args_t(&args);
  args.cr_scope = CR_SCOPE_TREE;
  args.cr_target = target;
  args.cr_fd = fd;
  return args;
}

struct Outcome {
  crx_result_t result{};
  std::string log;
};

/** One checkpoint to its end. */
Outcome checkpoint(pid_t target, int fd, const crx_checkpoint_options_t& options, int signal = 0, unsigned flags = 0) {
  cr_checkpoint_args_t args = arguments(target, fd);
  args.cr_signal = signal;
  args.cr_flags = flags;
  cr_checkpoint_handle_t handle = 0;
  Outcome outcome;
  outcome.result.size = sizeof outcome.result;
  CHECK(crx_request_checkpoint(&args, &options, &handle) == 0);
  CHECK(becomesReadable(static_cast<int>(handle)));
  CHECK(crx_result(&handle, &outcome.result) == 0);
  char text[4096];
  if (cr_log_checkpoint(&handle, sizeof text, text) > 0) outcome.log = text;
  CHECK((cr_reap_checkpoint(&handle) == 0) == (outcome.result.error == 0));
  return outcome;
}

crx_checkpoint_options_t defaults() {
  crx_checkpoint_options_t options{};
  options.size = sizeof options;
  options.checksum = 1;
  return options;
}

}  // namespace

TEST(files_are_captured_with_the_memory) {
  const Scratch scratch;
  fs::create_directories(scratch / "job/.blcr");
  fs::create_directory(scratch / "into");
  write(scratch / "job/data", "content");
  write(scratch / "job/.blcr/private", "x");
  write(scratch / "stdout", "so far");
  const TestJob job;
  const auto file = temporary();
  const std::string root = scratch / "job", into = scratch / "into", output = scratch / "stdout";
  const char* const extra[] = {output.c_str()};
  crx_checkpoint_options_t options = defaults();
  options.capture_root = root.c_str();
  options.capture_into = into.c_str();
  write(scratch / "baseline", "x\t0\t0\t0\t0\t0\t.blcr\n");
  const std::string baseline = scratch / "baseline";
  options.capture_baseline = baseline.c_str();
  options.capture_extra = extra;
  options.capture_extra_count = 1;
  const Outcome outcome = checkpoint(job.root(), file.get(), options);
  CHECK(outcome.result.error == 0 && outcome.result.captured_files == 2 && outcome.result.captured_bytes == 13);
  CHECK(read(scratch / "into/data") == "content" && read(scratch / "into/.extra-0") == "so far");
  CHECK(read(scratch / "into/.index").find("\tdata\n") != std::string::npos);
  CHECK(!fs::exists(scratch / "into/.blcr"));
}

TEST(a_capture_that_fails_fails_the_request_and_not_the_job) {
  const Scratch scratch;
  fs::create_directory(scratch / "job");
  fs::create_directory(scratch / "into");
  write(scratch / "job/data", "content");
  write(scratch / "into/data", "in the way");
  const TestJob job;
  const auto file = temporary();
  const std::string root = scratch / "job", into = scratch / "into";
  crx_checkpoint_options_t options = defaults();
  options.capture_root = root.c_str();
  options.capture_into = into.c_str();
  const Outcome outcome = checkpoint(job.root(), file.get(), options);
  CHECK(outcome.result.error == EEXIST);
  CHECK(outcome.log.find("data") != std::string::npos);
  CHECK(::kill(job.root(), 0) == 0);
}

TEST(missing_directories_and_odd_options_are_refused_at_once) {
  const TestJob job;
  const auto file = temporary();
  cr_checkpoint_args_t args = arguments(job.root(), file.get());
  cr_checkpoint_handle_t handle = 0;
  crx_checkpoint_options_t options = defaults();
  options.capture_root = "/no/such/directory";
  options.capture_into = "/tmp";
  CHECK(crx_request_checkpoint(&args, &options, &handle) == -1 && errno == ENOENT);
  options = defaults();
  options.snapshot = 3;
  CHECK(crx_request_checkpoint(&args, &options, &handle) == -1 && errno == EINVAL);
  struct {
    crx_checkpoint_options_t known;
    uint64_t newer;
  } larger{defaults(), 0};
  larger.known.size = sizeof larger;
  larger.newer = 1;
  CHECK(crx_request_checkpoint(&args, &larger.known, &handle) == -1 && errno == E2BIG);
}

TEST(the_snapshot_is_the_one_asked_for) {
  const TestJob job;
  for (const uint32_t wanted : {CRX_SNAPSHOT_FORK, CRX_SNAPSHOT_PLAIN}) {
    const auto file = temporary();
    crx_checkpoint_options_t options = defaults();
    options.snapshot = wanted;
    const Outcome outcome = checkpoint(job.root(), file.get(), options);
    CHECK(outcome.result.error == 0 && outcome.result.snapshot == wanted);
  }
}

TEST(a_context_is_written_to_disk_where_there_is_one) {
  const TestJob job;
  const auto file = temporary();
  const blcr::UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
  for (const int fd : {file.get(), null.get()}) CHECK(checkpoint(job.root(), fd, defaults(), 0, CRX_CHKPT_SYNC).result.error == 0);
}

TEST(a_restart_has_stdio_and_a_lifeline_of_its_own) {
  const auto file = temporary();
  {
    TestJob job;
    CHECK(checkpoint(job.root(), file.get(), defaults(), SIGKILL).result.error == 0);
    job.wait();
  }
  ::lseek(file.get(), 0, SEEK_SET);
  int lifeline[2], output[2];
  CHECK(::pipe2(lifeline, O_CLOEXEC) == 0 && ::pipe2(output, O_CLOEXEC) == 0);
  cr_restart_args_t args;
  cr_initialize_restart_args_t(&args);
  args.cr_fd = file.get();
  const crx_restart_options_t options{sizeof options, CRX_FILES_ROLLBACK, nullptr, lifeline[0], {-1, output[1], output[1]}, 0};
  cr_restart_handle_t handle = 0;
  CHECK(crx_request_restart(&args, &options, &handle) == 0);
  ::close(lifeline[0]);
  ::close(output[1]);
  CHECK(becomesReadable(static_cast<int>(handle)));
  crx_result_t result{};
  result.size = sizeof result;
  CHECK(crx_result(&handle, &result) == 0 && result.error == 0 && result.processes == 1);
  char text[4096] = "";
  if (result.error != 0 && cr_log_restart(&handle, sizeof text, text) > 0) std::printf("  %s", text);
  const pid_t keeper = cr_reap_restart(&handle);
  CHECK(keeper > 0 && ::waitpid(keeper, nullptr, WNOHANG) == 0);
  ::close(lifeline[1]);
  int status = 0;
  CHECK(::waitpid(keeper, &status, 0) == keeper && WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
  // Its output reports an end: nobody of the job is left.
  char byte = 0;
  CHECK(becomesReadable(output[0]) && ::read(output[0], &byte, 1) == 0);
  ::close(output[0]);
}

TEST(a_missing_keeper_is_an_error) {
  const auto file = temporary();
  cr_restart_args_t args;
  cr_initialize_restart_args_t(&args);
  args.cr_fd = file.get();
  cr_restart_handle_t handle = 0;
  ::setenv("BLCR_KEEPER", "/no/such/keeper", 1);
  CHECK(cr_request_restart(&args, &handle) == -1 && errno == ENOENT);
  char path[PATH_MAX];
  CHECK(crx_keeper_path(path, sizeof path) == -1 && errno == ENOENT);
  ::unsetenv("BLCR_KEEPER");
  CHECK(crx_keeper_path(path, sizeof path) > 0);
}

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--victim") == 0) return victimMain();
  return check::run(argc, argv);
}
