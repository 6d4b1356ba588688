// A test framework in thirty lines: TEST(name) { CHECK(condition); } and one main() per program.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

namespace check {

struct Case {
  const char* name;
  void (*body)();
};

inline std::vector<Case>& cases() {
  static std::vector<Case> all;
  return all;
}
inline int& failures() {
  static int count = 0;
  return count;
}
struct Registration {
  Registration(const char* name, void (*body)()) { cases().push_back({name, body}); }
};

/** Runs every TEST; a name containing argv[1] when given. Prints one line each; the exit status is the verdict. */
inline int run(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // a test that hangs must not take the lines of those before it along
  int failed = 0;
  for (const Case& test : cases()) {
    if (argc > 1 && std::string(test.name).find(argv[1]) == std::string::npos) continue;
    const int before = failures();
    test.body();
    const bool good = failures() == before;
    std::printf("%s %s\n", good ? "ok" : "FAILED", test.name);
    failed += good ? 0 : 1;
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace check

#define TEST(name)                                                   \
  static void name();                                                \
  static const check::Registration registration_##name{#name, name}; \
  static void name()
#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      std::printf("  %s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
      ++check::failures();                                                    \
    }                                                                         \
  } while (false)
#define CHECK_MAIN \
  int main(int argc, char** argv) { return check::run(argc, argv); }
