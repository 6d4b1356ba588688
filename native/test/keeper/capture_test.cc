// Capture: what is copied, what is not, and what the index says.
#include "capture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "check.h"
#include "temporary_directory.h"

namespace fs = std::filesystem;
using blcr::Capture;
using blcr::CaptureRequest;
using blcr::UniqueFd;

namespace {

/** A scratch directory with `job`, `into` and `outside`. */
class Scratch {
 public:
  Scratch() {
    for (const char* part : {"job", "into", "into2", "outside"}) fs::create_directory(*this / part);
  }
  [[nodiscard]] fs::path operator/(const std::string& part) const { return fs::path(own_.path()) / part; }

 private:
  TemporaryDirectory own_{"capture-test"};
};

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

std::string read(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

UniqueFd open(const fs::path& path) { return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)); }

CaptureRequest request(const Scratch& scratch, const std::string& into = "into") {
  CaptureRequest made;
  made.root = open(scratch / "job");
  made.into = open(scratch / into);
  return made;
}

/** All steps of a capture. */
blcr::Status whole(Capture& capture, blcr::Log& log) {
  BLCR_TRY(capture.prepare());
  BLCR_TRY(capture.run(log));
  return capture.writeIndex();
}
blcr::Status whole(Capture&& capture, blcr::Log& log) { return whole(capture, log); }

/** The index as path -> copied. */
std::map<std::string, bool> index(const fs::path& path) {
  std::map<std::string, bool> found;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const auto entry = blcr::parseIndexLine(line);
    CHECK(entry.ok());
    if (entry) found[entry.value().path] = entry.value().copied;
  }
  return found;
}

}  // namespace

TEST(copies_files_directories_and_links) {
  const Scratch scratch;
  write(scratch / "job/a", "alpha");
  write(scratch / "job/d/e/f", std::string(300000, 'x'));
  fs::create_directory(scratch / "job/empty");
  fs::create_symlink("a", scratch / "job/link");
  blcr::Log log;
  Capture capture(request(scratch));
  CHECK(whole(capture, log).ok());
  CHECK(read(scratch / "into/a") == "alpha");
  CHECK(read(scratch / "into/d/e/f") == std::string(300000, 'x'));
  CHECK(fs::is_directory(scratch / "into/empty"));
  CHECK(fs::read_symlink(scratch / "into/link") == "a");
  CHECK(capture.result().files == 3);
  CHECK(capture.result().bytes == 300005);
  CHECK(index(scratch / "into/.index").size() == 6);
}

TEST(never_follows_a_link_out_of_the_root) {
  const Scratch scratch;
  write(scratch / "outside/secret", "s");
  fs::create_directory_symlink(scratch / "outside", scratch / "job/away");
  fs::create_symlink(scratch / "outside/secret", scratch / "job/file");
  blcr::Log log;
  Capture capture(request(scratch));
  CHECK(whole(capture, log).ok());
  CHECK(fs::is_symlink(scratch / "into/away"));
  CHECK(fs::is_symlink(scratch / "into/file"));
  CHECK(index(scratch / "into/.index").size() == 2);
}

TEST(takes_only_what_changed_against_the_baseline) {
  const Scratch scratch;
  write(scratch / "job/same", "1");
  write(scratch / "job/d/changed", "1");
  blcr::Log log;
  CHECK(whole(Capture(request(scratch)), log).ok());
  write(scratch / "job/d/changed", "22");
  write(scratch / "job/new", "3");
  CaptureRequest second = request(scratch, "into2");
  second.baseline = open(scratch / "into/.index");
  Capture capture(std::move(second));
  CHECK(whole(capture, log).ok());
  const std::map<std::string, bool> expected{{"same", false}, {"d", false}, {"d/changed", true}, {"new", true}};
  CHECK(index(scratch / "into2/.index") == expected);
  CHECK(!fs::exists(scratch / "into2/same"));
  CHECK(read(scratch / "into2/d/changed") == "22");
  CHECK(capture.result().files == 2);
}

TEST(a_replaced_file_of_equal_size_and_time_is_new) {
  const Scratch scratch;
  write(scratch / "job/f", "old");
  struct stat before{};
  ::stat((scratch / "job/f").c_str(), &before);
  blcr::Log log;
  CHECK(whole(Capture(request(scratch)), log).ok());
  write(scratch / "job/g", "new");
  const timespec times[2] = {before.st_mtim, before.st_mtim};
  ::utimensat(AT_FDCWD, (scratch / "job/g").c_str(), times, 0);
  fs::rename(scratch / "job/g", scratch / "job/f");
  CaptureRequest second = request(scratch, "into2");
  second.baseline = open(scratch / "into/.index");
  CHECK(whole(Capture(std::move(second)), log).ok());
  CHECK(read(scratch / "into2/f") == "new");
}

