#include "holds.h"

int main(int argc, char** argv) {
  const std::string wanted = argc > 1 ? argv[1] : "";
  char where[4096];
  if (getcwd(where, sizeof where) == nullptr) return 2;
  holds::home() = where;
  for (const holds::Case* each : holds::cases()) {
    if (wanted == "--list") printf("%s\t%s\n", each->row.test, each->row.outcome);
    if (wanted != each->row.test) continue;
    each->body();
    puts("kept");
    return 0;
  }
  return wanted == "--list" ? 0 : 2;
}
