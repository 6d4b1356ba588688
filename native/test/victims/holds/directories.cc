// Directories and processes that are gone, and other things of which only a descriptor is left.
#include <dirent.h>

#include "holds.h"

namespace holds {
namespace {

struct stat infoOf(int fd) {
  struct stat info{};
  REQUIRE(fstat(fd, &info) == 0);
  return info;
}

bool isSame(const struct stat& one, const struct stat& other) { return one.st_ino == other.st_ino && one.st_dev == other.st_dev; }

bool isEmpty(int fd) {
  DIR* listing = fdopendir(dup(fd));
  REQUIRE(listing != nullptr);
  const bool empty = readdir(listing) == nullptr;
  closedir(listing);
  return empty;
}

/** Whether the name of an open file is in the directory of that process. */
bool isProcOf(int fd, pid_t pid) {
  char link[256];
  const ssize_t length = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), link, sizeof link);
  const std::string name(link, length > 0 ? size_t(length) : 0), wanted = "/proc/" + std::to_string(pid);
  return name.compare(0, wanted.size(), wanted) == 0;
}

/** One in the other; the name of the outer one is another directory's by the restart. */
void removedDirectories() {
  REQUIRE(mkdir("dir", 0700) == 0 && mkdir("dir/inner", 0700) == 0 && mkdir("gone", 0700) == 0);
  const int outer = open("dir", O_RDONLY | O_DIRECTORY), inner = open("dir/inner", O_RDONLY | O_DIRECTORY);
  const int path = open("gone", O_PATH), again = open("gone", O_RDONLY);
  REQUIRE(fchmod(inner, 0710) == 0 && fchmod(again, 0) == 0 && rmdir("dir/inner") == 0 && rmdir("dir") == 0 && rmdir("gone") == 0);
  meanwhile("mkdir dir && touch dir/file");
  hold();
  for (const int fd : {outer, inner, path, again}) REQUIRE(infoOf(fd).st_nlink == 0);
  for (const int fd : {outer, inner}) REQUIRE(mkdirat(fd, "x", 0700) == -1 && errno == ENOENT);
  REQUIRE(isEmpty(outer) && isEmpty(inner) && isSame(infoOf(path), infoOf(again)) && !isSame(infoOf(outer), infoOf(inner)));
  REQUIRE((infoOf(inner).st_mode & 07777) == 0710 && (infoOf(again).st_mode & 07777) == 0 && (fcntl(path, F_GETFL) & O_PATH) != 0);
  REQUIRE((access("dir", F_OK) == -1 || access("dir/file", F_OK) == 0) && access("gone", F_OK) == -1);  // the soak makes none
}

void removedCwd() {
  REQUIRE(mkdir("dir", 0700) == 0 && mkdir("dir/inner", 0700) == 0 && chdir("dir/inner") == 0);
  const int same = open(".", O_RDONLY | O_DIRECTORY), above = open("..", O_RDONLY | O_DIRECTORY);
  REQUIRE(rmdir((home() + "/dir/inner").c_str()) == 0 && rmdir((home() + "/dir").c_str()) == 0);
  hold();
  struct stat here{};
  char where[4096];
  REQUIRE(stat("/proc/self/cwd", &here) == 0 && isSame(here, infoOf(same)) && getcwd(where, sizeof where) == nullptr && errno == ENOENT);
  REQUIRE(access((home() + "/dir").c_str(), F_OK) == -1 && open("x", O_CREAT | O_WRONLY, 0600) == -1 && errno == ENOENT);
  REQUIRE(fchdir(above) == 0 && stat("/proc/self/cwd", &here) == 0 && isSame(here, infoOf(above)) && chdir(home().c_str()) == 0);
}

/** Files of a process that has ended: nothing can be read from them any more. */
void procOfDead() {
  int status = -1, directory = -1, path = -1;
  Pipe pipe;
  const pid_t child = spawn([&] { take(pipe.read, 1); });
  const std::string proc = "/proc/" + std::to_string(child);
  status = open((proc + "/status").c_str(), O_RDONLY), directory = open((proc + "/net").c_str(), O_RDONLY | O_DIRECTORY);
  path = open(proc.c_str(), O_PATH);
  REQUIRE(status >= 0 && directory >= 0 && path >= 0 && put(pipe.write, "x") == 0 && endsWell(child));
  hold();
  REQUIRE(take(status).empty() && openat(directory, "tcp", O_RDONLY) == -1 && openat(path, "stat", O_RDONLY) == -1);
  REQUIRE((fcntl(path, F_GETFL) & O_PATH) != 0 && isProcOf(status, child) && isProcOf(directory, child) && isProcOf(path, child));
}

void ownNamespaces() {
  const char* const names[] = {"net", "pid", "user", "mnt", "uts"};
  int held[5];
  for (int i = 0; i < 5; ++i) held[i] = open(("/proc/self/ns/" + std::string(names[i])).c_str(), O_RDONLY);
  hold();
  for (int i = 0; i < 5; ++i) {
    const int own = open(("/proc/self/ns/" + std::string(names[i])).c_str(), O_RDONLY);
    REQUIRE(held[i] >= 0 && own >= 0 && isSame(infoOf(held[i]), infoOf(own)));
  }
}

const Case kDead(Supported{"procOfDead", "descriptors", "files of /proc that tell of a process that has ended", "restored"}, procOfDead);
const Case kOwn(Supported{"ownNamespaces", "descriptors", "namespaces, the program's own", "restored"}, ownNamespaces);
const Case kRemoved(Supported{"directoriesRemoved", "descriptors", "open directories that were removed", "restored"}, removedDirectories);
const Case kRemovedCwd(Supported{"cwdRemoved", "tasks", "a working directory that was removed", "restored"}, removedCwd);

}  // namespace
}  // namespace holds