TEST(leaves_out_what_the_baseline_says_and_its_own_directory) {
  const Scratch scratch;
  write(scratch / "job/.blcr/log", "x");
  write(scratch / "job/d/.blcr", "kept");
  write(scratch / "job/d/e f/deep/file", "x");
  write(scratch / "baseline", "x\t0\t0\t0\t0\t0\t.blcr\nx\t0\t0\t0\t0\t0\td/e%20f\n");
  fs::create_directory(scratch / "job/here");
  CaptureRequest made = request(scratch);
  made.into = open(scratch / "job/here");
  made.baseline = open(scratch / "baseline");
  blcr::Log log;
  CHECK(whole(Capture(std::move(made)), log).ok());
  const std::map<std::string, bool> expected{{"d", true}, {"d/.blcr", true}};
  CHECK(index(scratch / "job/here/.index") == expected);
}

TEST(captures_extra_files) {
  const Scratch scratch;
  write(scratch / "outside/stdout", "output so far");
  CaptureRequest made = request(scratch);
  made.extra.push_back(open(scratch / "outside/stdout"));
  blcr::Log log;
  CHECK(whole(Capture(std::move(made)), log).ok());
  CHECK(read(scratch / "into/.extra-0") == "output so far");
}

TEST(names_with_any_bytes_survive) {
  const Scratch scratch;
  const std::string name = "a b\tc\nd%41\xff\x7f";
  write(scratch / "job" / name, "odd");
  blcr::Log log;
  CHECK(whole(Capture(request(scratch)), log).ok());
  CHECK(index(scratch / "into/.index").contains(name));
  CHECK(read(scratch / "into/.index").find("a%20b%09c%0Ad%2541%FF%7F") != std::string::npos);
}

TEST(holes_stay_holes) {
  const Scratch scratch;
  const UniqueFd file(::open((scratch / "job/sparse").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  CHECK(::pwrite(file.get(), "end", 3, 64 << 20) == 3);
  CHECK(::ftruncate(file.get(), 128 << 20) == 0);
  blcr::Log log;
  CHECK(whole(Capture(request(scratch)), log).ok());
  struct stat status{};
  CHECK(::stat((scratch / "into/sparse").c_str(), &status) == 0);
  CHECK(status.st_size == 128 << 20);
  CHECK(status.st_blocks < 2048);
}

TEST(special_files_are_left_out_and_named) {
  const Scratch scratch;
  ::mkfifo((scratch / "job/fifo").c_str(), 0600);
  blcr::Log log;
  CHECK(whole(Capture(request(scratch)), log).ok());
  CHECK(log.text().find("fifo") != std::string::npos);
  CHECK(index(scratch / "into/.index").empty());
}

TEST(an_error_names_its_path) {
  const Scratch scratch;
  write(scratch / "job/d/f", "x");
  write(scratch / "into/d", "in the way");
  blcr::Log log;
  const auto failed = whole(Capture(request(scratch)), log);
  CHECK(!failed.ok());
  CHECK(failed.error().code == EEXIST);
  CHECK(failed.error().detail.find("d") != std::string::npos);
}

TEST(malformed_index_lines_are_refused) {
  for (const char* line : {"", "p\t0\t0\t0\t0\t0\ta", "f\t2\t0\t0\t0\t0\ta", "f\t0\t9\t0\t0\t0\ta", "f\t0\t0\t-1\t0\t0\ta",
                           "f\t0\t0\t0\t0\t0\t", "f\t0\t0\t0\t0\t0\t%4", "f\t0\t0\t0\t0\t0\t%zz", "f 0 0 0 0 0 a", "f\t0\t0\t0\t0"}) {
    CHECK(!blcr::parseIndexLine(line).ok());
  }
  const auto good = blcr::parseIndexLine("f\t1\t644\t12\t-5\t7\ta%2fb");
  CHECK(good.ok());
  CHECK(good.ok() && good.value().mtimeNs == -5 && good.value().mode == 0644 && good.value().path == "a/b");
}

CHECK_MAIN
