#include "restore/relocate.h"

#include "check.h"

using blcr::PathPair;
using blcr::relocated;

TEST(wholeComponentsAreReplaced) {
  const std::vector<PathPair> pairs = {{"/scratch/a", "/data/b"}};
  CHECK(relocated(pairs, "/scratch/a") == "/data/b");
  CHECK(relocated(pairs, "/scratch/a/x/y") == "/data/b/x/y");
  CHECK(relocated(pairs, "/scratch/ab") == "/scratch/ab");
  CHECK(relocated(pairs, "/scratch") == "/scratch");
  CHECK(relocated(pairs, "") == "");
}

TEST(theLongestPrefixWins) {
  const std::vector<PathPair> pairs = {{"/a", "/1"}, {"/a/b/", "/2/"}, {"/a/b/c", "/3"}};
  CHECK(relocated(pairs, "/a/x") == "/1/x");
  CHECK(relocated(pairs, "/a/b/x") == "/2/x");
  CHECK(relocated(pairs, "/a/b/c/x") == "/3/x");
}

TEST(theRootCanBeMovedAndMovedTo) {
  CHECK(relocated({{"/", "/root"}}, "/etc/x") == "/root/etc/x");
  CHECK(relocated({{"/old", "/"}}, "/old/etc") == "/etc");
  CHECK(relocated({{"/old", "/"}}, "/old") == "/");
}

CHECK_MAIN
