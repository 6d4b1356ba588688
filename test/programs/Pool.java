/** A pool of threads, garbage, synchronised text and a timer in Java. Usage: java Pool ROUNDS */
import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

public class Pool {
  private static long part(long seed) throws InterruptedException {
    long value = seed;
    StringBuilder text = new StringBuilder();
    for (int step = 0; step < 20000; step++) {
      value = value * 6364136223846793005L + 1;
      if (step % 100 == 0) text.append(value);
    }
    Thread.sleep(5);
    return value ^ text.toString().hashCode();
  }

  public static void main(String[] arguments) throws Exception {
    ExecutorService pool = Executors.newFixedThreadPool(4);
    long sum = 0;
    for (int round = 1; round <= Integer.parseInt(arguments[0]); round++) {
      List<Future<Long>> parts = new ArrayList<>();
      for (int index = 0; index < 4; index++) {
        final long seed = round * 4L + index;
        parts.add(pool.submit(() -> part(seed)));
      }
      for (Future<Long> future : parts) sum = sum * 31 + future.get();
      System.out.println("round " + round + " " + sum);
      Thread.sleep(20);
      if (new File("enough").exists()) break;
    }
    pool.shutdown();
    System.out.println("end " + sum);
  }
}
