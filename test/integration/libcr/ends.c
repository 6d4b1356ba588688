/* Pipes and FIFOs with ends in odd places. ends WHAT; says "up" when it can be checkpointed and goes on when the file "go" is there. */
#include "common.h"

#include <sys/stat.h>

static void awaitGo(void) {
  say("up");
  while (access("go", F_OK) != 0) usleep(5000);
}

static int openFifo(const char* name, const char* content) {
  EXPECT(mkfifo(name, 0640), 0);
  EXPECT(chmod(name, 0644), 0);
  const int fd = open(name, O_RDWR);
  EXPECT(fd >= 0, 1);
  EXPECT(write(fd, content, strlen(content)), (long)strlen(content));
  return fd;
}

static void expectContent(int fd, const char* content) {
  char buffer[64] = "";
  EXPECT(read(fd, buffer, sizeof buffer - 1), (long)strlen(content));
  EXPECT(strcmp(buffer, content), 0);
}

static void expectInode(const char* name, int fd, nlink_t links) {
  struct stat named, open;
  EXPECT(fstat(fd, &open), 0);
  EXPECT(open.st_mode, S_IFIFO | 0644);
  EXPECT(open.st_nlink, links);
  if (name == NULL) return;
  EXPECT(stat(name, &named), 0);
  EXPECT(named.st_ino == open.st_ino && named.st_dev == open.st_dev, 1);
}

/* One that keeps its name, one that has none, one with two; the test removes all names before the restart. */
static int fifos(void) {
  const int named = openFifo("named", "in the named one");
  const int reader = open("named", O_RDONLY | O_NONBLOCK);
  const int unlinked = openFifo("unlinked", "in the unlinked one");
  const int again = open("unlinked", O_WRONLY);
  EXPECT(unlink("unlinked"), 0);
  const int linked = openFifo("linked", "in the linked one");
  EXPECT(link("linked", "other"), 0);
  const int other = open("other", O_RDONLY);
  awaitGo();
  expectInode("named", named, 1);
  expectInode("named", reader, 1);
  expectContent(reader, "in the named one");
  EXPECT(fcntl(reader, F_GETFL) & (O_ACCMODE | O_NONBLOCK), O_RDONLY | O_NONBLOCK);
  expectInode(NULL, unlinked, 0);
  expectContent(unlinked, "in the unlinked one");
  EXPECT(write(again, "more", 4), 4);
  expectContent(unlinked, "more");
  expectInode("linked", linked, 2);
  expectInode("other", other, 2);
  expectContent(other, "in the linked one");
  say("good");
  return 0;
}

/* Reads descriptor 3 and answers on 4, both pipes whose other ends belong to whoever started this. */
static int answers(void) {
  char line[64];
  say("up");
  for (;;) {
    const ssize_t length = read(3, line, sizeof line);
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) return 5;
    EXPECT(write(4, "answer: ", 8), 8);
    EXPECT(write(4, line, (size_t)length), length);
  }
}

int main(int argc, char** argv) {
  if (argc < 2) return 64;
  if (strcmp(argv[1], "fifos") == 0) return fifos();
  if (strcmp(argv[1], "answers") == 0) return answers();
  if (strcmp(argv[1], "waiting") == 0) {
    awaitGo();
    return 0;
  }
  return 64;
}
