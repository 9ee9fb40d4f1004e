/* Makes one call on files fail, or kills the process just before it: for every library in a process, SQLite
   included. Preloaded (LD_PRELOAD) into a process of which all files below FAULTS_BELOW are counted.

   FAULTS_AT     which call, from 1; none when absent. The number of calls goes to FAULTS_COUNT, if that is set.
   FAULTS_HOW    "kill", "short" (half of a write is made, what follows finds a full disk), or an errno. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long calls;
static atomic_int full;
static long at;
static const char *below, *how;

__attribute__((constructor)) static void begin(void) {
  const char *text = getenv("FAULTS_AT");
  at = text ? atol(text) : 0;
  below = getenv("FAULTS_BELOW");
  how = getenv("FAULTS_HOW");
}

__attribute__((destructor)) static void end(void) {
  const char *to = getenv("FAULTS_COUNT");
  char line[32];
  if (!to) return;
  int length = snprintf(line, sizeof line, "%ld\n", atomic_load(&calls));
  int file = syscall(SYS_openat, AT_FDCWD, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file >= 0) {
    (void)!syscall(SYS_write, file, line, length);
    syscall(SYS_close, file);
  }
}

static int concerns(const char *path) { return below && path && strncmp(path, below, strlen(below)) == 0; }

static int concerns_fd(int fd) {
  char link[40], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  long length = syscall(SYS_readlinkat, AT_FDCWD, link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return concerns(path);
}

/* 0: go on. 1: errno is set. 2: make half of it. */
static int fault(int ours, int writes) {
  if (!ours) return 0;
  if (atomic_load(&full) && writes) return errno = ENOSPC, 1;
  if (atomic_fetch_add(&calls, 1) + 1 != at || !how) return 0;
  if (!strcmp(how, "kill")) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
  }
  if (!strcmp(how, "short")) {
    atomic_store(&full, 1);
    return writes ? 2 : 0;
  }
  errno = atoi(how);
  /* Nothing else finds a full disk. */
  return errno != ENOSPC || writes;
}

#define REAL(name) __typeof__(&name) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

#define OPENS(name)                                                                  \
  int name(const char *path, int flags, ...) {                                       \
    va_list rest;                                                                    \
    va_start(rest, flags);                                                           \
    mode_t mode = va_arg(rest, mode_t);                                              \
    va_end(rest);                                                                    \
    REAL(name);                                                                      \
    return fault(concerns(path), (flags & O_CREAT) != 0) == 1 ? -1 : real(path, flags, mode); \
  }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                               \
  int name(int folder, const char *path, int flags, ...) {                           \
    va_list rest;                                                                    \
    va_start(rest, flags);                                                           \
    mode_t mode = va_arg(rest, mode_t);                                              \
    va_end(rest);                                                                    \
    REAL(name);                                                                      \
    int ours = concerns(path) || (folder >= 0 && concerns_fd(folder));               \
    return fault(ours, (flags & O_CREAT) != 0) == 1 ? -1 : real(folder, path, flags, mode); \
  }
OPENS_AT(openat)
OPENS_AT(openat64)

ssize_t write(int fd, const void *bytes, size_t length) {
  REAL(write);
  int found = fault(concerns_fd(fd), 1);
  return found == 1 ? -1 : real(fd, bytes, found && length > 1 ? length / 2 : length);
}

#define WRITES_AT(name, offset_type)                                                 \
  ssize_t name(int fd, const void *bytes, size_t length, offset_type offset) {       \
    REAL(name);                                                                      \
    int found = fault(concerns_fd(fd), 1);                                           \
    return found == 1 ? -1 : real(fd, bytes, found && length > 1 ? length / 2 : length, offset); \
  }
WRITES_AT(pwrite, off_t)
WRITES_AT(pwrite64, off64_t)

ssize_t read(int fd, void *bytes, size_t length) {
  REAL(read);
  return fault(concerns_fd(fd), 0) == 1 ? -1 : real(fd, bytes, length);
}

#define READS_AT(name, offset_type)                                                  \
  ssize_t name(int fd, void *bytes, size_t length, offset_type offset) {             \
    REAL(name);                                                                      \
    return fault(concerns_fd(fd), 0) == 1 ? -1 : real(fd, bytes, length, offset);    \
  }
READS_AT(pread, off_t)
READS_AT(pread64, off64_t)

#define ON_FD(name)                                                                  \
  int name(int fd) {                                                                 \
    REAL(name);                                                                      \
    return fault(concerns_fd(fd), 1) == 1 ? -1 : real(fd);                           \
  }
ON_FD(fsync)
ON_FD(fdatasync)

int ftruncate(int fd, off_t length) {
  REAL(ftruncate);
  return fault(concerns_fd(fd), 1) == 1 ? -1 : real(fd, length);
}

int ftruncate64(int fd, off64_t length) {
  REAL(ftruncate64);
  return fault(concerns_fd(fd), 1) == 1 ? -1 : real(fd, length);
}

int flock(int fd, int operation) {
  REAL(flock);
  return fault(concerns_fd(fd), 0) == 1 ? -1 : real(fd, operation);
}

int rename(const char *from, const char *to) {
  REAL(rename);
  return fault(concerns(to), 1) == 1 ? -1 : real(from, to);
}

int link(const char *from, const char *to) {
  REAL(link);
  return fault(concerns(to), 1) == 1 ? -1 : real(from, to);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
  REAL(linkat);
  return fault(concerns(to), 1) == 1 ? -1 : real(from_folder, from, to_folder, to, flags);
}

int unlink(const char *path) {
  REAL(unlink);
  return fault(concerns(path), 0) == 1 ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  return fault(concerns(path), 1) == 1 ? -1 : real(path, mode);
}

DIR *opendir(const char *path) {
  REAL(opendir);
  return fault(concerns(path), 0) == 1 ? NULL : real(path);
}
