/*
 * counter FILE LAST STATUS: appends the numbers 0 .. LAST-1, one a line, each 10 ms, then exits with STATUS. Every number is checked
 * against a copy on the heap, so that a program restored with wrong memory says so: exit 99.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 4) return 98;
  /* Whoever runs the tests may leave descriptors open that no checkpoint can take along, such as the pipes of its own log. */
  for (int fd = 3; fd < 1024; fd++) close(fd);
  FILE* file = fopen(argv[1], "w");
  const int last = atoi(argv[2]);
  int* seen = calloc((size_t)last + 1, sizeof *seen);
  if (file == NULL || seen == NULL) return 97;
  const struct timespec pause = {0, 10 * 1000 * 1000};
  for (int i = 0; i < last; i++) {
    for (int j = 0; j < i; j++) {
      if (seen[j] != j + 1) return 99;
    }
    seen[i] = i + 1;
    fprintf(file, "%d\n", i);
    fflush(file);
    nanosleep(&pause, NULL);
  }
  return atoi(argv[3]);
}
