/* Sums over the processes of an MPI job, in rounds. Usage: mpirun -np 3 sums ROUNDS */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank, last = argc > 1 ? atoi(argv[1]) : 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  long total = 0;
  for (int round = 1, enough = 0; round <= last && !enough; ++round) {
    for (long step = 1; step <= 20; ++step) {
      long mine = round * step * (rank + 1), sum;
      MPI_Allreduce(&mine, &sum, 1, MPI_LONG, MPI_SUM, MPI_COMM_WORLD);
      total += sum;
      usleep(2000);
    }
    if (rank == 0) {
      printf("round %d %ld\n", round, total);
      fflush(stdout);
      enough = access("enough", F_OK) == 0;
    }
    MPI_Bcast(&enough, 1, MPI_INT, 0, MPI_COMM_WORLD);
  }
  if (rank == 0) printf("end %ld\n", total);
  MPI_Finalize();
}
