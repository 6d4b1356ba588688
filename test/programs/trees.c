/* Trees in memory that is allocated and freed, for a program that watches that. Usage: valgrind -q trees ROUNDS */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct Node {
  struct Node *left, *right;
  unsigned value;
};

static struct Node* grow(unsigned value, int depth) {
  struct Node* node = malloc(sizeof *node);
  *node = (struct Node){depth > 0 ? grow(value * 31 + 1, depth - 1) : NULL, depth > 0 ? grow(value * 17 + 5, depth - 1) : NULL, value};
  return node;
}

static unsigned fell(struct Node* node) {
  if (node == NULL) return 0;
  const unsigned sum = node->value ^ (fell(node->left) * 3 + fell(node->right));
  free(node);
  return sum;
}

int main(int argc, char** argv) {
  const int last = argc > 1 ? atoi(argv[1]) : 1;
  struct Node* kept = grow(7, 10);
  unsigned sum = 0;
  for (int round = 1; round <= last; ++round) {
    sum += fell(grow((unsigned)round, 10));
    printf("round %d %u\n", round, sum);
    fflush(stdout);
    usleep(20000);
    if (access("enough", F_OK) == 0) break;
  }
  printf("end %u\n", sum ^ fell(kept));
}
