// The least that a process can cost: starts /bin/true with posix_spawn and waits
// for its end. Prints the median time of ROUNDS starts in milliseconds, with a
// pause before each:
//   true ROUNDS PAUSE_MS
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char** environ;

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static int Compare(const void* a, const void* b) {
  const double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

int main(int count, char** arguments) {
  enum { kMostRounds = 1000 };
  double times[kMostRounds];
  if (count < 3) return 1;
  const int rounds = atoi(arguments[1]);
  const useconds_t pause = 1000 * (useconds_t)atoi(arguments[2]);
  if (rounds < 1 || rounds > kMostRounds) return 1;
  char* const argv[] = {"true", NULL};
  for (int i = 0; i < rounds; i++) {
    if (pause > 0) usleep(pause);
    const double start = Now();
    pid_t pid;
    if (posix_spawn(&pid, "/bin/true", NULL, NULL, argv, environ) != 0) {
      return 1;
    }
    waitpid(pid, NULL, 0);
    times[i] = Now() - start;
  }
  qsort(times, (size_t)rounds, sizeof *times, Compare);
  printf("%f\n", times[rounds / 2]);
  return 0;
}
