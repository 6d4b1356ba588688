// Directories that are gone.
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
  REQUIRE(access("dir/file", F_OK) == 0 && access("gone", F_OK) == -1);
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

const Case kRemoved(Supported{"directoriesRemoved", "descriptors", "open directories that were removed", "restored"}, removedDirectories);
const Case kRemovedCwd(Supported{"cwdRemoved", "tasks", "a working directory that was removed", "restored"}, removedCwd);

}  // namespace
}  // namespace holds
